//! Invites, follow requests and unfollow notices.

use freehold_core::delivery_status;
use freehold_core::feed::{self, EntryId};
use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, IdentityLog};
use freehold_core::node::Node;

use crate::person::{Person, Transport};

async fn invite_makes_two_friends(transport: Transport) {
    let (alice, bob) = (Person::new("alice", transport).await, Person::new("bob", transport).await);
    alice.make_friends(&bob).await;
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let certifies =
            |log: IdentityLog| log.live_nodes().any(|node| *node == other.identity.node_key());
        one.wait_until("the other's identity log is stored", |node| {
            identity::log_of(node, &other.id()).unwrap().is_some_and(certifies)
        })
        .await;
    }
    // Each node has sent its owner's name.
    assert_eq!(friends::get(&alice, &bob.id()).unwrap().unwrap().name, "Bob");
    assert_eq!(friends::get(&bob, &alice.id()).unwrap().unwrap().name, "Alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_makes_two_friends_over_tcp() {
    invite_makes_two_friends(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_makes_two_friends_over_quic() {
    invite_makes_two_friends(Transport::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_is_accepted_once() {
    let (alice, bob, carol) = (
        Person::new("alice", Transport::Both).await,
        Person::new("bob", Transport::Both).await,
        Person::new("carol", Transport::Both).await,
    );
    let invite = friends::create_invite(&alice, "bob", &alice.addresses()).await.unwrap();
    friends::accept_invite(&bob, &invite).await.unwrap();
    bob.wait_until("alice is a friend", |node| friends::is_friend(node, &alice.id()).unwrap())
        .await;
    friends::accept_invite(&carol, &invite).await.unwrap();
    carol
        .wait_until("alice has rejected the request", |node| {
            friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Refused
        })
        .await;
    assert!(!friends::is_friend(&alice, &carol.id()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn invite_request_is_retried_while_the_inviter_is_down() {
    let (mut alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    let invite = friends::create_invite(&alice, "bob", &alice.addresses()).await.unwrap();
    alice.stop().await;
    friends::accept_invite(&bob, &invite).await.unwrap();
    alice.start().await;
    bob.wait_until("alice is a friend", |node| friends::is_friend(node, &alice.id()).unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_friend_receives_an_unfollow_notice() {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    alice.post("one").await;
    bob.wait_for_timeline(&["one"]).await;
    friends::remove(&alice, bob.id()).await.unwrap();
    bob.wait_until("alice has unfollowed", |node| {
        friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Left
    })
    .await;
    alice
        .wait_until("the unfollow notice is confirmed", |node| {
            friends::unfollow_notices(node).unwrap().is_empty()
        })
        .await;
    // Her posts stay until Bob deletes them.
    bob.wait_for_timeline(&["one"]).await;
    bob.post("is anybody there?").await;
    alice.make_friends(&bob).await;
    bob.wait_until("alice is a friend again", |node| {
        friends::is_friend(node, &alice.id()).unwrap()
    })
    .await;
    alice.wait_for_timeline(&["is anybody there?"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unfollow_notice_is_sent_when_the_peer_returns() {
    let (mut alice, mut bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    bob.stop().await;
    friends::remove(&alice, bob.id()).await.unwrap();
    // The unfollow notice survives a restart.
    alice.stop().await;
    alice.start().await;
    bob.start().await;
    bob.wait_until("alice has unfollowed", |node| {
        friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Left
    })
    .await;
    alice
        .wait_until("the unfollow notice is confirmed", |node| {
            friends::unfollow_notices(node).unwrap().is_empty()
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_learn_each_others_site_addresses() {
    let (alice, bob) =
        (Person::new("alice", Transport::Both).await, Person::new("bob", Transport::Both).await);
    alice.make_friends(&bob).await;
    let site = |person: &Person, of: &Person| {
        feed::homes_of(person, &of.id()).unwrap().and_then(|homes| homes.web.into_iter().next())
    };
    bob.wait_until("the address of alice's site is stored", |_| {
        site(&bob, &alice).as_deref() == Some("http://alice.localhost:8080")
    })
    .await;
    alice
        .wait_until("the address of bob's site is stored", |_| {
            site(&alice, &bob).as_deref() == Some("http://bob.localhost:8080")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn post_from_the_future_is_held_at_friends() {
    let (alice, bob) =
        (Person::new("alice", Transport::Tcp).await, Person::new("bob", Transport::Tcp).await);
    alice.make_friends(&bob).await;
    let on_time = alice.post("on time").await;
    let status = |node: &Node, entry: &EntryId| {
        let status = delivery_status::of(node, entry).unwrap().unwrap();
        (status.at, status.held.len(), status.missing.len())
    };
    alice.wait_until("the post has arrived", |node| status(node, &on_time) == (1, 0, 0)).await;
    // Only Alice's clock is wrong: the hellos were exchanged before.
    alice.clock.advance(600_000);
    let early = alice.post("early").await;
    alice.wait_until("the post is held back", |node| status(node, &early) == (0, 1, 0)).await;
    let ahead_ms = alice.presence.clock_ahead_ms(&bob.id()).unwrap();
    assert_eq!(ahead_ms, -600_000, "the acknowledgement shows the difference");
    assert_eq!(status(&alice, &on_time), (1, 0, 0));
}
