use super::*;
use crate::mailbox::{
    FlagChange, SpecialUse, body, changes_since, expunge, folder, folder_named, messages,
    move_messages, remove_expunged, special_folder, store_flags, summaries, view,
};
use crate::testing::TestNode;

fn delivery(node: &Node, folder: FolderId, text: &str, id: IdempotencyKey) -> Delivery {
    let blob = node.blobs.put(text.as_bytes()).unwrap();
    Delivery { folder, blob, id, internal_date: node.clock.now(), flags: Flags::default() }
}

async fn delivered(node: &Node, subject: &str) -> Message {
    let inbox = special_folder(node, SpecialUse::Inbox).unwrap().unwrap();
    let text = format!("From: bob@bob.example\r\nSubject: {subject}\r\n\r\nHello.\r\n");
    deliver(node, delivery(node, inbox.id, &text, IdempotencyKey::new(node))).await.unwrap()
}

#[tokio::test]
async fn uids_have_no_gaps_and_summaries_are_newest_first() {
    let alice = TestNode::new("alice").await;
    for n in 1..=5 {
        assert_eq!(delivered(&alice, &format!("No. {n}")).await.uid, n);
    }
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    assert_eq!((inbox.uid_next, inbox.total, inbox.unseen, inbox.highest_modseq), (6, 5, 5, 6));
    assert_eq!(view(&alice, inbox.id).unwrap().first_unseen, Some(1));
    let listed = summaries(&alice, inbox.id, None, 2).unwrap();
    let subjects: Vec<&str> = listed.iter().map(|(_, s)| s.subject.as_str()).collect();
    assert_eq!(subjects, ["No. 5", "No. 4"]);
    assert_eq!(summaries(&alice, inbox.id, Some(4), 10).unwrap().len(), 3);
    let uids: Vec<u32> =
        messages(&alice, inbox.id, 2, 4, 10).unwrap().iter().map(|m| m.uid).collect();
    assert_eq!(uids, [2, 3, 4]);
    assert_eq!(messages(&alice, inbox.id, 4, 2, 10).unwrap(), []);
    assert_eq!(messages(&alice, inbox.id, 0, u32::MAX, 2).unwrap().len(), 2);
    let text = body(&alice, &listed[0].0).unwrap().read_all(1000).unwrap();
    assert!(text.ends_with(b"Hello.\r\n"));
}

#[tokio::test]
async fn repeated_idempotency_key_stores_one_message() {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    let id = IdempotencyKey::of(&[b"queue item", b"7"]);
    let first = deliver(&alice, delivery(&alice, inbox.id, "x", id)).await.unwrap();
    let again = deliver(&alice, delivery(&alice, inbox.id, "x", id)).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(folder(&alice, inbox.id).unwrap().unwrap().total, 1);
}

#[tokio::test]
async fn expunged_message_is_not_delivered_again_by_its_key() {
    let alice = TestNode::new("alice").await;
    let [inbox, trash] = [SpecialUse::Inbox, SpecialUse::Trash]
        .map(|kind| special_folder(&alice, kind).unwrap().unwrap().id);
    let id = IdempotencyKey::of(&[b"queue item", b"7"]);
    let deliver_again = async || deliver(&alice, delivery(&alice, inbox, "x", id)).await.unwrap();
    let total = |id| folder(&alice, id).unwrap().unwrap().total;
    let remove = async |from, uid| {
        store_flags(&alice, from, &[uid], FlagChange::Add(Flags::of(Flags::DELETED)), None)
            .await
            .unwrap();
        expunge(&alice, from, None).await.unwrap();
        remove_expunged(&alice).await.unwrap();
    };
    let first = deliver_again().await;
    let moved = move_messages(&alice, inbox, &[first.uid], trash).await.unwrap();
    assert_eq!((deliver_again().await.folder, total(inbox), total(trash)), (trash, 0, 1));
    remove(trash, moved[0].1).await;
    assert_eq!((deliver_again().await.uid, total(inbox), total(trash)), (moved[0].1, 0, 0));
    // An expired key may be used again; forgetting the old use must not remove the new one.
    alice.clock.advance(KEY_REMEMBERED + 1);
    let second = deliver_again().await;
    let other = delivered(&alice, "another").await;
    remove(inbox, other.uid).await;
    assert_eq!((deliver_again().await.uid, total(inbox)), (second.uid, 1));
    assert_eq!(alice.store.keys(ExpungedRow::TABLE, &Scan::prefix(&[], 9)).unwrap().len(), 1);
}

#[tokio::test]
async fn delivery_with_bad_folder_or_keyword_stores_nothing() {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    let nowhere = delivery(&alice, FolderId(99), "x", IdempotencyKey::new(&alice));
    assert_eq!(deliver(&alice, nowhere).await, Err(DeliverError::NoSuchFolder));
    let flags = Flags { bits: 0, keywords: vec!["a b".into()] };
    let bad = Delivery { flags, ..delivery(&alice, inbox.id, "x", IdempotencyKey::new(&alice)) };
    assert_eq!(deliver(&alice, bad).await, Err(DeliverError::Flags(FlagError::BadKeyword)));
    assert_eq!(folder(&alice, inbox.id).unwrap(), Some(inbox));
}

#[tokio::test]
async fn malformed_message_is_stored_byte_for_byte() {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    let deep = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n".repeat(2000);
    for text in ["\0\u{1}", "\r\n", &deep, &"x".repeat(1_000_000)] {
        let message =
            deliver(&alice, delivery(&alice, inbox.id, text, IdempotencyKey::new(&alice)))
                .await
                .unwrap();
        assert_eq!(body(&alice, &message).unwrap().read_all(2_000_000).unwrap(), text.as_bytes());
    }
}

#[tokio::test]
async fn changes_since_are_in_modseq_order() {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    delivered(&alice, "one").await;
    let since = folder(&alice, inbox.id).unwrap().unwrap().highest_modseq;
    delivered(&alice, "two").await;
    delivered(&alice, "three").await;
    let changes = changes_since(&alice, inbox.id, since).unwrap();
    assert_eq!(changes.changed.iter().map(|m| m.uid).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(changes_since(&alice, inbox.id, 0).unwrap().changed.len(), 3);
    let none = crate::mailbox::Changes { modseq: changes.modseq, ..Default::default() };
    assert_eq!(changes_since(&alice, inbox.id, u64::MAX).unwrap(), none);
}

#[tokio::test]
async fn large_folder_is_read_in_pages() {
    let many: u32 =
        std::env::var("FREEHOLD_MANY_MESSAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(300);
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    let start = std::time::Instant::now();
    for n in 0..many {
        delivered(&alice, &format!("No. {n}")).await;
    }
    eprintln!("delivered {many} in {:?}", start.elapsed());
    let timed = |what: &str, work: &dyn Fn()| {
        let start = std::time::Instant::now();
        work();
        eprintln!("{what}: {:?}", start.elapsed());
    };
    timed("the newest fifty", &|| {
        assert_eq!(summaries(&alice, inbox.id, None, 50).unwrap().len(), 50)
    });
    timed("fifty in the middle", &|| {
        assert_eq!(summaries(&alice, inbox.id, Some(many / 2), 50).unwrap().len(), 50)
    });
    timed("all folders", &|| assert_eq!(crate::mailbox::folders(&alice).unwrap().len(), 6));
    timed("one message", &|| {
        assert!(crate::mailbox::message(&alice, inbox.id, many / 2).unwrap().is_some())
    });
    let latest = folder(&alice, inbox.id).unwrap().unwrap().highest_modseq - 20;
    timed("the last changes", &|| {
        assert_eq!(changes_since(&alice, inbox.id, latest).unwrap().changed.len(), 20)
    });
    timed("every message", &|| {
        assert_eq!(
            messages(&alice, inbox.id, 0, u32::MAX, usize::MAX).unwrap().len(),
            many as usize
        )
    });
}
