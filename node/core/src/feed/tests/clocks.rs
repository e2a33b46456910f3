//! Wrong clocks, the author's or the reader's.

use super::*;
use crate::feed;
use crate::hlc::AHEAD_MAX_MS;
use crate::publish;
use crate::publish::HomesError;

/// Ten years: clocks without a battery have jumped as far.
const FAR_MS: u64 = 10 * 365 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn time_of(node: &Node, id: &EntryId) -> Timestamp {
    opened(node, id).unwrap().unwrap().0.hlc.time()
}

#[tokio::test]
async fn entry_from_wrong_clock_does_not_silence_author() {
    let (alice, bob) = two_friends().await;
    let before = post(&alice, "before").await;
    alice.clock.set(START.plus_millis(FAR_MS));
    publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new())
        .await
        .unwrap();
    post(&alice, "meanwhile").await;
    alice.clock.set(START.plus_millis(5_000));
    let after = post(&alice, "after").await;
    assert_eq!(time_of(&alice, &after), alice.clock.now());
    write_entry(&alice, Body::Edit { of: after, post: note("after, better") }).await;
    write_entry(&alice, Body::Tombstone { of: before }).await;
    bob.clock.set(alice.clock.now());
    let received = sync(&alice, &bob).await;
    assert_eq!(
        (received.accepted, received.held),
        (6, 2),
        "only the entries written with the wrong clock wait"
    );
    assert_eq!(shown_texts(&bob), ["after, better"]);
    assert_eq!(feed::homes_of(&bob, &person_id(&alice)).unwrap(), None);

    // The homes are published again with a version above the waiting one.
    let publish_homes =
        || publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new());
    assert_eq!((publish_homes().await, publish_homes().await), (Ok(2), Ok(2)));
    sync(&alice, &bob).await;
    assert_eq!(feed::homes_of(&bob, &person_id(&alice)).unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn homes_are_not_renewed_while_clock_was_never_set() {
    let alice = claimed_node(1).await;
    let publish_homes =
        || publish::homes(&alice, vec!["https://alice.example".to_owned()], Vec::new(), Vec::new());
    assert_eq!(publish_homes().await, Ok(1));
    // Behind by a minute, a year, ten years, and to 1970; then ahead and back.
    let (minute, year) = (60_000, 366 * DAY_MS);
    for now in [START.0 - minute, START.0 - year, START.0 - FAR_MS, 0] {
        alice.clock.set(Timestamp(now));
        for _ in 0..20 {
            publish_homes().await.unwrap();
        }
        assert_eq!(publish_homes().await, Ok(1), "{now}");
    }
    alice.clock.set(START.plus_millis(FAR_MS));
    assert_eq!((publish_homes().await, publish_homes().await), (Ok(1), Ok(1)));
    // Other addresses are published under a clock that was never set, once.
    alice.clock.set(Timestamp(0));
    let moved = || publish::homes(&alice, Vec::new(), Vec::new(), Vec::new());
    assert_eq!((moved().await, moved().await, moved().await), (Ok(2), Ok(2), Ok(2)));
}

#[tokio::test]
async fn future_entry_can_be_edited_and_deleted_before_due() {
    let (alice, bob) = two_friends().await;
    alice.clock.set(START.plus_millis(FAR_MS));
    let (one, two) = (post(&alice, "secret one").await, post(&alice, "two").await);
    sync(&alice, &bob).await;
    alice.clock.set(START);
    write_entry(&alice, Body::Tombstone { of: one }).await;
    write_entry(&alice, Body::Edit { of: two, post: note("two, again") }).await;
    assert_eq!(sync(&alice, &bob).await.held, 0);
    assert!(!is_stored(&bob, "secret one"), "deleted at once");
    assert_eq!(shown_texts(&bob), ["two, again"]);
    bob.clock.set(START.plus_millis(FAR_MS + 1));
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["two, again"]);
}

#[tokio::test]
async fn tombstone_from_the_future_takes_effect_at_once() {
    let (alice, bob) = two_friends().await;
    let of = post(&alice, "secret").await;
    sync(&alice, &bob).await;
    alice.clock.set(START.plus_millis(FAR_MS));
    write_entry(&alice, Body::Tombstone { of }).await;
    let received = sync(&alice, &bob).await;
    assert_eq!((received.accepted, received.held), (1, 0));
    assert!(shown_texts(&bob).is_empty() && !is_stored(&bob, "secret"));
}

#[tokio::test]
async fn second_node_does_not_push_the_clock() {
    let (alice, other) = (claimed_node(1).await, claimed_node(1).await);
    alice.clock.set(START.plus_millis(FAR_MS));
    post(&alice, "from the future").await;
    let other = restarted(&other, 77);
    let raw = all_entries(&alice, &person_id(&alice));
    receive(&other, person_id(&alice), raw).await.unwrap();
    let id = post(&other, "now").await;
    assert_eq!(time_of(&other, &id), other.clock.now());
}

#[tokio::test]
async fn hybrid_clock_never_runs_backwards() {
    let alice = claimed_node(1).await;
    alice.clock.set(START.plus_millis(AHEAD_MAX_MS));
    let one = post(&alice, "one").await;
    alice.clock.set(START);
    let two = post(&alice, "two").await;
    let hlc = |id: &EntryId| opened(&alice, id).unwrap().unwrap().0.hlc;
    assert!(hlc(&two) > hlc(&one));
}

#[tokio::test]
async fn unreachable_homes_version_is_ignored() {
    let (alice, bob) = two_friends().await;
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
    write_entry_in(&alice, Lane::CONTROL, homes(u64::MAX)).await.unwrap();
    sync(&alice, &bob).await;
    assert_eq!(feed::homes_of(&bob, &person_id(&alice)).unwrap().unwrap().version, 1);
    let move_to = |to: &str| publish::homes(&alice, vec![to.to_owned()], Vec::new(), Vec::new());
    assert_eq!(move_to("https://new.example").await, Ok(2));
    write_entry_in(&alice, Lane::CONTROL, homes(HOMES_VERSION_MAX)).await.unwrap();
    assert_eq!(move_to("https://newer.example").await, Err(HomesError::NoHigherVersion));
    assert_eq!(
        move_to(&format!("https://{HOMES_VERSION_MAX}.example")).await,
        Ok(HOMES_VERSION_MAX),
        "the published homes are unchanged"
    );
}

/// Receives tombstones, each of another post. Returns how many take effect at once.
async fn count_immediate(bob: &Node, alice: &Node, tombstones: &[RawEntry]) -> usize {
    let before = shown_texts(bob).len() + count_hidden(bob);
    receive_all(bob, alice, tombstones).await;
    before - shown_texts(bob).len() - count_hidden(bob)
}

/// Counts the posts that are hidden by a tombstone whose delay has not ended.
fn count_hidden(bob: &Node) -> usize {
    count_bodies(bob, &friends::list(bob).unwrap()[0].person) - shown_texts(bob).len()
}

/// Tombstones for `count` posts of Alice's, which Bob has.
async fn tombstones(bob: &Node, alice: &Node, count: u64) -> Vec<RawEntry> {
    let posts: Vec<_> =
        (0..count).map(|number| Body::Post(note(&format!("post {number}")))).collect();
    let posts = chain(alice, 7, None, 0, &posts);
    receive_all(bob, alice, &posts).await;
    let tombstones: Vec<_> = ids(&posts).into_iter().map(|of| Body::Tombstone { of }).collect();
    chain(alice, 7, ids(&posts).last().copied(), count, &tombstones)
}

#[tokio::test]
async fn tombstones_over_the_daily_limit_wait() {
    let (alice, bob) = two_friends().await;
    let tombstones = tombstones(&bob, &alice, 160).await;
    let (first, rest) = tombstones.split_at(1);
    assert_eq!(count_immediate(&bob, &alice, first).await, 1);
    bob.clock.advance(DAY_MS - 1_000);
    assert_eq!(count_immediate(&bob, &alice, &rest[..49]).await, 49);
    bob.clock.advance(2_000);
    assert_eq!(
        count_immediate(&bob, &alice, &rest[49..99]).await,
        1,
        "49 of the 50 of this day were used a moment ago"
    );
    bob.clock.advance(DAY_MS);
    assert_eq!(count_immediate(&bob, &alice, &rest[99..109]).await, 10);
}

#[tokio::test]
async fn wrong_clock_of_reader_delays_no_tombstone_for_years() {
    let (alice, bob) = two_friends().await;
    let tombstones = tombstones(&bob, &alice, 60).await;
    bob.clock.set(START.plus_millis(FAR_MS));
    assert_eq!(count_immediate(&bob, &alice, &tombstones[..50]).await, 50);
    bob.clock.set(START);
    assert_eq!(count_immediate(&bob, &alice, &tombstones[50..51]).await, 0);
    bob.clock.advance(DAY_MS);
    assert_eq!(count_immediate(&bob, &alice, &tombstones[51..]).await, 9);
}
