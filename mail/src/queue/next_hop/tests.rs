//! The login at a smarthost: TLS that is required, and the mechanisms.

use std::sync::Arc;

use data_encoding::BASE64;
use rustls::ServerConfig;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::destination::{Destination, Encryption, Login};
use super::hello;
use crate::queue::result::AttemptResult;

/// The behaviour of a smarthost.
#[derive(Clone)]
struct Script {
    encryption: Encryption,
    /// The line of EHLO that offers a login, inside TLS.
    auth: &'static str,
    /// The reply to a login.
    reply: &'static str,
    /// The names in its certificate.
    names: Vec<String>,
    /// The domain whose policy demands the encryption; then there is no login.
    policy_of: Option<String>,
}

impl Default for Script {
    fn default() -> Self {
        let names = vec!["127.0.0.1".to_owned()];
        let (auth, reply) = ("AUTH PLAIN LOGIN", "235 2.7.0 welcome");
        Self { encryption: Encryption::AfterStartTls, auth, reply, names, policy_of: None }
    }
}

/// The commands that a smarthost received.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    in_clear: Vec<String>,
    in_tls: Vec<String>,
}

/// Answers until the client leaves. Returns the lines that it sent.
async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    script: &Script,
    is_tls: bool,
) -> Vec<String> {
    let (mut stream, mut lines) = (BufReader::new(stream), Vec::new());
    let may_greet = !is_tls || script.encryption == Encryption::FromFirstByte;
    if may_greet && stream.write_all(b"220 smarthost\r\n").await.is_err() {
        return lines;
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return lines;
        }
        let line = line.trim_end().to_owned();
        let word = line.split(' ').next().unwrap_or_default().to_owned();
        lines.push(line.clone());
        let answer = match word.as_str() {
            "EHLO" if is_tls => format!("250-smarthost\r\n250 {}", script.auth),
            "EHLO" if script.encryption == Encryption::IfOffered => "250 smarthost".to_owned(),
            "EHLO" => "250-smarthost\r\n250 STARTTLS".to_owned(),
            "STARTTLS" => "220 go on".to_owned(),
            "AUTH" if line == "AUTH LOGIN" => "334 VXNlcm5hbWU6".to_owned(),
            "AUTH" => script.reply.to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ if lines.iter().filter(|line| !line.contains(' ')).count() == 1 => {
                "334 UGFzc3dvcmQ6".to_owned()
            }
            _ => script.reply.to_owned(),
        };
        if stream.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() || word == "STARTTLS"
        {
            return lines;
        }
    }
}

/// Opens a connection to a smarthost with this behaviour, with a login.
async fn open(script: Script) -> (Result<(), String>, Seen) {
    let made = rcgen::generate_simple_self_signed(script.names.clone()).unwrap();
    let roots = tempfile(&made.cert.pem());
    let key = made.key_pair.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap().to_string();
    let login = Login { user: "ruth".to_owned(), password: "open sesame".to_owned() };
    let asked = match script.encryption {
        Encryption::IfOffered => Encryption::AfterStartTls,
        other => other,
    };
    let policy_of = script.policy_of.clone();
    let login = Some(login).filter(|_| policy_of.is_none());
    let to = Destination { server, address: None, encryption: asked, login, policy_of };
    let serving = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut seen = Seen::default();
        if script.encryption != Encryption::FromFirstByte {
            seen.in_clear = converse(&mut socket, &script, false).await;
        }
        if let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await {
            seen.in_tls = converse(stream, &script, true).await;
        }
        seen
    };
    let opening = async {
        let opened = hello::open(&to, "ruth.example", roots.path().to_str().unwrap()).await;
        opened.map(drop).map_err(|failure| AttemptResult::from(failure).into_reply())
    };
    tokio::join!(opening, serving)
}

/// A file with this text.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
fn tempfile(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test]
async fn login_is_sent_inside_verified_tls_alone() {
    let plain = format!("AUTH PLAIN {}", BASE64.encode(b"\0ruth\0open sesame"));
    for encryption in [Encryption::AfterStartTls, Encryption::FromFirstByte] {
        let (opened, seen) = open(Script { encryption, ..Script::default() }).await;
        assert_eq!(opened, Ok(()));
        assert_eq!(seen.in_tls, ["EHLO ruth.example", plain.as_str()]);
        assert!(seen.in_clear.iter().all(|line| !line.starts_with("AUTH")), "{seen:?}");
    }
}

#[tokio::test]
async fn login_is_sent_in_the_form_offered() {
    let (opened, seen) = open(Script { auth: "AUTH CRAM-MD5 LOGIN", ..Script::default() }).await;
    assert_eq!(opened, Ok(()));
    let answers = [BASE64.encode(b"ruth"), BASE64.encode(b"open sesame")];
    assert_eq!(seen.in_tls[1..], ["AUTH LOGIN", answers[0].as_str(), answers[1].as_str()]);
    let (refused, seen) = open(Script { auth: "AUTH XOAUTH2", ..Script::default() }).await;
    assert!(refused.unwrap_err().contains("neither AUTH PLAIN nor AUTH LOGIN"));
    assert_eq!(seen.in_tls, ["EHLO ruth.example"]);
}

#[tokio::test]
async fn refused_login_is_a_temporary_failure() {
    for auth in ["AUTH PLAIN", "AUTH LOGIN"] {
        let script = Script { auth, reply: "535 5.7.8 wrong password", ..Script::default() };
        let reply = open(script).await.0.unwrap_err();
        assert_eq!(reply, "451 4.7.8 the smarthost refused the login: 535 5.7.8 wrong password");
    }
}

#[tokio::test]
async fn wrong_certificate_gets_no_login() {
    for encryption in [Encryption::AfterStartTls, Encryption::FromFirstByte] {
        let names = vec!["other.example".to_owned()];
        let (refused, seen) = open(Script { encryption, names, ..Script::default() }).await;
        let reply = refused.unwrap_err();
        assert!(reply.starts_with("451 4.7.5 no verified TLS with the smarthost: "), "{reply}");
        assert!(seen.in_tls.is_empty(), "{seen:?}");
    }
}

#[tokio::test]
async fn smarthost_without_starttls_gets_no_login() {
    let (refused, seen) =
        open(Script { encryption: Encryption::IfOffered, ..Script::default() }).await;
    assert_eq!(refused, Err("451 4.7.4 the smarthost does not offer STARTTLS".to_owned()));
    assert_eq!(seen.in_clear, ["EHLO ruth.example"]);
}

#[tokio::test]
async fn policy_of_a_domain_demands_verified_tls() {
    let policy_of = Some("bob.house".to_owned());
    let script = Script { policy_of, ..Script::default() };
    let (opened, seen) = open(script.clone()).await;
    assert_eq!(opened, Ok(()));
    assert_eq!(seen.in_tls, ["EHLO ruth.example"]);
    let names = vec!["other.example".to_owned()];
    let (refused, seen) = open(Script { names, ..script.clone() }).await;
    let (reply, demand) = (refused.unwrap_err(), "which the MTA-STS policy of bob.house demands");
    let start = format!("451 4.7.5 no verified TLS with 127.0.0.1, {demand}: ");
    assert!(reply.starts_with(&start), "{reply}");
    assert!(seen.in_tls.is_empty(), "{seen:?}");
    let stripped = open(Script { encryption: Encryption::IfOffered, ..script }).await;
    let reply = format!("451 4.7.4 127.0.0.1 does not offer STARTTLS, {demand}");
    assert_eq!(stripped.0, Err(reply));
    assert_eq!(stripped.1.in_clear, ["EHLO ruth.example"]);
}

#[test]
fn reason_is_the_reply_without_codes() {
    for (reply, text) in [
        (
            "451 4.7.8 the smarthost refused the login: 535 no",
            "the smarthost refused the login: 535 no",
        ),
        ("554 5.7.1 go away", "go away"),
        ("421 too many of you", "too many of you"),
        ("421 3 connections are enough", "3 connections are enough"),
        ("no", "no"),
        ("", ""),
    ] {
        assert_eq!(super::reason(AttemptResult::Deferred(reply.to_owned())), text);
    }
}
