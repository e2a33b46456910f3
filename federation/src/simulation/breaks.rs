//! Faults that nodes of the simulation can be given, and the proof that each is noticed.

use std::collections::BTreeMap;

use freehold_core::feed::{self, EntryHeader, MARKDOWN, PostBody};
use freehold_core::identity::PersonId;
use freehold_core::store::Tx;
use freehold_core::timeline::{self, Item, Version};

use super::check::Whole;
use super::person::{Person, label};
use super::{World, check, run};
use crate::inbox;
use crate::wire::sync::{Entry, Log, Reason};

/// What a node does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// A machine is put back to a snapshot that has its memory in it: the node goes on in the epoch
    /// of entries that it has lost, and signs others at their places.
    SameEpochAgain,
    /// Entries are acknowledged and then dropped.
    DropsAcknowledged,
    /// What was taken back is shown on.
    KeepsDeleted,
    /// An entry is said to others before it is durable.
    SpeaksTooEarly,
    /// A photo whose transfer broke off is never asked for again.
    GivesUpPhotos,
}

/// How far a batch would reach if it were stored.
pub(super) fn reach_of(batch: &[Entry]) -> Vec<(Log, u64)> {
    let reach: BTreeMap<Log, u64> = batch.iter().filter_map(Entry::place).collect();
    reach.into_iter().collect()
}

/// Stores a batch, and shows again what its tombstones take away.
pub(super) async fn store_and_show_on(
    me: &Person,
    friend: PersonId,
    batch: Vec<Entry>,
) -> Result<Vec<(Log, u64)>, Reason> {
    let mut reach = Vec::new();
    for entry in batch {
        let of = EntryHeader::from_canonical(&entry.header)
            .ok()
            .and_then(|header| header.refs.first().copied());
        let shown = of.and_then(|of| timeline::get(&me.node, &of).unwrap());
        reach.extend(inbox::store(&me.node, friend, vec![entry]).await?);
        if let Some(item) =
            shown.filter(|item| timeline::get(&me.node, &item.entry).unwrap().is_none())
        {
            show_again(me, item).await;
        }
    }
    Ok(reach)
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

/// Within so many seeds each fault must be noticed.
const SEEDS: u64 = 8;

/// Runs with a fault until something is found to be wrong, which must be this.
async fn is_noticed(broken: Break, as_what: &str) {
    for seed in 0..SEEDS {
        if let Err(wrong) = run(seed, Some(broken)).await {
            assert!(wrong.contains(as_what), "{broken:?} is taken for something else: {wrong}");
            return;
        }
    }
    panic!("{broken:?} goes unnoticed");
}

#[tokio::test]
async fn a_receiver_that_drops_what_it_has_acknowledged_is_noticed() {
    is_noticed(Break::DropsAcknowledged, "is not there").await;
}

#[tokio::test]
async fn a_receiver_that_goes_on_showing_what_was_taken_back_is_noticed() {
    is_noticed(Break::KeepsDeleted, "too much").await;
}

#[tokio::test]
async fn a_sender_that_speaks_before_its_words_are_durable_is_noticed() {
    is_noticed(Break::SpeaksTooEarly, "own node has lost").await;
}

#[tokio::test]
async fn a_receiver_that_gives_up_a_photo_is_noticed() {
    is_noticed(Break::GivesUpPhotos, "a photo of").await;
}

/// A post; with the next number, so that no two runs say the same.
const A_POST: u64 = 1;

#[tokio::test]
async fn a_node_that_signs_other_entries_in_the_same_epoch_is_proved_to_have_forked() {
    for said_after in [1, 2, 5] {
        let mut world = World::new(7, Some(Break::SameEpochAgain)).await;
        let (alice, bob) = (0, 1);
        // The first run makes the keys; a later one draws the same at each start.
        let begun = world.people[alice].remember();
        world.people[alice].wake_up_as(begun);
        world.people[alice].say(A_POST).await;
        world.heal().await.unwrap();
        world.people[alice].back_up();
        let common = feed::heads(&world.people[alice].node, &world.people[alice].id).unwrap();
        for _ in 0..3 {
            world.people[alice].say(A_POST).await;
        }
        world.heal().await.unwrap();
        check::look(&world.people, &mut Whole::new()).unwrap();

        world.restore(alice);
        for _ in 0..said_after {
            world.people[alice].say(A_POST).await;
        }
        let (log, hi) = common.last().map(|head| (head.log, head.hi)).unwrap();
        assert!(
            feed::head(&world.people[alice].node, &log).unwrap().unwrap().hi > hi,
            "the run goes on in its epoch"
        );
        // One stream shows the fork, and the next where its sides parted.
        for _ in 0..2 {
            world.heal().await.unwrap();
        }
        let noticed = check::look(&world.people, &mut Whole::new()).unwrap_err();
        assert!(noticed.contains("for a liar"), "{noticed}");
        let alice_id = world.people[alice].id;
        for friend in [bob, 3] {
            let forks = feed::forks(&world.people[friend].node, &alice_id).unwrap();
            assert_eq!(
                forks.iter().map(|fork| (fork.log, fork.seq)).collect::<Vec<_>>(),
                [(log, hi + 1)],
                "{said_after}"
            );
        }

        // The person goes on: what a new run says is seen, and of the forked log what its sides
        // have in common.
        let before = world.people[alice].remember();
        world.people[alice].wake_up_as(before);
        world.people[alice].say(A_POST).await;
        world.heal().await.unwrap();
        world.agree_on_the_time().await;
        let seen = timeline::page(&world.people[bob].node, None, 100).unwrap();
        assert_eq!(seen.iter().filter(|item| item.author == alice_id).count(), 2, "{said_after}");
    }
}

/// An edit of the first post.
const AN_EDIT: u64 = 6;

#[tokio::test]
async fn what_an_edit_replaced_comes_back_from_its_author_when_the_edit_is_on_the_lost_side_of_a_fork()
 {
    let mut world = World::new(8, Some(Break::SameEpochAgain)).await;
    let (alice, bob) = (0, 1);
    let begun = world.people[alice].remember();
    world.people[alice].wake_up_as(begun);
    world.people[alice].say(A_POST).await;
    let said = world.people[alice].words.said.clone();
    world.people[alice].back_up();
    world.people[alice].say(AN_EDIT).await;
    assert_ne!(world.people[alice].words.said, said);
    world.heal().await.unwrap();

    world.restore(alice);
    world.people[alice].say(A_POST).await;
    let alice_id = world.people[alice].id;
    for is_undone in [false, true] {
        world.heal().await.unwrap();
        world.agree_on_the_time().await;
        let lacking = feed::missing(&world.people[bob].node, &alice_id, 10).unwrap();
        assert_eq!(lacking.is_empty(), is_undone, "{lacking:?}");
    }
    let seen = timeline::page(&world.people[bob].node, None, 100).unwrap();
    let seen: Vec<String> =
        seen.iter().filter(|item| item.author == alice_id).map(|item| label(&item.text)).collect();
    assert_eq!(seen, said.into_values().collect::<Vec<_>>());
}
