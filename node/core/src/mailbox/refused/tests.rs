use super::*;
use crate::mailbox::messages;
use crate::testing::TestNode;

const DAY_MS: u64 = 24 * 3_600_000;

fn refusal(last: u8, reply: &str) -> Refusal {
    Refusal {
        address: IpAddr::from([203, 0, last, 9]),
        sender: "ads@shop.example".into(),
        recipients: vec!["sales@alice.example".into()],
        reply: reply.into(),
        text: None,
    }
}

#[tokio::test]
async fn refusal_is_listed_for_thirty_days() {
    let alice = TestNode::new("alice").await;
    assert!(
        record_refusal(&alice, refusal(1, "550 5.1.1 no such user here")).await.unwrap().is_listed
    );
    alice.clock.advance(DAY_MS);
    assert!(record_refusal(&alice, refusal(1, "552 5.3.4 too large")).await.unwrap().is_listed);
    let listed = refusals(&alice, None, 10).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].reply, "552 5.3.4 too large");
    assert_eq!((listed[1].address.as_str(), listed[1].has_text), ("203.0.1.9", false));
    assert_eq!(refusals(&alice, Some(listed[0].id), 10).unwrap()[0].id, listed[1].id);
    alice.clock.advance(LISTED_MS - DAY_MS + 1);
    assert_eq!(refusals(&alice, None, 10).unwrap().len(), 1);
    assert_eq!(forget_old_refusals(&alice).await.unwrap(), 1);
    alice.clock.advance(DAY_MS);
    assert!(refusals(&alice, None, 10).unwrap().is_empty());
}

#[tokio::test]
async fn refused_message_is_fetched_back_once() {
    let alice = TestNode::new("alice").await;
    let message = b"From: a@shop.example\r\nSubject: Offer\r\n\r\nBuy.\r\n";
    let text = Some(alice.blobs.put(message).unwrap());
    let reply = "550 5.7.1 the recipient does not take this message";
    record_refusal(&alice, Refusal { text, ..refusal(1, reply) }).await.unwrap();
    let listed = refusals(&alice, None, 1).unwrap().remove(0);
    assert!(listed.has_text);
    let first = fetch_back(&alice, listed.id).await.unwrap();
    assert!(refusals(&alice, None, 10).unwrap().is_empty(), "it has left the list");
    assert_eq!(fetch_back(&alice, listed.id).await.unwrap().uid, first.uid);
    let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap();
    assert_eq!(messages(&alice, inbox.id, 0, u32::MAX, 10).unwrap().len(), 1);
    crate::mailbox::delete_for_good(&alice, inbox.id, &[first.uid]).await.unwrap();
    assert_eq!(fetch_back(&alice, listed.id).await.unwrap_err(), FetchBackError::NoText);
}

#[tokio::test]
async fn message_without_kept_text_is_not_fetched() {
    let alice = TestNode::new("alice").await;
    record_refusal(&alice, refusal(1, "550 5.1.1 no such user here")).await.unwrap();
    let listed = refusals(&alice, None, 1).unwrap().remove(0);
    for id in [listed.id, RefusalId([7; 16])] {
        assert_eq!(fetch_back(&alice, id).await.unwrap_err(), FetchBackError::NoText);
    }
}

#[tokio::test]
async fn flood_of_refusals_is_bounded_per_network() {
    let alice = TestNode::new("alice").await;
    let long = "x\r\n".repeat(10_000);
    for network in 0..12 {
        let mut recorded = 0;
        for _ in 0..40 {
            let refusal = Refusal { sender: long.clone(), ..refusal(network, &long) };
            recorded += u64::from(record_refusal(&alice, refusal).await.unwrap().is_listed);
        }
        assert_eq!(recorded, if network < 10 { OF_NETWORK.count } else { 0 }, "{network}");
    }
    let listed = refusals(&alice, None, 1000).unwrap();
    assert_eq!(listed.len() as u64, OF_ALL.count);
    assert!(listed.iter().all(|refused| refused.reply.len() <= FIELD_LEN_MAX));
    assert!(listed.iter().all(|refused| !refused.reply.contains(['\r', '\n'])));
}
