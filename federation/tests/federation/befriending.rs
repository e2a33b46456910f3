use freehold_core::feed;
use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, IdentityLog};

use crate::network::{Over, Person};

async fn an_invite_makes_two_friends(over: Over) {
    let (alice, bob) = (Person::new("alice", over).await, Person::new("bob", over).await);
    alice.befriend(&bob).await;
    for (one, other) in [(&alice, &bob), (&bob, &alice)] {
        let names =
            |log: IdentityLog| log.live_nodes().any(|node| *node == other.identity.node_key());
        one.until("the other's log is here", |node| {
            identity::log_of(node, &other.id()).unwrap().is_some_and(names)
        })
        .await;
    }
    // Each has told the other's owner their name.
    assert_eq!(friends::get(&alice, &bob.id()).unwrap().unwrap().name, "Bob");
    assert_eq!(friends::get(&bob, &alice.id()).unwrap().unwrap().name, "Alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_makes_two_friends_over_tcp() {
    an_invite_makes_two_friends(Over::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_makes_two_friends_over_quic() {
    an_invite_makes_two_friends(Over::Quic).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_works_once() {
    let (alice, bob, carol) = (
        Person::new("alice", Over::Both).await,
        Person::new("bob", Over::Both).await,
        Person::new("carol", Over::Both).await,
    );
    let invite = friends::create_invite(&alice, "bob", &alice.addresses()).await.unwrap();
    friends::accept_invite(&bob, &invite).await.unwrap();
    bob.until("alice is a friend", |node| friends::is_friend(node, &alice.id()).unwrap()).await;
    friends::accept_invite(&carol, &invite).await.unwrap();
    carol
        .until("alice has said no", |node| {
            friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Refused
        })
        .await;
    assert!(!friends::is_friend(&alice, &carol.id()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_accepted_while_the_inviter_is_down_is_kept_up() {
    let (mut alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    let invite = friends::create_invite(&alice, "bob", &alice.addresses()).await.unwrap();
    alice.down().await;
    friends::accept_invite(&bob, &invite).await.unwrap();
    alice.up().await;
    bob.until("alice is a friend", |node| friends::is_friend(node, &alice.id()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_who_was_removed_is_told() {
    let (alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    alice.post("one").await;
    bob.shows(&["one"]).await;
    friends::remove(&alice, bob.id()).await.unwrap();
    bob.until("alice has left", |node| {
        friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Left
    })
    .await;
    alice
        .until("the farewell was heard", |node| friends::unfollow_notices(node).unwrap().is_empty())
        .await;
    // What she said stays, until Bob wants it gone.
    bob.shows(&["one"]).await;
    bob.post("is anybody there?").await;
    alice.befriend(&bob).await;
    bob.until("alice is a friend again", |node| friends::is_friend(node, &alice.id()).unwrap())
        .await;
    alice.shows(&["is anybody there?"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_friend_who_was_removed_while_away_is_told_on_coming_back() {
    let (mut alice, mut bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    bob.down().await;
    friends::remove(&alice, bob.id()).await.unwrap();
    // A restart in between: the farewell is written down.
    alice.down().await;
    alice.up().await;
    bob.up().await;
    bob.until("alice has left", |node| {
        friends::get(node, &alice.id()).unwrap().unwrap().state == FriendState::Left
    })
    .await;
    alice
        .until("the farewell was heard", |node| friends::unfollow_notices(node).unwrap().is_empty())
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn friends_learn_where_each_others_sites_are() {
    let (alice, bob) =
        (Person::new("alice", Over::Both).await, Person::new("bob", Over::Both).await);
    alice.befriend(&bob).await;
    let site = |person: &Person, of: &Person| {
        feed::homes_of(person, &of.id()).unwrap().and_then(|homes| homes.web.into_iter().next())
    };
    bob.until("alice's site is known", |_| {
        site(&bob, &alice).as_deref() == Some("http://alice.localhost:8080")
    })
    .await;
    alice
        .until("bob's site is known", |_| {
            site(&alice, &bob).as_deref() == Some("http://bob.localhost:8080")
        })
        .await;
}
