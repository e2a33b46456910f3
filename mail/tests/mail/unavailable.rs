//! Mail while the store can't be written, or not even read.

use crate::imap::{deliver, inbox, open, plain};
use crate::server::{Client, TestServer};

/// The reply to AUTH PLAIN with the right password, on a new connection.
async fn authenticated(server: &TestServer) -> String {
    let mut client = Client::raw(server.addresses.smtps).await.encrypt(server).await;
    client.reply().await;
    client.command("EHLO laptop").await;
    let plain = format!("\0alice@alice.example\0{}", server.app_password);
    let plain = data_encoding::BASE64.encode(plain.as_bytes());
    client.command(&format!("AUTH PLAIN {plain}")).await
}

#[tokio::test]
async fn unreadable_store_is_no_wrong_app_password() {
    let server = open().await;
    let login = format!("LOGIN alice {}", server.app_password);
    server.node.fail_rows().await;
    for _ in 0..3 {
        let mut program = plain(server.addresses.imap).await;
        let refused = program.run(&login).await.pop().unwrap();
        assert!(refused.starts_with("t NO [UNAVAILABLE]"), "{refused}");
        let refused = authenticated(&server).await;
        assert!(refused.starts_with("451 4.3.0"), "{refused}");
    }
    server.node.recover_rows();
    plain(server.addresses.imap).await.ok(&login).await;
    assert!(authenticated(&server).await.starts_with("235"));
}

#[tokio::test]
async fn stopped_log_lets_mail_be_read_and_refuses_changes() {
    let server = open().await;
    deliver(&server.node, b"Subject: one\r\n\r\nwords\r\n").await;
    server.node.fail_disk().await;
    // The login succeeds although the time of the last use can't be stored.
    let mut program = inbox(&server).await;
    let fetched = program.ok("FETCH 1 BODY.PEEK[TEXT]").await;
    assert!(fetched.iter().any(|line| line.contains("words")), "{fetched:?}");
    program.ok("FETCH 1 BODY[TEXT]").await;
    for command in ["STORE 1 +FLAGS (\\Deleted)", "CREATE New"] {
        let refused = program.run(command).await.pop().unwrap();
        assert!(refused.starts_with("t NO [UNAVAILABLE]"), "{command}: {refused}");
    }
    let mut sender = Client::connect(server.addresses.smtp).await;
    sender.command("EHLO bob.example").await;
    sender.command("MAIL FROM:<bob@bob.example>").await;
    sender.command("RCPT TO:<alice@alice.example>").await;
    let begun = sender.command("DATA").await;
    let reply = match begun.starts_with("354") {
        true => sender.command("Subject: two\r\n\r\nmore\r\n.").await,
        false => begun,
    };
    assert!(reply.starts_with("451"), "{reply}");
    server.node.disk().heal();
    while !server.node.store.health().is_ready() {
        tokio::task::yield_now().await;
    }
    program.ok("STORE 1 +FLAGS (\\Deleted)").await;
    program.ok("EXPUNGE").await;
    server.close().await;
}
