use freehold_core::feed::Body;
use freehold_core::photos::Size;
use freehold_core::{outbox, timeline};

use crate::network::{Over, Person, pixels, post};

#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn a_post_with_a_photo_travels(over: Over) {
    let (alice, bob) = (Person::new("alice", over).await, Person::new("bob", over).await);
    alice.befriend(&bob).await;
    let entry = alice.post_photo("look", 2_500_000, 40_000).await;
    bob.shows(&["look"]).await;
    bob.until("the photo is here", |node| {
        let item = timeline::get(node, &entry).unwrap().unwrap();
        item.photos[0].has_large && item.photos[0].has_small
    })
    .await;
    let size = Size::Large;
    let theirs =
        timeline::image_bytes(&bob, &entry, 0, size).unwrap().unwrap().read_all(3_000_000).unwrap();
    assert_eq!(theirs, pixels(2_500_000));
    bob.post("nice").await;
    alice.shows(&["nice"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_a_photo_travels_over_tcp() {
    a_post_with_a_photo_travels(Over::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_a_photo_travels_over_quic() {
    a_post_with_a_photo_travels(Over::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_down_through_an_edit_and_a_delete_catches_up() {
    let (mut alice, mut bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    let one = alice.post("one").await;
    let two = alice.post("two").await;
    bob.shows(&["two", "one"]).await;
    bob.down().await;
    alice.say(Body::Edit { of: one, post: post("one, better") }).await;
    alice.say(Body::Tombstone { of: two }).await;
    // A restart of the author in between: its next entries open a new epoch.
    alice.down().await;
    alice.up().await;
    alice.post("three").await;
    bob.up().await;
    bob.shows(&["three", "one, better"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_author_sees_how_far_a_friend_has_come() {
    let (alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    for text in ["one", "two", "three"] {
        alice.post(text).await;
    }
    bob.shows(&["three", "two", "one"]).await;
    alice
        .until("all has arrived", |node| {
            outbox::cursor(node, &bob.id()).unwrap() == outbox::durable_head(node).unwrap()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_moment_of_a_wrong_clock_friends_hear_from_the_author_again() {
    let (alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    let gone = alice.post("to be taken back").await;
    bob.shows(&["to be taken back"]).await;
    let right = alice.clock.now();
    alice.clock.set(right.plus_millis(10 * 365 * 24 * 60 * 60 * 1000));
    alice.post("from 2036").await;
    alice.clock.set(right);
    alice.post("from today").await;
    alice.say(Body::Tombstone { of: gone }).await;
    bob.shows(&["from today"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_posts_reach_a_friend_who_was_away() {
    let (alice, mut bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    bob.down().await;
    for number in 0..1000 {
        alice.post(&number.to_string()).await;
    }
    bob.up().await;
    bob.until("all are here", |node| timeline::newest(node).unwrap() == 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_beyond_the_rate_of_pushes_arrives_whole() {
    let (alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    for number in 0..400 {
        alice.post(&number.to_string()).await;
    }
    bob.until("all are here", |node| timeline::newest(node).unwrap() == 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_that_could_not_be_had_is_fetched_after_a_restart() {
    let (alice, mut bob) =
        (Person::new("alice", Over::Tcp).await, Person::new("bob", Over::Tcp).await);
    alice.befriend(&bob).await;
    // Alice's node speaks of a photo that it cannot give yet.
    let (entry, large, small) = alice.post_photo_to_come("look", 1_200_000, 30_000).await;
    bob.shows(&["look"]).await;
    assert_eq!(timeline::wanted_blobs(&bob, &alice.id(), None, 10).unwrap().len(), 2);
    bob.down().await;
    alice.store_photo(&large, &small).await;
    bob.up().await;
    bob.until("the photo is here", |node| {
        timeline::wanted_blobs(node, &alice.id(), None, 10).unwrap().is_empty()
    })
    .await;
    assert!(timeline::get(&bob, &entry).unwrap().unwrap().photos[0].has_large);
}
