//! Faults of simulated nodes, and the proof that the checks detect each.

use std::collections::BTreeMap;

use freehold_core::feed::{self, EntryHeader, MARKDOWN, PostBody};
use freehold_core::identity::PersonId;
use freehold_core::store::Tx;
use freehold_core::timeline::{self, Item, Version};

use super::check::CheckedLogs;
use super::person::{Person, label};
use super::{World, check, run};
use crate::receive;
use crate::wire::feed::log_and_seq;
use crate::wire::sync::{Entry, Log, Reason};

/// A fault of every node in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeFault {
    /// A machine is restored from a snapshot that includes its memory: the node continues in the
    /// epoch of entries that it has lost, and signs others with their numbers.
    ReusesEpoch,
    /// Entries are acknowledged and then dropped.
    DropsAcknowledged,
    /// Deleted posts are still shown.
    KeepsDeleted,
    /// An entry is sent before it is durable.
    SendsBeforeDurable,
    /// A photo whose transfer broke is never requested again.
    AbandonsPhotos,
}

/// The last entry of each log in a batch, as if the batch were stored.
pub(super) fn last_entries(batch: &[Entry]) -> Vec<(Log, u64)> {
    let last: BTreeMap<Log, u64> = batch.iter().filter_map(log_and_seq).collect();
    last.into_iter().collect()
}

/// Stores a batch, and shows the posts again that its tombstones delete.
pub(super) async fn store_and_keep_showing(
    me: &Person,
    friend: PersonId,
    batch: Vec<Entry>,
) -> Result<Vec<(Log, u64)>, Reason> {
    let mut stored = Vec::new();
    for entry in batch {
        let of = EntryHeader::from_canonical(&entry.header)
            .ok()
            .and_then(|header| header.refs.first().copied());
        let shown = of.and_then(|of| timeline::get(&me.node, &of).unwrap());
        stored.extend(receive::store(&me.node, friend, vec![entry]).await?.unwrap_or_default());
        if let Some(item) =
            shown.filter(|item| timeline::get(&me.node, &item.entry).unwrap().is_none())
        {
            show_again(me, item).await;
        }
    }
    Ok(stored)
}

async fn show_again(me: &Person, item: Item) {
    let show = move |tx: &mut Tx<'_>| {
        let post =
            PostBody { media_type: MARKDOWN.to_owned(), text: item.text, ..PostBody::default() };
        let (author, entry, at) = (item.author, item.entry, item.shown);
        timeline::show(
            tx,
            &entry,
            &Version { author, entry, at, posted: at, has_blobs: true, is_news: true, post: &post },
        )
    };
    me.node.store.commit(show).await.unwrap();
}

/// Seeds within which each fault must be detected.
const SEEDS: u64 = 8;

/// Runs with a fault until a check fails, whose error must contain `expected`.
async fn assert_detected(fault: NodeFault, expected: &str) {
    for seed in 0..SEEDS {
        if let Err(error) = run(seed, Some(fault)).await {
            assert!(error.contains(expected), "{fault:?} causes another error: {error}");
            return;
        }
    }
    panic!("{fault:?} is not detected");
}

#[tokio::test]
async fn dropped_acknowledged_entry_is_detected() {
    assert_detected(NodeFault::DropsAcknowledged, "acknowledged entry is missing").await;
}

#[tokio::test]
async fn shown_deleted_post_is_detected() {
    assert_detected(NodeFault::KeepsDeleted, "unexpected texts").await;
}

#[tokio::test]
async fn entry_sent_before_it_is_durable_is_detected() {
    assert_detected(NodeFault::SendsBeforeDurable, "lost by its author").await;
}

#[tokio::test]
async fn abandoned_photo_is_detected() {
    assert_detected(NodeFault::AbandonsPhotos, "photo missing").await;
}

/// A choice of [`Person::write`]: a post, with the next number, so that no two have one text.
const POST: u64 = 1;

#[tokio::test]
async fn reused_epoch_is_proved_as_a_fork() {
    for written_after in [1, 2, 5] {
        let mut world = World::new(7, Some(NodeFault::ReusesEpoch)).await;
        let (alice, bob) = (0, 1);
        // The first run draws the keys; later runs with one number draw equal epochs.
        let start = world.people[alice].snapshot();
        world.people[alice].start_from(start);
        world.people[alice].write(POST).await;
        world.heal().await.unwrap();
        world.people[alice].back_up();
        let common = feed::heads(&world.people[alice].node, &world.people[alice].id).unwrap();
        for _ in 0..3 {
            world.people[alice].write(POST).await;
        }
        world.heal().await.unwrap();
        check::check_step(&world.people, &mut CheckedLogs::new()).unwrap();

        world.restore(alice);
        for _ in 0..written_after {
            world.people[alice].write(POST).await;
        }
        let (log, hi) = common.last().map(|head| (head.log, head.hi)).unwrap();
        assert!(
            feed::head(&world.people[alice].node, &log).unwrap().unwrap().hi > hi,
            "the run continues in its epoch"
        );
        // The first stream shows the fork, the next one the fork point.
        for _ in 0..2 {
            world.heal().await.unwrap();
        }
        let error = check::check_step(&world.people, &mut CheckedLogs::new()).unwrap_err();
        assert!(error.contains("unexpected fork"), "{error}");
        let alice_id = world.people[alice].id;
        for friend in [bob, 3] {
            let forks = feed::forks(&world.people[friend].node, &alice_id).unwrap();
            assert_eq!(
                forks.iter().map(|fork| (fork.log, fork.seq)).collect::<Vec<_>>(),
                [(log, hi + 1)],
                "{written_after}"
            );
        }

        // The person continues: the entries of a new run are shown, and those of the forked log
        // before the fork point.
        let before = world.people[alice].snapshot();
        world.people[alice].start_from(before);
        world.people[alice].write(POST).await;
        world.heal().await.unwrap();
        world.synchronise_clocks().await;
        let seen = timeline::page(&world.people[bob].node, None, 100).unwrap();
        assert_eq!(
            seen.iter().filter(|item| item.author == alice_id).count(),
            2,
            "{written_after}"
        );
    }
}

/// A choice of [`Person::write`]: an edit of the first post.
const EDIT: u64 = 6;

#[tokio::test]
async fn body_replaced_by_a_void_edit_is_fetched_again() {
    let mut world = World::new(8, Some(NodeFault::ReusesEpoch)).await;
    let (alice, bob) = (0, 1);
    let start = world.people[alice].snapshot();
    world.people[alice].start_from(start);
    world.people[alice].write(POST).await;
    let posts = world.people[alice].record.posts.clone();
    world.people[alice].back_up();
    world.people[alice].write(EDIT).await;
    assert_ne!(world.people[alice].record.posts, posts);
    world.heal().await.unwrap();

    world.restore(alice);
    world.people[alice].write(POST).await;
    let alice_id = world.people[alice].id;
    for is_restored in [false, true] {
        world.heal().await.unwrap();
        world.synchronise_clocks().await;
        let missing = feed::missing(&world.people[bob].node, &alice_id, 10).unwrap();
        assert_eq!(missing.is_empty(), is_restored, "{missing:?}");
    }
    let seen = timeline::page(&world.people[bob].node, None, 100).unwrap();
    let seen: Vec<String> =
        seen.iter().filter(|item| item.author == alice_id).map(|item| label(&item.text)).collect();
    assert_eq!(seen, posts.into_values().collect::<Vec<_>>());
}
