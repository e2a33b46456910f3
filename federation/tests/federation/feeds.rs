//! Posts, edits, deletes and photos on their way to a friend.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::feed::Body;
use freehold_core::photos::Size;
use freehold_core::{outbox, timeline};

use crate::person::{Person, Transport, pixels, post};

async fn post_with_a_photo_reaches_a_friend(transport: Transport) {
    let (alice, bob) = (Person::new("alice", transport).await, Person::new("bob", transport).await);
    alice.make_friends(&bob).await;
    let entry = alice.post_photo("look", 2_500_000, 40_000).await;
    bob.wait_for_timeline(&["look"]).await;
    bob.wait_until("the photo is stored", |node| {
        let item = timeline::get(node, &entry).unwrap().unwrap();
        item.photos[0].has_large && item.photos[0].has_small
    })
    .await;
    let size = Size::Large;
    let fetched =
        timeline::image_bytes(&bob, &entry, 0, size).unwrap().unwrap().read_all(3_000_000).unwrap();
    assert_eq!(fetched, pixels(2_500_000));
    bob.post("nice").await;
    alice.wait_for_timeline(&["nice"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn post_with_a_photo_reaches_a_friend_over_tcp() {
    post_with_a_photo_reaches_a_friend(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn post_with_a_photo_reaches_a_friend_over_quic() {
    post_with_a_photo_reaches_a_friend(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restarted_node_receives_missed_edits_and_deletes() {
    let (mut alice, mut bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    let one = alice.post("one").await;
    let two = alice.post("two").await;
    bob.wait_for_timeline(&["two", "one"]).await;
    bob.stop().await;
    alice.append(Body::Edit { of: one, post: post("one, better") }).await;
    alice.append(Body::Tombstone { of: two }).await;
    // After a restart the author's next entries are in a new epoch.
    alice.stop().await;
    alice.start().await;
    alice.post("three").await;
    bob.start().await;
    bob.wait_for_timeline(&["three", "one, better"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_outbox_cursor_follows_acknowledgements() {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    for text in ["one", "two", "three"] {
        alice.post(text).await;
    }
    bob.wait_for_timeline(&["three", "two", "one"]).await;
    alice
        .wait_until("all entries are acknowledged", |node| {
            outbox::cursor(node, &bob.id()).unwrap() == outbox::durable_head(node).unwrap()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn feed_continues_after_a_wrong_clock() {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    let deleted = alice.post("to be deleted").await;
    bob.wait_for_timeline(&["to be deleted"]).await;
    let correct = alice.clock.now();
    alice.clock.set(correct.plus_millis(10 * 365 * 24 * 60 * 60 * 1000));
    alice.post("from 2036").await;
    alice.clock.set(correct);
    alice.post("from today").await;
    alice.append(Body::Tombstone { of: deleted }).await;
    bob.wait_for_timeline(&["from today"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_friend_receives_a_thousand_posts() {
    let (alice, mut bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    bob.stop().await;
    for number in 0..1000 {
        alice.post(&number.to_string()).await;
    }
    bob.start().await;
    bob.wait_until("all posts are stored", |node| timeline::newest(node).unwrap() == 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn burst_beyond_the_push_rate_is_delivered_whole() {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    for number in 0..400 {
        alice.post(&number.to_string()).await;
    }
    bob.wait_until("all posts are stored", |node| timeline::newest(node).unwrap() == 400).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_photo_is_fetched_after_a_restart() {
    let (alice, mut bob) =
        (Person::new("alice", Transport::Tcp).await, Person::new("bob", Transport::Tcp).await);
    alice.make_friends(&bob).await;
    // Alice's post names a photo whose bytes her node does not have yet.
    let (entry, large, small) = alice.post_missing_photo("look", 1_200_000, 30_000).await;
    bob.wait_for_timeline(&["look"]).await;
    assert_eq!(timeline::wanted_blobs(&bob, &alice.id(), None, 10).unwrap().len(), 2);
    bob.stop().await;
    alice.store_photo(&large, &small).await;
    bob.start().await;
    bob.wait_until("the photo is stored", |node| {
        timeline::wanted_blobs(node, &alice.id(), None, 10).unwrap().is_empty()
    })
    .await;
    assert!(timeline::get(&bob, &entry).unwrap().unwrap().photos[0].has_large);
}
