//! Lies about entries.

use freehold_core::apply;
use freehold_core::cbor::Value;
use freehold_core::domains;
use freehold_core::feed;
use freehold_core::feed::EntryHeader;
use freehold_core::hlc::Hlc;
use futures::AsyncWriteExt;

use super::*;
use crate::inbox;
use crate::limits::ENTRIES_MIB_PER_FRIEND_DAY;
use crate::wire::sync::Head;

/// What a friend pushes, and for what reason the stream ends; nothing of it is shown.
async fn pushed(mut scene: Scene, entries: Vec<Entry>, reason: Reason) {
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(entries)).await.unwrap();
    assert_eq!(refused(&mut stream).await, reason);
    assert_eq!(scene.shown(), 0);
    assert!(feed::heads(&scene.alice, &id(&scene.mallory)).unwrap().is_empty());
    scene.end().await;
}

#[tokio::test]
async fn an_honest_entry_is_taken_and_a_replay_changes_nothing() {
    let mut scene = Scene::with_a_friend().await;
    let honest = entry(&scene.mallory, post("hello")).await;
    let mut stream = scene.sync().await;
    for _ in 0..3 {
        frame::write(&mut stream, &Sync::Push(vec![honest.clone()])).await.unwrap();
        let ack = hear(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
        assert!(matches!(ack, Sync::Ack { through: 0, .. }));
    }
    assert_eq!((scene.shown(), timeline::newest(&scene.alice).unwrap()), (1, 1));
    scene.end().await;
}

#[tokio::test]
async fn an_entry_of_a_newer_suite_ends_no_stream() {
    let mut scene = Scene::with_a_friend().await;
    let honest = entry(&scene.mallory, post("hello")).await;
    let Value::Map(mut fields) = Value::from_canonical(&honest.header).unwrap() else { panic!() };
    // The node's key, of a suite that nobody has yet.
    fields[2].1 = Value::Array(vec![Value::Uint(2), Value::Bytes(vec![9; 600])]);
    let newer =
        Entry { header: Value::Map(fields).to_canonical(), signature: vec![3; 666], body: None };
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(vec![newer.clone()])).await.unwrap();
    frame::write(&mut stream, &Sync::Push(vec![newer, honest])).await.unwrap();
    let answer =
        hear(&mut stream, |message| matches!(message, Sync::Ack { .. } | Sync::Bye { .. })).await;
    assert!(matches!(answer, Sync::Ack { through: 0, .. }), "{answer:?}");
    assert_eq!(scene.shown(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_tampered_entry_is_refused() {
    let scene = Scene::with_a_friend().await;
    let mut body = entry(&scene.mallory, post("hello")).await;
    *body.body.as_mut().unwrap().last_mut().unwrap() ^= 1;
    pushed(scene, vec![body], Reason::Invalid).await;
}

#[tokio::test]
async fn a_wrong_signature_is_refused() {
    let scene = Scene::with_a_friend().await;
    let mut unsigned = entry(&scene.mallory, post("hello")).await;
    unsigned.signature[9] ^= 1;
    pushed(scene, vec![unsigned], Reason::Invalid).await;
}

#[tokio::test]
async fn what_a_friend_brings_beyond_a_days_entries_waits_for_the_next_day() {
    let mut scene = Scene::with_a_friend().await;
    let friend = id(&scene.mallory);
    let day = u64::from(ENTRIES_MIB_PER_FRIEND_DAY) << 20;
    assert!(scene.federation.shared.entry_shares.take(friend, day, scene.alice.clock.now()));
    let honest = entry(&scene.mallory, post("hello")).await;
    let mut stream = scene.sync().await;
    let first = honest.clone();
    frame::write(&mut stream, &Sync::Push(vec![first])).await.unwrap();
    // What Alice says goes on to the friend meanwhile, on the same stream.
    entry(&scene.alice, post("hello yourself")).await;
    let hers = hear(&mut stream, |message| {
        matches!(message, Sync::Push(_) | Sync::Have(_) | Sync::Ack { .. } | Sync::Bye { .. })
    })
    .await;
    assert!(matches!(hers, Sync::Push(_) | Sync::Have(_)));
    assert_eq!(scene.shown(), 0);
    scene.alice.clock.advance(24 * 60 * 60 * 1000);
    let ack =
        hear(&mut stream, |message| matches!(message, Sync::Ack { .. } | Sync::Bye { .. })).await;
    assert!(matches!(ack, Sync::Ack { through: 0, .. }));
    assert_eq!(scene.shown(), 1);
    scene.end().await;
}

#[tokio::test]
async fn a_gap_is_refused() {
    let scene = Scene::with_a_friend().await;
    entry(&scene.mallory, post("kept back")).await;
    let second = entry(&scene.mallory, post("hello")).await;
    pushed(scene, vec![second], Reason::Invalid).await;
}

#[tokio::test]
async fn another_persons_entry_is_refused() {
    let scene = Scene::with_a_friend().await;
    let carol = person("carol").await;
    make_friend(&scene.alice, &carol).await;
    let hers = entry(&carol, post("hello")).await;
    pushed(scene, vec![hers], Reason::Invalid).await;
}

#[tokio::test]
async fn what_the_owner_has_said_may_be_brought_by_every_friend_who_was_asked_and_nothing_else_of_theirs()
 {
    let mut scene = Scene::with_a_friend().await;
    let hers = entry(&scene.alice, post("hello")).await;
    let honest = entry(&scene.mallory, post("hello yourself")).await;
    let mut stream = scene.sync().await;
    // Another friend was asked as well, and was faster.
    frame::write(&mut stream, &Sync::Entries(vec![hers.clone()])).await.unwrap();
    frame::write(&mut stream, &Sync::Push(vec![honest])).await.unwrap();
    let answer =
        hear(&mut stream, |message| matches!(message, Sync::Ack { .. } | Sync::Bye { .. })).await;
    assert!(matches!(answer, Sync::Ack { through: 0, .. }), "{answer:?}");
    assert_eq!(scene.shown(), 1);
    let never = EntryHeader { seq: 77, ..EntryHeader::from_canonical(&hers.header).unwrap() }
        .to_canonical();
    frame::write(&mut stream, &Sync::Entries(vec![Entry { header: never, ..hers }])).await.unwrap();
    assert_eq!(refused(&mut stream).await, Reason::Invalid);
    scene.end().await;
}

/// What stands at an entry's place on the other side of a fork, behind another entry.
fn other_side(author: &Node, one: &Entry, prev: Option<EntryId>) -> Entry {
    let header = EntryHeader::from_canonical(&one.header).unwrap();
    let header = EntryHeader { hlc: Hlc(header.hlc.0 + 1), prev, ..header }.to_canonical();
    let signature = author.identity.sign(domains::ENTRY, &header).0.to_vec();
    Entry { header, signature, ..one.clone() }
}

#[tokio::test]
async fn a_log_that_forked_is_asked_for_from_its_beginning_unless_it_ends_on_the_side_that_is_held()
{
    let mut scene = Scene::with_a_friend().await;
    let mut side = Vec::new();
    for text in ["one", "two", "three"] {
        side.push(entry(&scene.mallory, post(text)).await);
    }
    let second = EntryId::of(&side[1].header);
    let earlier = other_side(&scene.mallory, &side[1], Some(EntryId::of(&side[0].header)));
    let later = other_side(&scene.mallory, &side[2], Some(EntryId::of(&earlier.header)));
    let (log, _) = later.place().unwrap();
    let mut stream = scene.sync().await;
    for batch in [side, vec![later.clone()]] {
        frame::write(&mut stream, &Sync::Push(batch)).await.unwrap();
        hear(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
    }
    let compare = |hi: u64, at: EntryId| {
        let compared = inbox::compare(
            &scene.alice,
            id(&scene.mallory),
            vec![Head { log, lo: 0, hi, head: at.0 }],
        )
        .unwrap();
        compared[0].1
    };
    assert_eq!(compare(1, second), Some((1, second.0)));
    assert_eq!(compare(1, EntryId::of(&earlier.header)), None);
    assert_eq!(compare(2, EntryId::of(&later.header)), None);
    scene.end().await;
}

#[tokio::test]
async fn what_is_found_lacking_later_is_asked_for_on_the_open_stream() {
    let mut scene = Scene::with_a_friend().await;
    let first = entry(&scene.mallory, post("hello")).await;
    let of = EntryId::of(&first.header);
    let node = scene.mallory.clone();
    let say = move |tx: &mut Tx<'_>| {
        feed::append_only(tx, &node, Lane::PUBLIC, &Body::Edit { of, post: post("goodbye") })
    };
    let edit: EntryId = scene.mallory.store.commit(say).await.unwrap();
    let one = push::entry_to_wire(feed::entry(&scene.mallory, &edit).unwrap().unwrap());
    // What both sides replaced is shown again.
    let other = other_side(&scene.mallory, &one, Some(of));
    let mut stream = scene.sync().await;
    for batch in [vec![first, one], vec![other]] {
        frame::write(&mut stream, &Sync::Push(batch)).await.unwrap();
        hear(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
    }
    while apply::run_due(&scene.alice).await.unwrap() > 0 {}
    let asked = hear(&mut stream, |message| matches!(message, Sync::Lacking(_))).await;
    assert_eq!(asked, Sync::Lacking(vec![of.0.into()]));
    scene.end().await;
}

#[tokio::test]
async fn an_unknown_person_is_refused_and_leaves_no_trace() {
    let scene = Scene::new(false, None).await;
    let honest = entry(&scene.mallory, post("hello")).await;
    assert!(core_identity::log_of(&scene.alice, &id(&scene.mallory)).unwrap().is_none());
    pushed(scene, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn a_friends_name_without_their_key_is_a_strangers() {
    // Mallory, a friend, claims to be the owner herself: the log she shows for that does not name
    // her key.
    let alice = person("alice").await;
    let scene = Scene::new(true, Some(id(&alice))).await;
    let honest = entry(&scene.mallory, post("hello")).await;
    drop(alice);
    pushed(scene, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn an_oversized_frame_is_refused() {
    let mut scene = Scene::with_a_friend().await;
    let mut stream = scene.sync().await;
    stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(refused(&mut stream).await, Reason::Invalid);
    scene.end().await;
}
