//! Machines whose clocks were wrong, the author's or the reader's.

use super::*;
use crate::feed;
use crate::hlc::AHEAD_MAX_MS;
use crate::publish;
use crate::publish::HomesError;

/// Ten years: as far as a clock without a battery was seen to jump.
const FAR_MS: u64 = 10 * 365 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn time_of(node: &Node, id: &EntryId) -> Timestamp {
    opened(node, id).unwrap().unwrap().0.hlc.time()
}

#[tokio::test]
async fn entry_from_wrong_clock_does_not_silence_author() {
    let (alice, bob) = friends_of_two().await;
    let before = post(&alice, "before").await;
    alice.clock.set(START.plus_millis(FAR_MS));
    publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new())
        .await
        .unwrap();
    post(&alice, "meanwhile").await;
    alice.clock.set(START.plus_millis(5_000));
    let after = post(&alice, "after").await;
    assert_eq!(time_of(&alice, &after), alice.clock.now());
    say(&alice, Body::Edit { of: after, post: note("after, better") }).await;
    say(&alice, Body::Tombstone { of: before }).await;
    bob.clock.set(alice.clock.now());
    let received = sync(&alice, &bob).await;
    assert_eq!(
        (received.accepted, received.held),
        (6, 2),
        "what was said with the wrong clock is held, and nothing else"
    );
    assert_eq!(shown(&bob), ["after, better"]);
    assert_eq!(feed::homes_of(&bob, &who(&alice)).unwrap(), None);

    // Where the node is reached is said again, and what is held can be taken back.
    let say_homes =
        || publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new());
    assert_eq!((say_homes().await, say_homes().await), (Ok(2), Ok(2)));
    sync(&alice, &bob).await;
    assert_eq!(feed::homes_of(&bob, &who(&alice)).unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn future_entry_can_be_edited_and_deleted_before_due() {
    let (alice, bob) = friends_of_two().await;
    alice.clock.set(START.plus_millis(FAR_MS));
    let (one, two) = (post(&alice, "secret one").await, post(&alice, "two").await);
    sync(&alice, &bob).await;
    alice.clock.set(START);
    say(&alice, Body::Tombstone { of: one }).await;
    say(&alice, Body::Edit { of: two, post: note("two, said again") }).await;
    assert_eq!(sync(&alice, &bob).await.held, 0);
    assert!(!is_anywhere(&bob, "secret one"), "taken back at once");
    assert_eq!(shown(&bob), ["two, said again"]);
    bob.clock.set(START.plus_millis(FAR_MS + 1));
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), ["two, said again"]);
}

#[tokio::test]
async fn tombstone_from_the_future_takes_effect_at_once() {
    let (alice, bob) = friends_of_two().await;
    let of = post(&alice, "secret").await;
    sync(&alice, &bob).await;
    alice.clock.set(START.plus_millis(FAR_MS));
    say(&alice, Body::Tombstone { of }).await;
    let received = sync(&alice, &bob).await;
    assert_eq!((received.accepted, received.held), (1, 0));
    assert!(shown(&bob).is_empty() && !is_anywhere(&bob, "secret"));
}

#[tokio::test]
async fn second_node_does_not_push_the_clock() {
    let (alice, other) = (person(1).await, person(1).await);
    alice.clock.set(START.plus_millis(FAR_MS));
    post(&alice, "from the future").await;
    let other = restarted(&other, 77);
    let raw = everything(&alice, &who(&alice));
    receive(&other, who(&alice), raw).await.unwrap();
    let said = post(&other, "now").await;
    assert_eq!(time_of(&other, &said), other.clock.now());
}

#[tokio::test]
async fn hybrid_clock_never_runs_backwards() {
    let alice = person(1).await;
    alice.clock.set(START.plus_millis(AHEAD_MAX_MS));
    let one = post(&alice, "one").await;
    alice.clock.set(START);
    let two = post(&alice, "two").await;
    let hlc = |id: &EntryId| opened(&alice, id).unwrap().unwrap().0.hlc;
    assert!(hlc(&two) > hlc(&one));
}

#[tokio::test]
async fn unreachable_homes_version_is_ignored() {
    let (alice, bob) = friends_of_two().await;
    let homes = |version| {
        Body::Homes(Homes {
            version,
            web: vec![format!("https://{version}.example")],
            ..Homes::default()
        })
    };
    publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new())
        .await
        .unwrap();
    say_in(&alice, Lane::CONTROL, homes(u64::MAX)).await.unwrap();
    sync(&alice, &bob).await;
    assert_eq!(feed::homes_of(&bob, &who(&alice)).unwrap().unwrap().version, 1);
    let moved = |to: &str| publish::homes(&alice, vec![to.to_owned()], Vec::new(), Vec::new());
    assert_eq!(moved("https://new.example").await, Ok(2));
    say_in(&alice, Lane::CONTROL, homes(HOMES_VERSION_MAX)).await.unwrap();
    assert_eq!(moved("https://newer.example").await, Err(HomesError::NoHigherVersion));
    assert_eq!(
        moved(&format!("https://{HOMES_VERSION_MAX}.example")).await,
        Ok(HOMES_VERSION_MAX),
        "that is what was said"
    );
}

/// How many of a node's tombstones, each of a post of its own, take effect at once.
async fn at_once(bob: &Node, alice: &Node, tombstones: &[RawEntry]) -> usize {
    let before = shown(bob).len() + hidden(bob);
    take_in(bob, alice, tombstones).await;
    before - shown(bob).len() - hidden(bob)
}

/// Posts that a tombstone hides which waits out its delay.
fn hidden(bob: &Node) -> usize {
    bodies_kept(bob, &friends::list(bob).unwrap()[0].person) - shown(bob).len()
}

/// Tombstones for so many posts of Alice's, which Bob has.
async fn tombstones(bob: &Node, alice: &Node, count: u64) -> Vec<RawEntry> {
    let posts: Vec<_> =
        (0..count).map(|number| Body::Post(note(&format!("post {number}")))).collect();
    let posts = chain(alice, 7, None, 0, &posts);
    take_in(bob, alice, &posts).await;
    let ends: Vec<_> = ids(&posts).into_iter().map(|of| Body::Tombstone { of }).collect();
    chain(alice, 7, ids(&posts).last().copied(), count, &ends)
}

#[tokio::test]
async fn tombstones_over_the_daily_limit_wait() {
    let (alice, bob) = friends_of_two().await;
    let ends = tombstones(&bob, &alice, 160).await;
    let (first, rest) = ends.split_at(1);
    assert_eq!(at_once(&bob, &alice, first).await, 1);
    bob.clock.advance(DAY_MS - 1_000);
    assert_eq!(at_once(&bob, &alice, &rest[..49]).await, 49);
    bob.clock.advance(2_000);
    assert_eq!(at_once(&bob, &alice, &rest[49..99]).await, 1, "forty-nine were a moment ago");
    bob.clock.advance(DAY_MS);
    assert_eq!(at_once(&bob, &alice, &rest[99..109]).await, 10);
}

#[tokio::test]
async fn wrong_clock_of_reader_delays_no_tombstone_for_years() {
    let (alice, bob) = friends_of_two().await;
    let ends = tombstones(&bob, &alice, 60).await;
    bob.clock.set(START.plus_millis(FAR_MS));
    assert_eq!(at_once(&bob, &alice, &ends[..50]).await, 50);
    bob.clock.set(START);
    assert_eq!(at_once(&bob, &alice, &ends[50..51]).await, 0);
    bob.clock.advance(DAY_MS);
    assert_eq!(at_once(&bob, &alice, &ends[51..]).await, 9);
}
