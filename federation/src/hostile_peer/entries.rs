//! Invalid entries.

use freehold_core::apply;
use freehold_core::cbor::Value;
use freehold_core::domains;
use freehold_core::feed;
use freehold_core::feed::EntryHeader;
use freehold_core::hlc::Hlc;
use freehold_core::shares::Share;
use futures::AsyncWriteExt;

use super::*;
use crate::receive;
use crate::wire::feed::log_and_seq;
use crate::wire::sync::Head;

/// Pushes entries; the stream ends for `reason`, and nothing is stored.
async fn assert_push_refused(mut fixture: Fixture, entries: Vec<Entry>, reason: Reason) {
    let mut stream = fixture.sync_stream().await;
    frame::write(&mut stream, &Sync::Push(entries)).await.unwrap();
    assert_eq!(bye_reason(&mut stream).await, reason);
    assert_eq!(fixture.shown_count(), 0);
    assert!(feed::heads(&fixture.alice, &person_id(&fixture.mallory)).unwrap().is_empty());
    fixture.shutdown().await;
}

#[tokio::test]
async fn valid_entry_is_stored_and_its_replay_is_harmless() {
    let mut fixture = Fixture::with_friend().await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    let mut stream = fixture.sync_stream().await;
    for _ in 0..3 {
        frame::write(&mut stream, &Sync::Push(vec![honest.clone()])).await.unwrap();
        let ack =
            wait_for_message(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
        assert!(matches!(ack, Sync::Ack { through: 0, .. }));
    }
    assert_eq!((fixture.shown_count(), timeline::newest(&fixture.alice).unwrap()), (1, 1));
    fixture.shutdown().await;
}

#[tokio::test]
async fn entry_of_a_newer_suite_leaves_the_stream_open() {
    let mut fixture = Fixture::with_friend().await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    let Value::Map(mut fields) = Value::from_canonical(&honest.header).unwrap() else { panic!() };
    // The node's key, with a suite that this release does not know.
    fields[2].1 = Value::Array(vec![Value::Uint(2), Value::Bytes(vec![9; 600])]);
    let newer =
        Entry { header: Value::Map(fields).to_canonical(), signature: vec![3; 666], body: None };
    let mut stream = fixture.sync_stream().await;
    frame::write(&mut stream, &Sync::Push(vec![newer.clone()])).await.unwrap();
    frame::write(&mut stream, &Sync::Push(vec![newer, honest])).await.unwrap();
    let answer = wait_for_message(&mut stream, |message| {
        matches!(message, Sync::Ack { .. } | Sync::Bye { .. })
    })
    .await;
    assert!(matches!(answer, Sync::Ack { through: 0, .. }), "{answer:?}");
    assert_eq!(fixture.shown_count(), 1);
    fixture.shutdown().await;
}

#[tokio::test]
async fn tampered_entry_is_refused() {
    let fixture = Fixture::with_friend().await;
    let mut tampered = append_post(&fixture.mallory, post("hello")).await;
    *tampered.body.as_mut().unwrap().last_mut().unwrap() ^= 1;
    assert_push_refused(fixture, vec![tampered], Reason::Invalid).await;
}

#[tokio::test]
async fn entry_with_a_wrong_signature_is_refused() {
    let fixture = Fixture::with_friend().await;
    let mut tampered = append_post(&fixture.mallory, post("hello")).await;
    tampered.signature[9] ^= 1;
    assert_push_refused(fixture, vec![tampered], Reason::Invalid).await;
}

#[tokio::test]
async fn entries_beyond_the_daily_share_wait_a_day() {
    let mut fixture = Fixture::with_friend().await;
    let friend = person_id(&fixture.mallory);
    fixture.alice.use_up_share(Share::Entries(friend)).await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    let mut stream = fixture.sync_stream().await;
    frame::write(&mut stream, &Sync::Push(vec![honest])).await.unwrap();
    // Alice's own entries are still sent on the same stream.
    append_post(&fixture.alice, post("hello yourself")).await;
    let hers = wait_for_message(&mut stream, |message| {
        matches!(message, Sync::Push(_) | Sync::Have(_) | Sync::Ack { .. } | Sync::Bye { .. })
    })
    .await;
    assert!(matches!(hers, Sync::Push(_) | Sync::Have(_)));
    assert_eq!(fixture.shown_count(), 0);
    fixture.alice.clock.advance(24 * 60 * 60 * 1000);
    let ack = wait_for_message(&mut stream, |message| {
        matches!(message, Sync::Ack { .. } | Sync::Bye { .. })
    })
    .await;
    assert!(matches!(ack, Sync::Ack { through: 0, .. }));
    assert_eq!(fixture.shown_count(), 1);
    fixture.shutdown().await;
}

#[tokio::test]
async fn entry_after_a_gap_is_refused() {
    let fixture = Fixture::with_friend().await;
    append_post(&fixture.mallory, post("not sent")).await;
    let second = append_post(&fixture.mallory, post("hello")).await;
    assert_push_refused(fixture, vec![second], Reason::Invalid).await;
}

#[tokio::test]
async fn entry_of_a_third_person_is_refused() {
    let fixture = Fixture::with_friend().await;
    let carol = test_node("carol").await;
    make_friend(&fixture.alice, &carol).await;
    let hers = append_post(&carol, post("hello")).await;
    assert_push_refused(fixture, vec![hers], Reason::Invalid).await;
}

#[tokio::test]
async fn own_entry_from_a_friend_is_accepted_if_known() {
    let mut fixture = Fixture::with_friend().await;
    let hers = append_post(&fixture.alice, post("hello")).await;
    let honest = append_post(&fixture.mallory, post("hello yourself")).await;
    let mut stream = fixture.sync_stream().await;
    // Every friend is asked for a missing body; another one has answered first.
    frame::write(&mut stream, &Sync::Entries(vec![hers.clone()])).await.unwrap();
    frame::write(&mut stream, &Sync::Push(vec![honest])).await.unwrap();
    let answer = wait_for_message(&mut stream, |message| {
        matches!(message, Sync::Ack { .. } | Sync::Bye { .. })
    })
    .await;
    assert!(matches!(answer, Sync::Ack { through: 0, .. }), "{answer:?}");
    assert_eq!(fixture.shown_count(), 1);
    let unknown = EntryHeader { seq: 77, ..EntryHeader::from_canonical(&hers.header).unwrap() }
        .to_canonical();
    frame::write(&mut stream, &Sync::Entries(vec![Entry { header: unknown, ..hers }]))
        .await
        .unwrap();
    assert_eq!(bye_reason(&mut stream).await, Reason::Invalid);
    fixture.shutdown().await;
}

/// Another entry with the same number, signed by the same key: the other side of a fork.
fn forked_entry(author: &Node, one: &Entry, prev: Option<EntryId>) -> Entry {
    let header = EntryHeader::from_canonical(&one.header).unwrap();
    let header = EntryHeader { hlc: Hlc(header.hlc.0 + 1), prev, ..header }.to_canonical();
    let signature = author.identity.sign(domains::ENTRY, &header).0.to_vec();
    Entry { header, signature, ..one.clone() }
}

#[tokio::test]
async fn forked_log_on_the_unknown_side_compares_as_empty() {
    let mut fixture = Fixture::with_friend().await;
    let mut stored_side = Vec::new();
    for text in ["one", "two", "three"] {
        stored_side.push(append_post(&fixture.mallory, post(text)).await);
    }
    let second = EntryId::of(&stored_side[1].header);
    let earlier =
        forked_entry(&fixture.mallory, &stored_side[1], Some(EntryId::of(&stored_side[0].header)));
    let later = forked_entry(&fixture.mallory, &stored_side[2], Some(EntryId::of(&earlier.header)));
    let (log, _) = log_and_seq(&later).unwrap();
    let mut stream = fixture.sync_stream().await;
    for batch in [stored_side, vec![later.clone()]] {
        frame::write(&mut stream, &Sync::Push(batch)).await.unwrap();
        wait_for_message(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
    }
    let compare = |hi: u64, head: EntryId| {
        let compared = receive::compare(
            &fixture.alice,
            person_id(&fixture.mallory),
            vec![Head { log, lo: 0, hi, head: head.0 }],
        )
        .unwrap();
        compared[0].1
    };
    assert_eq!(compare(1, second), Some((1, second.0)));
    assert_eq!(compare(1, EntryId::of(&earlier.header)), None);
    assert_eq!(compare(2, EntryId::of(&later.header)), None);
    fixture.shutdown().await;
}

#[tokio::test]
async fn newly_missing_body_is_requested_on_the_open_stream() {
    let mut fixture = Fixture::with_friend().await;
    let first = append_post(&fixture.mallory, post("hello")).await;
    let of = EntryId::of(&first.header);
    let node = fixture.mallory.clone();
    let append = move |tx: &mut Tx<'_>| {
        feed::append_only(tx, &node, Lane::PUBLIC, &Body::Edit { of, post: post("goodbye") })
    };
    let edit: EntryId = fixture.mallory.store.commit(append).await.unwrap();
    let one = entry_to_wire(feed::entry(&fixture.mallory, &edit).unwrap().unwrap());
    // Both sides of the fork are edits of one post, whose first body is needed again.
    let other = forked_entry(&fixture.mallory, &one, Some(of));
    let mut stream = fixture.sync_stream().await;
    for batch in [vec![first, one], vec![other]] {
        frame::write(&mut stream, &Sync::Push(batch)).await.unwrap();
        wait_for_message(&mut stream, |message| matches!(message, Sync::Ack { .. })).await;
    }
    while apply::run_due(&fixture.alice).await.unwrap() > 0 {}
    let request =
        wait_for_message(&mut stream, |message| matches!(message, Sync::Lacking(_))).await;
    assert_eq!(request, Sync::Lacking(vec![of.0.into()]));
    fixture.shutdown().await;
}

#[tokio::test]
async fn strangers_entry_is_refused_and_nothing_stored() {
    let fixture = Fixture::new(false, None).await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    assert!(core_identity::log_of(&fixture.alice, &person_id(&fixture.mallory)).unwrap().is_none());
    assert_push_refused(fixture, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn claim_without_the_certified_key_makes_a_stranger() {
    // Mallory, a friend, claims to be the owner: the log that she shows does not certify her key.
    let alice = test_node("alice").await;
    let fixture = Fixture::new(true, Some(person_id(&alice))).await;
    let honest = append_post(&fixture.mallory, post("hello")).await;
    drop(alice);
    assert_push_refused(fixture, vec![honest], Reason::NotFriends).await;
}

#[tokio::test]
async fn oversized_frame_ends_the_stream() {
    let mut fixture = Fixture::with_friend().await;
    let mut stream = fixture.sync_stream().await;
    stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(bye_reason(&mut stream).await, Reason::Invalid);
    fixture.shutdown().await;
}
