use super::*;
use crate::feed::{PhotoRef, PostBody};
use crate::photos::Size;
use crate::shares::Limit;
use crate::store::StoreError;
use crate::testing::{START, TestNode};

const BOB: PersonId = PersonId([2; 32]);

fn post_body(text: &str) -> PostBody {
    PostBody {
        title: Some("A title".into()),
        slug: "a-title".into(),
        text: text.into(),
        published: START,
        ..PostBody::default()
    }
}

fn version(entry: u8, at: Timestamp, post: &PostBody) -> Version<'_> {
    let posted = at.min(START);
    Version {
        author: BOB,
        entry: EntryId([entry; 32]),
        at,
        posted,
        has_blobs: false,
        is_news: true,
        post,
    }
}

async fn post(node: &TestNode, entry: u8, at: Timestamp, post: PostBody) {
    change(node, entry, entry, at, post).await;
}

async fn change(node: &TestNode, of: u8, entry: u8, at: Timestamp, post: PostBody) {
    node.store
        .commit(move |tx| show(tx, &EntryId([of; 32]), &version(entry, at, &post)))
        .await
        .unwrap();
}

fn texts(node: &TestNode) -> Vec<String> {
    page(node, None, 10).unwrap().into_iter().map(|item| item.text).collect()
}

#[tokio::test]
async fn timeline_pages_are_newest_first_without_gaps() {
    let alice = TestNode::new("alice").await;
    post(&alice, 1, Timestamp(START.0 - 1000), post_body("earlier")).await;
    post(&alice, 2, Timestamp(START.0 + 1_000_000_000), post_body("from the future")).await;
    post(&alice, 3, Timestamp(START.0 - 500), post_body("between")).await;
    assert_eq!(texts(&alice), ["from the future", "between", "earlier"]);
    let first = page(&alice, None, 1).unwrap();
    assert_eq!(first[0].shown, START);
    let rest = page(&alice, Some(first[0].cursor().to_string().parse().unwrap()), 10).unwrap();
    assert_eq!(rest.len(), 2);
}

#[tokio::test]
async fn hidden_item_can_be_shown_again() {
    let alice = TestNode::new("alice").await;
    post(&alice, 1, START, post_body("first")).await;
    change(&alice, 1, 2, START.plus_millis(10), post_body("second")).await;
    let item = page(&alice, None, 10).unwrap().remove(0);
    assert_eq!(
        (item.text.as_str(), item.shown, item.edited),
        ("second", START, Some(START.plus_millis(10)))
    );
    change(&alice, 1, 1, START, post_body("first")).await;
    assert_eq!(page(&alice, None, 10).unwrap()[0].edited, None);
    alice.store.commit(|tx| hide(tx, &BOB, &EntryId([1; 32]))).await.unwrap();
    assert_eq!(texts(&alice), [""; 0]);
    change(&alice, 1, 2, START, post_body("second")).await;
    assert_eq!(texts(&alice), ["second"]);
}

#[tokio::test]
async fn only_the_author_changes_a_timeline_item() {
    let alice = TestNode::new("alice").await;
    post(&alice, 1, START, post_body("mine")).await;
    let mallory = PersonId([6; 32]);
    alice
        .store
        .commit(move |tx| {
            let body = post_body("forged");
            let forged = Version { author: mallory, ..version(9, START.plus_millis(5), &body) };
            show(tx, &EntryId([1; 32]), &forged)?;
            hide(tx, &mallory, &EntryId([1; 32]))?;
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    assert_eq!(texts(&alice), ["mine"]);
}

#[tokio::test]
async fn timeline_photo_appears_once_its_blob_arrives() {
    let alice = TestNode::new("alice").await;
    let (large, small) = (alice.blobs.put(b"large").unwrap(), alice.blobs.put(b"small").unwrap());
    let photo = PhotoRef {
        blob: large.id,
        len: 5,
        small: small.id,
        small_len: 5,
        alt: "ä".repeat(2000),
        caption: "ö".repeat(2000),
        width: 4,
        height: 3,
        thumbhash: vec![1; 30],
    };
    let body = PostBody { photos: vec![photo.clone(), photo], ..post_body("look") };
    post(&alice, 1, START, body.clone()).await;
    let wanted = wanted_blobs(&alice, &BOB, None, 100).unwrap();
    assert_eq!(wanted.len(), 2);
    assert!(wanted.iter().all(|w| w.author == BOB && w.len == 5));
    let (large_id, small_id) = (large.id, small.id);
    assert!(image_bytes(&alice, &EntryId([1; 32]), 0, Size::Large).unwrap().is_none());
    assert!(blob_arrived(&alice, BOB, large, Limit::NONE).await.unwrap());
    assert!(blob_arrived(&alice, BOB, small, Limit::NONE).await.unwrap());
    assert_eq!(wanted_blobs(&alice, &BOB, None, 100).unwrap(), []);
    for (number, size, bytes) in [(0, Size::Large, b"large"), (1, Size::Small, b"small")] {
        let reader = image_bytes(&alice, &EntryId([1; 32]), number, size).unwrap().unwrap();
        assert_eq!(reader.read_all(10).unwrap(), bytes);
    }
    // The photo is not wanted again after an edit that shows it too.
    change(&alice, 1, 2, START.plus_millis(1), body).await;
    assert_eq!(wanted_blobs(&alice, &BOB, None, 100).unwrap(), []);
    assert!(page(&alice, None, 1).unwrap()[0].photos[1].has_large);
    let unwanted = alice.blobs.put(b"unwanted").unwrap();
    assert!(!blob_arrived(&alice, BOB, unwanted, Limit::NONE).await.unwrap());
    assert_ne!(large_id, small_id);
}

#[tokio::test]
async fn unread_items_are_counted_until_seen() {
    let alice = TestNode::new("alice").await;
    post(&alice, 1, START, post_body("one")).await;
    post(&alice, 2, Timestamp(1), post_body("an old one that arrives late")).await;
    assert_eq!(unread(&alice).unwrap(), 2);
    let up_to = newest(&alice).unwrap();
    post(&alice, 3, START, post_body("while looking")).await;
    assert_eq!(seen_at(&alice).unwrap(), None);
    mark_seen(&alice, up_to).await.unwrap();
    let first_seen_at = alice.clock.now();
    assert_eq!((unread(&alice).unwrap(), seen_at(&alice).unwrap()), (1, Some(first_seen_at)));
    alice.clock.advance(1000);
    mark_seen(&alice, up_to).await.unwrap();
    assert_eq!(seen_at(&alice).unwrap(), Some(first_seen_at), "no new item was seen");
    let seen: Vec<bool> = page(&alice, None, 10).unwrap().iter().map(|item| item.seen).collect();
    assert_eq!(seen.iter().filter(|s| **s).count(), 2);
    mark_seen(&alice, u64::MAX).await.unwrap();
    assert_eq!(unread(&alice).unwrap(), 0);
}
