//! A revoked app password ends the sessions that it opened, at their next command and while they
//! wait.

use freehold_core::logins;
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
