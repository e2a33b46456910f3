//! A revoked or expired app password ends the sessions that it opened, at their next command and
//! while they wait.

use freehold_core::logins::{self, AppLimits, AppScope};
use freehold_core::mailbox::SpecialUse;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;

use crate::imap::{inbox, plain};
use crate::server::{Client, TestServer, texts};

/// Revokes the app password of `server`.
async fn revoke(server: &TestServer) {
    for app in logins::app_passwords(&server.node).unwrap() {
        logins::revoke_app_password(&server.node, app.id).await.unwrap();
    }
}

async fn server() -> TestServer {
    TestServer::open(TestNode::new("alice").await, MailConfig::default()).await
}

#[tokio::test]
async fn revoked_password_ends_waiting_imap_sessions() {
    let alice = server().await;
    let mut idling = inbox(&alice).await;
    idling.send("i IDLE\r\n").await;
    assert!(idling.line().await.starts_with("+ "));
    let mut waiting = inbox(&alice).await;
    let mut stranger = plain(alice.addresses.imap).await;
    revoke(&alice).await;
    for session in [&mut idling, &mut waiting] {
        assert!(session.line().await.starts_with("* BYE "));
        assert_eq!(session.line().await, "");
    }
    stranger.ok("NOOP").await;
    let refused = stranger.run(&format!("LOGIN alice {}", alice.app_password)).await;
    assert!(refused.last().unwrap().starts_with("t NO [AUTHENTICATIONFAILED]"), "{refused:?}");
    alice.close().await;
}

#[tokio::test]
async fn changed_password_ends_imap_sessions() {
    let alice = server().await;
    let mut session = inbox(&alice).await;
    logins::set_password(&alice.node, "another long one").await.unwrap();
    assert!(session.line().await.starts_with("* BYE "));
    assert_eq!(session.line().await, "");
    // App passwords stay valid.
    inbox(&alice).await;
    alice.close().await;
}

#[tokio::test]
async fn revoked_password_queues_no_message() {
    let alice = server().await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    client.command("MAIL FROM:<alice@alice.example>").await;
    client.command("RCPT TO:<alice@alice.example>").await;
    assert!(client.command("DATA").await.starts_with("354"));
    client.send(b"Subject: stolen\r\n").await;
    revoke(&alice).await;
    let reply = client.reply().await;
    assert!(reply.starts_with("421 4.7.0 "), "{reply}");
    assert_eq!(client.reply().await, "");
    assert!(texts(&alice.node, SpecialUse::Sent).is_empty());
    alice.close().await;
}

#[tokio::test]
async fn revoked_password_ends_waiting_submission_session() {
    let alice = server().await;
    let mut client = Client::connect(alice.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    client.login("alice", &alice.app_password).await;
    let listed = logins::program_sessions(&alice.node).unwrap();
    assert_eq!((listed.len(), listed[0].protocol), (1, "smtp"));
    logins::end_program_session(&alice.node, listed[0].number);
    assert!(client.reply().await.starts_with("421 4.7.0 "));
    assert_eq!(client.reply().await, "");
    alice.close().await;
}

/// Makes an app password with limits: its scope, and how long it is valid, in milliseconds.
async fn limited(server: &TestServer, scope: AppScope, life_ms: Option<u64>) -> String {
    let expires = life_ms.map(|life| server.node.clock.now().plus_millis(life));
    let limits = AppLimits { scope, expires };
    let made = logins::create_limited_app_password(&server.node, "limited", limits).await;
    made.unwrap().1
}

#[tokio::test]
async fn expired_password_ends_its_sessions() {
    let alice = server().await;
    let password = limited(&alice, AppScope::Both, Some(60_000)).await;
    let mut waiting = plain(alice.addresses.imap).await;
    waiting.ok(&format!("LOGIN alice {password}")).await;
    let mut working = plain(alice.addresses.imap).await;
    working.ok(&format!("LOGIN alice {password}")).await;
    let mut sending = Client::connect(alice.addresses.submission).await;
    sending.command("EHLO laptop.test").await;
    sending.login("alice", &password).await;
    alice.node.clock.advance(60_000);
    working.send("t NOOP\r\n").await;
    assert!(working.line().await.starts_with("* BYE "));
    let reply = sending.command("MAIL FROM:<alice@alice.example>").await;
    assert!(reply.starts_with("421 4.7.0 "), "{reply}");
    logins::end_expired_program_sessions(&alice.node);
    assert!(waiting.line().await.starts_with("* BYE "));
    assert_eq!(waiting.line().await, "");
    let mut late = plain(alice.addresses.imap).await;
    let refused = late.run(&format!("LOGIN alice {password}")).await.pop().unwrap();
    assert!(refused.starts_with("t NO [EXPIRED]"), "{refused}");
    let refused = late.run(&format!("LOGIN bob {password}")).await.pop().unwrap();
    assert!(refused.starts_with("t NO [AUTHENTICATIONFAILED]"), "{refused}");
    assert_eq!(plain_login(&alice, &password).await, "535 5.7.8");
    inbox(&alice).await;
    alice.close().await;
}

/// Code and status of the reply to AUTH PLAIN.
async fn plain_login(server: &TestServer, password: &str) -> String {
    let mut client = Client::connect(server.addresses.submission).await;
    client.command("EHLO laptop.test").await;
    let plain = data_encoding::BASE64.encode(format!("\0alice\0{password}").as_bytes());
    client.command(&format!("AUTH PLAIN {plain}")).await.chars().take(9).collect()
}

#[tokio::test]
async fn password_is_refused_outside_its_scope() {
    let alice = server().await;
    let read = limited(&alice, AppScope::Read, None).await;
    let send = limited(&alice, AppScope::Send, None).await;
    let mut imap = plain(alice.addresses.imap).await;
    let refused = imap.run(&format!("LOGIN alice {send}")).await.pop().unwrap();
    assert!(refused.starts_with("t NO [AUTHORIZATIONFAILED]"), "{refused}");
    imap.ok(&format!("LOGIN alice {read}")).await;
    imap.ok("CREATE New").await;
    assert_eq!(plain_login(&alice, &read).await, "535 5.7.8");
    assert_eq!(plain_login(&alice, &send).await, "235 2.7.0");
    alice.close().await;
}
