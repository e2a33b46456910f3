//! More rows than fit one commit: edits, references, forked logs, photos, entries that are due
//! together.

use super::*;
use crate::apply::entries_allowance;
use crate::events::Event;
use crate::fs::MemoryFs;
use crate::shares::{self, Allowance};
use crate::testing::MemoryStart;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn edits(of: EntryId, count: usize) -> Vec<Body> {
    (0..count).map(|number| Body::Edit { of, post: note(&format!("secret {number}")) }).collect()
}

fn posts(count: usize, photos: u8) -> Vec<Body> {
    let post = |number| {
        Body::Post(PostBody {
            photos: (0..photos).map(photo).collect(),
            ..note(&format!("post {number}"))
        })
    };
    (0..count).map(post).collect()
}

#[tokio::test]
async fn post_with_thousands_of_edits_is_deleted_at_once() {
    let (alice, bob) = two_friends().await;
    let first = chain(&alice, 7, None, 0, &posts(1, 0));
    let of = ids(&first)[0];
    receive_all(&bob, &alice, &first).await;
    let edits = chain(&alice, 7, Some(of), 1, &edits(of, 3_000));
    for day in edits.chunks(50) {
        assert_eq!(receive_all(&bob, &alice, day).await.accepted, 50);
        bob.clock.advance(DAY_MS);
    }
    assert_eq!(shown_texts(&bob), ["secret 2999"]);
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 1, "only the newest version has a body");

    let end = chain(&alice, 7, ids(&edits).last().copied(), 3_001, &[Body::Tombstone { of }]);
    assert_eq!(receive_all(&bob, &alice, &end).await.accepted, 1);
    assert!(shown_texts(&bob).is_empty());
    assert!(!is_stored(&bob, "secret") && !is_stored(&bob, "post 0"));
}

#[tokio::test]
async fn waiting_edits_are_dropped_with_their_post() {
    let (alice, bob) = two_friends().await;
    let first = chain(&alice, 7, None, 0, &posts(1, 0));
    let of = ids(&first)[0];
    receive_all(&bob, &alice, &first).await;
    alice.clock.advance(3_600_000);
    let waiting = chain(&alice, 7, Some(of), 1, &edits(of, 1_100));
    receive_all(&bob, &alice, &waiting).await;
    assert_eq!(shown_texts(&bob), ["post 0"]);
    let mut end = chain(&alice, 8, Some(of), 0, &[Body::Tombstone { of }]);
    let mut header = EntryHeader::from_canonical(&end[0].header).unwrap();
    header.hlc = Hlc::at(START);
    end[0] = signed(&alice, &header, end[0].body.as_ref().unwrap());
    receive_all(&bob, &alice, &end).await;
    assert!(shown_texts(&bob).is_empty(), "hidden at once");
    assert!(one_step(&bob).await);
    assert!(is_stored(&bob, "secret"));
    run_due(&bob).await.unwrap();
    assert!(!is_stored(&bob, "secret"));
    assert_eq!(next_due(&bob).unwrap(), Some(alice.clock.now()));
    bob.clock.advance(4_000_000);
    run_due(&bob).await.unwrap();
    assert_eq!((shown_texts(&bob).len(), next_due(&bob).unwrap()), (0, None));
}

/// An entry whose id sorts among the last.
fn entry_with_high_id(
    node: &Node,
    kind: Kind,
    of: EntryId,
    text: &str,
    seq: u64,
    prev: EntryId,
) -> RawEntry {
    for salt in 0..=u8::MAX {
        let body = match kind {
            Kind::Edit => Body::Edit { of, post: note(text) },
            _ => Body::Tombstone { of },
        };
        let bytes = body.to_canonical([salt; 16]);
        let mut header = EntryHeader {
            seq,
            prev: Some(prev),
            kind,
            refs: vec![of],
            ..next_header(node, &bytes)
        };
        header.log.epoch = 7;
        let entry = signed(node, &header, &bytes);
        if EntryId::of(&entry.header).0[0] > 0xe8 {
            return entry;
        }
    }
    unreachable!("one in eleven ids is as high")
}

#[tokio::test]
async fn foreign_edit_flood_hides_no_own_edit_or_tombstone() {
    let (alice, mallory) = two_friends().await;
    let bob = claimed_node(3).await;
    add_friend(&bob, &alice).await;
    add_friend(&bob, &mallory).await;
    let first = chain(&alice, 7, None, 0, &posts(2, 0));
    let [one, two] = ids(&first)[..] else { panic!() };
    let flood: Vec<_> = edits(one, 1_300)
        .into_iter()
        .chain(edits(two, 1_300))
        .chain([Body::Tombstone { of: one }])
        .collect();
    let flood = chain(&mallory, 7, None, 0, &flood);
    // More than a friend's share of one day.
    let (first_day, second_day) = flood.split_at(1_300);
    assert_eq!(receive_all(&bob, &mallory, first_day).await.accepted, 1_300);
    bob.clock.advance(DAY_MS);
    assert_eq!(receive_all(&bob, &mallory, second_day).await.accepted, 1_301);
    assert_eq!(heads(&bob, &person_id(&mallory)).unwrap()[0].hi + 1, 2_601, "all are stored");

    // The first post is edited; the second is deleted before its body arrives.
    let edit = entry_with_high_id(&alice, Kind::Edit, one, "edited by its author", 2, two);
    let end = entry_with_high_id(&alice, Kind::Tombstone, two, "", 3, EntryId::of(&edit.header));
    let bare = |entry: &RawEntry| RawEntry { body: None, ..entry.clone() };
    let early = [bare(&first[0]), bare(&first[1]), edit, end];
    receive_all(&bob, &alice, &early).await;
    receive_all(&bob, &alice, &first).await;
    assert_eq!(shown_texts(&bob), ["edited by its author"]);
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 1);
}

/// Bob's node on a disk that outlives a restart.
fn bob_on(memory: &MemoryFs, boot: u8) -> Node {
    let random = Random::seeded(u64::from(boot) + 1);
    MemoryStart::new(memory.clone()).boot(boot).open(Clock::manual(START), random).unwrap()
}

#[tokio::test]
async fn forked_log_is_undone_in_resumable_steps() {
    let memory = MemoryFs::new();
    let (alice, bob) = (claimed_node(1).await, bob_on(&memory, 1));
    identity::create_with(&bob, Mnemonic::from_entropy([2; 32])).await.unwrap();
    add_friend(&bob, &alice).await;
    let log = chain(&alice, 7, None, 0, &posts(2_500, 0));
    // The share of one day, and the rest.
    assert_eq!(receive_all(&bob, &alice, &log[..2_000]).await.accepted, 2_000);
    bob.clock.advance(DAY_MS);
    assert_eq!(receive_all(&bob, &alice, &log[2_000..]).await.accepted, 500);
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 2_500);
    let mut events = bob.events.subscribe();
    let other = chain(&alice, 7, Some(ids(&log)[9]), 10, &[Body::Post(note("the other side"))]);
    assert_eq!(receive_all(&bob, &alice, &other).await.forked.len(), 1);
    let proof = forks(&bob, &person_id(&alice)).unwrap().remove(0);
    assert_eq!(
        (proof.seq, &proof.one.header, &proof.other.header),
        (10, &log[10].header, &other[0].header)
    );
    assert_eq!(next_due(&bob).unwrap(), Some(Timestamp(0)), "a job waits");
    assert!(
        std::iter::from_fn(|| events.try_recv().ok()).any(|event| event == Event::Timeline),
        "the timeline event was sent"
    );
    for _ in 0..1_000 {
        assert!(one_step(&bob).await);
    }
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 1_500);
    bob.store.close();
    drop(bob);

    let bob = bob_on(&memory, 2);
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 1_500);
    let more = chain(&alice, 7, ids(&log).last().copied(), 2_500, &[Body::Post(note("more"))]);
    assert_eq!(receive_all(&bob, &alice, &more).await.voided, 1, "the log has ended");
    assert_eq!(run_due(&bob).await.unwrap(), 1_491);
    assert_eq!(
        (
            count_bodies(&bob, &person_id(&alice)),
            crate::timeline::page(&bob, None, 100).unwrap().len()
        ),
        (10, 10)
    );
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());

    // A second fork at a lower sequence number cuts the log there.
    let earlier = chain(&alice, 7, Some(ids(&log)[3]), 4, &[Body::Post(note("a third side"))]);
    assert_eq!(receive_all(&bob, &alice, &earlier).await.forked.len(), 1);
    run_due(&bob).await.unwrap();
    assert_eq!(
        (count_bodies(&bob, &person_id(&alice)), forks(&bob, &person_id(&alice)).unwrap()[0].seq),
        (4, 4)
    );
}

#[tokio::test]
async fn batch_is_split_by_rows_written() {
    let (alice, bob) = two_friends().await;
    // Each of these writes some hundred rows.
    let log = chain(&alice, 7, None, 0, &posts(64, 32));
    assert_eq!(receive_all(&bob, &alice, &log).await.accepted, 64);
    assert_eq!(crate::timeline::page(&bob, None, 100).unwrap().len(), 64);
}

#[tokio::test]
async fn oversized_part_is_taken_in_halves() {
    let (alice, bob) = two_friends().await;
    let log = chain(&alice, 7, None, 0, &posts(32, 32));
    receive_all(&bob, &alice, &log).await;
    // Each edit is small but removes the rows of 32 photos: its length does not show its cost.
    let edits: Vec<_> =
        ids(&log).into_iter().map(|of| Body::Edit { of, post: note("no photos") }).collect();
    let edits = chain(&alice, 7, ids(&log).last().copied(), 32, &edits);
    assert_eq!(receive_all(&bob, &alice, &edits).await.accepted, 32);
    assert!(
        crate::timeline::page(&bob, None, 100).unwrap().iter().all(|item| item.photos.is_empty())
    );
}

/// Posts with 32 photos each that all expire at the same time.
async fn receive_expiring(alice: &Node, bob: &Node, count: usize) -> Vec<RawEntry> {
    let mut prev = None;
    let expire = |(seq, body): (u64, Body)| {
        let bytes = body.to_canonical([9; 16]);
        let expires = Some(START.plus_millis(10_000));
        let mut header = EntryHeader { seq, prev, expires, ..next_header(alice, &bytes) };
        header.log.epoch = 7;
        let raw = signed(alice, &header, &bytes);
        prev = Some(EntryId::of(&raw.header));
        raw
    };
    let log: Vec<_> = (0..).zip(posts(count, 32)).map(expire).collect();
    receive_all(bob, alice, &log).await;
    bob.clock.advance(20_000);
    log
}

#[tokio::test]
async fn entries_due_together_are_handled_one_by_one() {
    let (alice, bob) = two_friends().await;
    receive_expiring(&alice, &bob, 40).await;
    assert_eq!(run_due(&bob).await.unwrap(), 40);
    assert_eq!((count_bodies(&bob, &person_id(&alice)), next_due(&bob).unwrap()), (0, None));
}

#[tokio::test]
async fn failing_due_entry_holds_up_no_other() {
    let (alice, bob) = two_friends().await;
    let log = receive_expiring(&alice, &bob, 3).await;
    let mut order = ids(&log);
    order.sort();
    let damaged = order[0];
    bob.store
        .commit(move |tx| tx.put(Table::new("feed_entries"), &damaged.0, b"not a row"))
        .await
        .unwrap();
    assert_eq!(run_due(&bob).await.unwrap(), 2);
    assert_eq!(
        (shown_texts(&bob).len(), next_due(&bob).unwrap()),
        (1, None),
        "the damaged row stays"
    );
}

#[tokio::test]
async fn friend_stores_at_most_the_share_of_the_day() {
    let (alice, bob) = two_friends().await;
    let log = chain(&alice, 7, None, 0, &posts(2_200, 0));
    let batch = |node, entries: &[RawEntry]| receive(node, person_id(&alice), entries.to_vec());
    let mut last = Ok(Received::default());
    for entries in log.chunks(RECEIVE_MAX) {
        last = batch(&bob, entries).await;
        if last.is_err() {
            break;
        }
    }
    assert_eq!(last, Err(Refused::ShareUsedUp));
    let stored = || heads(&bob, &person_id(&alice)).unwrap()[0].hi + 1;
    let first = stored();
    assert!((2_000..2_032).contains(&first), "{first}");
    let (again, next) = (restarted(&bob, 5), usize::try_from(first).unwrap());
    assert_eq!(batch(&again, &log[next..next + 1]).await, Err(Refused::ShareUsedUp));
    assert_eq!(batch(&again, &log[..10]).await.unwrap().known, 10, "known entries cost nothing");
    bob.clock.advance(DAY_MS);
    assert_eq!(batch(&again, &log[next..]).await.unwrap().accepted, log.len() - next);
    assert_eq!(stored(), 2_200);
}

#[tokio::test]
async fn long_entries_are_charged_by_their_space_on_disk() {
    let (alice, bob) = two_friends().await;
    let long = Body::Post(note(&"long ".repeat(12_000)));
    receive_all(&bob, &alice, &chain(&alice, 7, None, 0, &vec![long; 10])).await;
    let is_left = |mib: u32| {
        let limit = shares::Limit::mib(mib);
        let allowance = Allowance { limit, ..entries_allowance(person_id(&alice)) };
        shares::has_room(&bob.store, bob.clock.now(), &allowance).unwrap()
    };
    // 60 kB each, four times on the disk.
    assert!(!is_left(2) && is_left(3));
}
