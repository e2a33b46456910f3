//! Mail to the owner's further addresses.

use freehold_core::aliases;
use freehold_core::mailbox::SpecialUse;
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;

use crate::server::{Client, TestServer, texts};

#[tokio::test]
async fn alias_takes_mail_until_it_is_switched_off() {
    let alice = TestServer::open(TestNode::new("alice").await, MailConfig::default()).await;
    aliases::add(&alice.node, "shop", "").await.unwrap();
    let mut client = Client::connect(alice.addresses.smtp).await;
    client.command("EHLO mail.bob.example").await;
    client.command("MAIL FROM:<Bob@bob.example>").await;
    assert!(client.command("RCPT TO:<Shop+x@alice.example>").await.starts_with("250"));
    assert!(client.command("RCPT TO:<other@alice.example>").await.starts_with("550 5.1.1"));
    assert!(client.command("DATA").await.starts_with("354"));
    client.send(b"Subject: s\r\n\r\nHello.\r\n").await;
    assert!(client.command(".").await.starts_with("250"));
    assert_eq!(texts(&alice.node, SpecialUse::Inbox).len(), 1);
    let alias = aliases::aliases(&alice.node).unwrap().remove(0);
    assert_eq!((alias.messages, alias.senders[0].address.as_str()), (1, "bob@bob.example"));
    aliases::switch(&alice.node, "shop", false).await.unwrap();
    client.command("MAIL FROM:<bob@bob.example>").await;
    assert!(client.command("RCPT TO:<shop@alice.example>").await.starts_with("550 5.1.1"));
    aliases::set_catch_all(&alice.node, true).await.unwrap();
    assert!(client.command("RCPT TO:<shop@alice.example>").await.starts_with("550 5.1.1"));
    assert!(client.command("RCPT TO:<other@alice.example>").await.starts_with("250"));
    alice.close().await;
}
