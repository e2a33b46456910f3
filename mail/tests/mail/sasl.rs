//! SCRAM-SHA-256 and SCRAM-SHA-256-PLUS over real connections, for SMTP and IMAP alike.

use data_encoding::BASE64;
use freehold_core::logins::{self, ScramParameters, scram_client};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::imap::{Program, plain, secure};
use crate::server::{Client, TestServer};

/// A client of either protocol.
trait Talk {
    /// The command that begins a login, without mechanism and response.
    const COMMAND: &'static str;
    /// The beginning of the line that says that the client is logged in.
    const SUCCESS: &'static str;
    /// The beginning of the line that says that the login failed.
    const FAILURE: &'static str;
    /// The beginning of the line that says that a response is malformed or cancelled.
    const MALFORMED: &'static str;

    /// Sends a line and reads the answer; a challenge without its mark.
    async fn say(&mut self, line: &str) -> String;
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk for Client<S> {
    const COMMAND: &'static str = "AUTH";
    const SUCCESS: &'static str = "235 2.7.0";
    const FAILURE: &'static str = "535 5.7.8";
    const MALFORMED: &'static str = "501 5.";

    async fn say(&mut self, line: &str) -> String {
        let reply = self.command(line).await;
        reply.strip_prefix("334 ").unwrap_or(&reply).trim_end().to_owned()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Talk for Program<S> {
    const COMMAND: &'static str = "t AUTHENTICATE";
    const SUCCESS: &'static str = "t OK [CAPABILITY ";
    const FAILURE: &'static str = "t NO [AUTHENTICATIONFAILED]";
    const MALFORMED: &'static str = "t BAD";

    async fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        let answer = self.line().await;
        answer.strip_prefix("+ ").unwrap_or(&answer).trim_end().to_owned()
    }
}

/// One SCRAM login from the client's side.
struct Scram<'a> {
    mechanism: &'a str,
    /// The gs2-header.
    header: &'a str,
    binding: &'a [u8],
    user: &'a str,
    password: &'a str,
}

impl Scram<'_> {
    fn bare(&self) -> String {
        format!("n={},r=rOprNGfwEbeRWgbNEkqO", self.user)
    }

    fn first(&self) -> String {
        BASE64.encode(format!("{}{}", self.header, self.bare()).as_bytes())
    }

    /// The last message after this challenge, and the server's message that must follow.
    fn last(&self, challenge: &str) -> (String, String) {
        let challenge = BASE64.decode(challenge.as_bytes());
        let challenge = String::from_utf8(challenge.expect("a challenge")).unwrap();
        let mut parts = challenge.split(',');
        let mut part = |name: &str| parts.next().unwrap().strip_prefix(name).unwrap().to_owned();
        let (nonce, salt, iterations) = (part("r="), part("s="), part("i="));
        let salt = BASE64.decode(salt.as_bytes()).unwrap().try_into().unwrap();
        let parameters = ScramParameters { salt, iterations: iterations.parse().unwrap() };
        assert!(parameters.iterations >= 4096 && nonce.len() >= 20 + 24, "{challenge}");
        let binding = BASE64.encode(&[self.header.as_bytes(), self.binding].concat());
        let signed = format!("c={binding},r={nonce}");
        let auth_message = format!("{},{challenge},{signed}", self.bare());
        let (proof, signature) = scram_client(self.password, &parameters, auth_message.as_bytes());
        let last = format!("{signed},p={}", BASE64.encode(&proof));
        let server = format!("v={}", BASE64.encode(&signature));
        (BASE64.encode(last.as_bytes()), BASE64.encode(server.as_bytes()))
    }

    /// The answer to the last message.
    async fn prove<T: Talk>(&self, client: &mut T) -> (String, String) {
        let begin = format!("{} {} {}", T::COMMAND, self.mechanism, self.first());
        let challenge = client.say(&begin).await;
        let (last, server) = self.last(&challenge);
        (client.say(&last).await, server)
    }

    async fn log_in<T: Talk>(&self, client: &mut T) {
        let (answer, server) = self.prove(client).await;
        assert_eq!(answer, server, "the server has proven itself");
        let end = client.say("").await;
        assert!(end.starts_with(T::SUCCESS), "{end}");
    }

    async fn fail<T: Talk>(&self, client: &mut T) {
        let (answer, _) = self.prove(client).await;
        assert!(answer.starts_with(T::FAILURE), "{answer}");
    }

    /// The login fails at the first message.
    async fn fail_at_once<T: Talk>(&self, client: &mut T) {
        let begin = format!("{} {} {}", T::COMMAND, self.mechanism, self.first());
        let answer = client.say(&begin).await;
        assert!(answer.starts_with(T::FAILURE), "{answer}");
    }
}

fn unbound<'a>(user: &'a str, password: &'a str) -> Scram<'a> {
    Scram { mechanism: "SCRAM-SHA-256", header: "n,,", binding: b"", user, password }
}

fn bound<'a>(binding: &'a [u8], password: &'a str) -> Scram<'a> {
    let (mechanism, header) = ("SCRAM-SHA-256-PLUS", "p=tls-exporter,,");
    Scram { mechanism, header, binding, user: "alice", password }
}

async fn server() -> TestServer {
    TestServer::open(TestNode::new("alice").await, MailConfig::default()).await
}

/// A client of submission in the clear, after EHLO.
async fn submission(server: &TestServer) -> (Client, String) {
    let mut client = Client::connect(server.addresses.submission).await;
    let offers = client.command("EHLO laptop.test").await;
    (client, offers)
}

#[tokio::test]
async fn scram_logs_in_to_smtp_and_imap() {
    let alice = server().await;
    let letters = alice.app_password.replace('-', "");
    for login in [
        unbound("alice", &alice.app_password),
        unbound("alice@alice.example", &letters),
        // A client that could bind channels, and sees that this connection can't.
        Scram { header: "y,,", ..unbound("alice", &alice.app_password) },
        Scram { header: "n,a=alice,", ..unbound("alice", &alice.app_password) },
    ] {
        let (mut smtp, offers) = submission(&alice).await;
        assert!(offers.contains("AUTH PLAIN LOGIN SCRAM-SHA-256\r\n"), "{offers}");
        login.log_in(&mut smtp).await;
        assert!(smtp.command("MAIL FROM:<alice@alice.example>").await.starts_with("250"));
        let mut imap = plain(alice.addresses.imap).await;
        let offers = imap.ok("CAPABILITY").await.concat();
        assert!(offers.contains(" AUTH=SCRAM-SHA-256\r\n"), "{offers}");
        login.log_in(&mut imap).await;
        imap.ok("SELECT INBOX").await;
        assert_eq!(logins::program_sessions(&alice.node).unwrap().len(), 2);
        drop((smtp, imap));
        while !logins::program_sessions(&alice.node).unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }
    // Without an initial response.
    let login = unbound("alice", &alice.app_password);
    let mut imap = plain(alice.addresses.imap).await;
    assert_eq!(imap.say("t AUTHENTICATE SCRAM-SHA-256").await, "");
    let challenge = imap.say(&login.first()).await;
    let (last, server) = login.last(&challenge);
    assert_eq!(imap.say(&last).await, server);
    assert!(imap.say("").await.starts_with("t OK"));
    let (mut smtp, _) = submission(&alice).await;
    assert_eq!(smtp.say("AUTH SCRAM-SHA-256").await, "");
    let challenge = smtp.say(&login.first()).await;
    let (last, server) = login.last(&challenge);
    assert_eq!(smtp.say(&last).await, server);
    assert!(smtp.say("").await.starts_with("235"));
    alice.close().await;
}

#[tokio::test]
async fn wrong_scram_login_is_refused() {
    let alice = server().await;
    let wrong = [
        unbound("alice", "wrong"),
        unbound("nobody", &alice.app_password),
        Scram { header: "n,a=bob,", ..unbound("alice", &alice.app_password) },
    ];
    let mut smtp = submission(&alice).await.0;
    wrong[0].fail(&mut smtp).await;
    wrong[1].fail(&mut smtp).await;
    let mut imap = plain(alice.addresses.imap).await;
    let begin = format!("t AUTHENTICATE SCRAM-SHA-256 {}", wrong[2].first());
    let answer = imap.say(&begin).await;
    assert!(answer.starts_with("t NO [AUTHORIZATIONFAILED]"), "{answer}");
    wrong[0].fail(&mut imap).await;
    // The fourth guess of this network must wait; a right password need not.
    let (answer, _) = wrong[1].prove(&mut imap).await;
    assert!(answer.starts_with("t NO [UNAVAILABLE]"), "{answer}");
    unbound("alice", &alice.app_password).log_in(&mut imap).await;
    alice.close().await;
}

#[tokio::test]
async fn scram_plus_is_bound_to_tls_1_3() {
    let alice = server().await;
    let password = alice.app_password.as_str();
    let (mut imap, binding) = secure(&alice, &rustls::version::TLS13).await;
    let offers = imap.ok("CAPABILITY").await.concat();
    assert!(offers.contains(" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-256-PLUS\r\n"), "{offers}");
    let (_, other) = secure(&alice, &rustls::version::TLS13).await;
    bound(&other, password).fail(&mut imap).await;
    bound(&[], password).fail(&mut imap).await;
    let downgraded = Scram { header: "y,,", ..unbound("alice", password) };
    downgraded.fail_at_once(&mut imap).await;
    Scram { header: "p=tls-unique,,", ..bound(&binding, password) }.fail_at_once(&mut imap).await;
    bound(&binding, password).log_in(&mut imap).await;

    let mut smtp = Client::raw(alice.addresses.smtps).await.encrypt(&alice).await;
    smtp.reply().await;
    let offers = smtp.command("EHLO laptop.test").await;
    assert!(offers.contains("AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r\n"), "{offers}");
    let binding = smtp.channel_binding();
    bound(&other, password).fail(&mut smtp).await;
    downgraded.fail_at_once(&mut smtp).await;
    bound(&binding, password).log_in(&mut smtp).await;
    // A client that can't bind channels.
    let mut smtp = Client::raw(alice.addresses.smtps).await.encrypt(&alice).await;
    smtp.reply().await;
    smtp.command("EHLO laptop.test").await;
    unbound("alice", password).log_in(&mut smtp).await;
    alice.close().await;
}

#[tokio::test]
async fn scram_plus_needs_tls_1_3() {
    let alice = server().await;
    let password = alice.app_password.as_str();
    let (mut imap, _) = secure(&alice, &rustls::version::TLS12).await;
    let offers = imap.ok("CAPABILITY").await.concat();
    assert!(offers.contains("AUTH=SCRAM-SHA-256\r\n") && !offers.contains("PLUS"), "{offers}");
    let begin = format!("t AUTHENTICATE SCRAM-SHA-256-PLUS {}", bound(&[1; 32], password).first());
    assert!(imap.say(&begin).await.starts_with("t NO "));
    Scram { header: "y,,", ..unbound("alice", password) }.log_in(&mut imap).await;
    let (mut smtp, offers) = submission(&alice).await;
    assert!(!offers.contains("PLUS"), "{offers}");
    assert!(smtp.say("AUTH SCRAM-SHA-256-PLUS").await.starts_with("504 5.5.4"));
    // After STARTTLS there is a channel binding.
    assert!(smtp.command("STARTTLS").await.starts_with("220"));
    let mut smtp = smtp.encrypt(&alice).await;
    let offers = smtp.command("EHLO laptop.test").await;
    assert!(offers.contains("SCRAM-SHA-256-PLUS"), "{offers}");
    let binding = smtp.channel_binding();
    bound(&binding, password).log_in(&mut smtp).await;
    alice.close().await;
}

async fn cancel<T: Talk>(client: &mut T, login: &Scram<'_>) {
    let begin = format!("{} SCRAM-SHA-256 {}", T::COMMAND, login.first());
    client.say(&begin).await;
    let answer = client.say("*").await;
    assert!(answer.starts_with(T::MALFORMED), "{answer}");
    // The proof is right, and the client refuses the server.
    for end in ["*", "YQ=="] {
        let (answer, server) = login.prove(client).await;
        assert_eq!(answer, server);
        let answer = client.say(end).await;
        assert!(answer.starts_with(T::MALFORMED), "{answer}");
    }
    // A last message that belongs to another exchange.
    let challenge = client.say(&begin).await;
    let (last, _) = login.last(&challenge);
    client.say("*").await;
    client.say(&begin).await;
    let answer = client.say(&last).await;
    assert!(answer.starts_with(T::FAILURE), "the nonce was used before: {answer}");
}

#[tokio::test]
async fn cancelled_scram_login_opens_no_session() {
    let alice = server().await;
    let login = unbound("alice", &alice.app_password);
    let (mut smtp, _) = submission(&alice).await;
    cancel(&mut smtp, &login).await;
    assert!(smtp.command("MAIL FROM:<alice@alice.example>").await.starts_with("530"));
    let mut imap = plain(alice.addresses.imap).await;
    let begin = format!("t AUTHENTICATE SCRAM-SHA-256 {}", login.first());
    imap.say(&begin).await;
    assert!(imap.say("*").await.starts_with("t BAD"));
    let mut imap = plain(alice.addresses.imap).await;
    cancel(&mut imap, &login).await;
    assert_eq!(logins::program_sessions(&alice.node).unwrap(), []);
    login.log_in(&mut smtp).await;
    login.log_in(&mut imap).await;
    alice.close().await;
}

#[tokio::test]
async fn huge_scram_message_is_refused() {
    let alice = server().await;
    let login = unbound("alice", &alice.app_password);
    let (mut smtp, _) = submission(&alice).await;
    assert!(smtp.say(&format!("AUTH SCRAM-SHA-256 {}", "A".repeat(3000))).await.starts_with("500"));
    smtp.say("AUTH SCRAM-SHA-256").await;
    assert!(smtp.say(&"A".repeat(8000)).await.starts_with("501"));
    let mut imap = plain(alice.addresses.imap).await;
    assert!(
        imap.say(&format!("t AUTHENTICATE SCRAM-SHA-256 {}", "A".repeat(7000)))
            .await
            .starts_with("t BAD")
    );
    let challenge = imap.say(&format!("t AUTHENTICATE SCRAM-SHA-256 {}", login.first())).await;
    assert!(!challenge.starts_with("t "), "{challenge}");
    assert!(imap.say(&"A".repeat(9000)).await.starts_with("* BYE"));
    login.log_in(&mut smtp).await;
    alice.close().await;
}

#[tokio::test]
async fn scram_is_offered_once_every_password_knows_it() {
    let alice = server().await;
    logins::forget_scram_keys(&alice.node).await.unwrap();
    let login = unbound("alice", &alice.app_password);
    let (mut smtp, offers) = submission(&alice).await;
    assert!(offers.contains("AUTH PLAIN LOGIN\r\n"), "{offers}");
    let mut imap = plain(alice.addresses.imap).await;
    assert!(!imap.ok("CAPABILITY").await.concat().contains("SCRAM"));
    login.fail(&mut imap).await;
    smtp.login("alice", &alice.app_password).await;
    let (mut smtp, offers) = submission(&alice).await;
    assert!(offers.contains("SCRAM-SHA-256"), "{offers}");
    login.log_in(&mut smtp).await;
    login.log_in(&mut imap).await;
    alice.close().await;
}

#[tokio::test]
async fn unreadable_store_is_no_wrong_scram_proof() {
    let alice = server().await;
    let login = unbound("alice", &alice.app_password);
    let mut imap = plain(alice.addresses.imap).await;
    let begin = format!("t AUTHENTICATE SCRAM-SHA-256 {}", login.first());
    let (last, _) = login.last(&imap.say(&begin).await);
    alice.node.fail_rows().await;
    let refused = imap.say(&last).await;
    assert!(refused.starts_with("t NO [UNAVAILABLE]"), "{refused}");
    alice.node.recover_rows();
    login.log_in(&mut imap).await;
    alice.close().await;
}
