//! Friends' nodes as outgoing hosts: the signature of a friend's message, its way to the world, and
//! the owner's own mail on its way to a friend.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::friends;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue;
use freehold_core::mailbox::relay::{self, RelayRefusal, RelayRequest, RelayVerdict};
use freehold_core::smarthost::{self, Smarthost};
use freehold_core::testing::TestNode;
use freehold_mail::MailConfig;
use mail_auth::dkim::Canonicalization;
use tokio::net::TcpListener;

use crate::authentication::{signed, zone};
use crate::dns::{self, Answer, Zone};
use crate::next_hop::{emptied, next_hop};
use crate::queue::{first, route};
use crate::server::{TestServer, until};

const TEXT: &str = "From: Bob <bob@bob.example>\r\nSubject: hello\r\n\r\nHello.\r\n";
const FAR: &str = "dora@far.house";

/// Alice's server, which sends the mail of her friend Bob.
async fn server(zone: Zone) -> (TestServer, PersonId, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = MailConfig {
        dns_servers: vec![dns::serve(zone).await],
        ..route("far.house", listener.local_addr().unwrap())
    };
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, "bob@bob.example").await;
    let person = bob.identity.person().unwrap();
    friends::set_relayed(&alice, person, true).await.unwrap();
    // The route of the configuration comes first.
    let smarthost = Smarthost::new("127.0.0.1:9", "", "").unwrap();
    smarthost::set(&alice, smarthost).await.unwrap();
    (TestServer::open(alice.allowing_queued_mail(), config).await, person, listener)
}

async fn bring(alice: &TestServer, person: PersonId, id: u8, text: &str) {
    let request = RelayRequest {
        person,
        id: [id; 16],
        sender: "bob@bob.example".to_owned(),
        recipients: vec![FAR.to_owned().into()],
        refused: Vec::new(),
        text: alice.node.blobs.put(text.as_bytes()).unwrap(),
    };
    relay::take(&alice.node, request).await.unwrap();
}

async fn verdict(alice: &TestServer, person: PersonId, id: u8) -> RelayVerdict {
    let read = || relay::verdict(&alice.node, &person, &[id; 16]).unwrap();
    until(&alice.node, || read().is_some()).await;
    read().unwrap()
}

#[tokio::test]
async fn friends_signed_message_goes_to_the_world() {
    let (alice, person, listener) = server(zone("none")).await;
    let playing = tokio::spawn(next_hop(listener, &[]));
    bring(&alice, person, 1, &signed("bob.example", Canonicalization::Relaxed, TEXT)).await;
    assert_eq!(verdict(&alice, person, 1).await, RelayVerdict::Accepted(Vec::new()));
    emptied(&alice.node).await;
    alice.close().await;
    let commands = playing.await.unwrap();
    for expected in ["MAIL FROM:<bob@bob.example>", "RCPT TO:<dora@far.house>", "DATA"] {
        assert!(commands.iter().any(|command| command.starts_with(expected)), "{commands:?}");
    }
}

#[tokio::test]
async fn message_without_a_good_signature_is_not_relayed() {
    let zone = zone("none").text(
        "key._domainkey.mallory.example",
        "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    );
    let (alice, person, _listener) = server(zone).await;
    let good = signed("bob.example", Canonicalization::Relaxed, TEXT);
    for (id, text) in [
        (1, TEXT.to_owned()),
        (2, signed("mallory.example", Canonicalization::Relaxed, TEXT)),
        (3, good.replace("Hello.", "Pay me.")),
        (4, good.replace("d=bob.example", "d=bob.example; l=2")),
        (5, good.replace("Subject: hello", "Subject: hell")),
    ] {
        bring(&alice, person, id, &text).await;
        let refused = RelayVerdict::Refused(RelayRefusal::Unsigned);
        assert_eq!(verdict(&alice, person, id).await, refused, "{id}");
    }
    assert_eq!(queue::queued(&alice.node, 10).unwrap(), []);
    alice.close().await;
}

#[tokio::test]
async fn message_without_an_answer_of_dns_waits_for_it() {
    let zone = Zone::default().with("key._domainkey.bob.example", Answer::Failure);
    let (alice, person, _listener) = server(zone).await;
    bring(&alice, person, 1, &signed("bob.example", Canonicalization::Relaxed, TEXT)).await;
    // Another one is checked after it.
    bring(&alice, person, 2, TEXT).await;
    verdict(&alice, person, 2).await;
    assert_eq!(relay::verdict(&alice.node, &person, &[1; 16]).unwrap(), None);
    assert_eq!(relay::unverified(&alice.node, 10).unwrap().len(), 1);
    alice.node.clock.advance(60 * 60 * 1000);
    alice.node.events.send(freehold_core::events::Event::Relay);
    until(&alice.node, || relay::unverified(&alice.node, 10).unwrap().is_empty()).await;
    assert_eq!(relay::verdict(&alice.node, &person, &[1; 16]).unwrap(), None, "it is asked again");
    alice.close().await;
}

#[tokio::test]
async fn own_message_is_signed_for_the_friends_node() {
    let (alice, bob) = (TestNode::at("alice", "alice.house").await, TestNode::new("bob").await);
    alice.make_friends(&bob).await;
    let person = bob.identity.person().unwrap();
    friends::send_by(&alice, person).await.unwrap();
    let mut zone = Zone::default();
    for record in freehold_mail::dkim::records(&alice, None).await.unwrap() {
        zone = zone.text(&record.name, &record.value);
    }
    for (zone, is_published) in [(Zone::default(), false), (zone, true)] {
        let config =
            MailConfig { dns_servers: vec![dns::serve(zone).await], ..MailConfig::default() };
        let node = alice.restarted();
        let submission = queue::Submission {
            id: freehold_core::mailbox::IdempotencyKey([u8::from(is_published); 16]),
            from: "alice@alice.house".into(),
            recipients: vec![FAR.to_owned().into()],
            blob: node.blobs.put(b"From: alice@alice.house\r\n\r\nx\r\n").unwrap(),
            copy_to_sent: false,
            request: queue::ReportRequest::default(),
            limits: queue::SendLimits::NONE,
            not_before: None,
        };
        let id = queue::submit(&node, submission).await.unwrap();
        let (mail, _) =
            crate::server::serve(node.clone(), config, "127.0.0.1:0".parse().unwrap()).await;
        until(&node, || {
            let to = &queue::item(&node, id).unwrap().unwrap().recipients[0];
            to.attempts > 0 || to.relay_batch().is_some()
        })
        .await;
        let item = queue::item(&node, id).unwrap().unwrap();
        match is_published {
            true => {
                assert_eq!(item.recipients[0].waits_for_friend(), Some(person));
                assert_eq!(item.prefix.matches("DKIM-Signature:").count(), 2);
            }
            false => assert!(first(&node).last_reply.contains("4.7.20"), "{item:?}"),
        }
        mail.shutdown(std::time::Duration::from_secs(5)).await;
        queue::drop_item(&node, id).await.unwrap();
    }
}
