//! Follow requests while the rates of strangers are used up: the holder of a valid token is
//! answered, and nobody is rejected for want of a rate.

use super::*;
use crate::wire::follow::{Follow, Introduction as WireIntroduction, PROTOCOL as FOLLOW, Request};

/// Uses up what all strangers share, as an attacker with many keys does.
fn use_up_strangers_rate(fixture: &Fixture) {
    let state = &fixture.federation.state;
    while state.quotas.take_stranger_requests(None, 1, state.node.clock.now()) {}
}

/// Connects again with Mallory's key: the node has forgotten who that is.
async fn reconnect(fixture: &Fixture) {
    let key = PeerKey(*fixture.alice.identity.node_key().as_bytes());
    fixture.state.network.disconnect(key);
    tokio::time::timeout(TIMEOUT, fixture.disconnected.notified()).await.unwrap();
    let forgotten = async {
        while !fixture.federation.state.peers.connected().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, forgotten).await.unwrap();
    fixture.state.network.dial(key, fixture.federation.addresses());
    let connected = async {
        while fixture.state.network.open(key, HELLO).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, connected).await.unwrap();
}

async fn follow(fixture: &Fixture, token: [u8; 16]) -> Follow {
    let mut stream = fixture.open(FOLLOW).await;
    let from = WireIntroduction { name: "Mallory".to_owned(), addresses: Vec::new() };
    let request = Request { token: Some(token), note: String::new(), from };
    frame::write(&mut stream, &Follow::Request(request)).await.unwrap();
    frame::read::<Follow, _>(&mut stream).await.unwrap()
}

#[tokio::test]
async fn valid_token_is_answered_while_strangers_flood() {
    let fixture = Fixture::new(false, None).await;
    use_up_strangers_rate(&fixture);
    reconnect(&fixture).await;
    let mallory = person_id(&fixture.mallory);
    assert!(fixture.exchange_hello(fixture.hello(mallory)).await.is_some(), "a hello is answered");
    let fetched = fixture.log_requests.load(Ordering::Relaxed);
    let invite = friends::create_invite(&fixture.alice, "", &[]).await.unwrap();
    assert!(matches!(follow(&fixture, invite.token).await, Follow::Accept(_)));
    assert!(friends::is_friend(&fixture.alice, &mallory).unwrap());
    assert!(fixture.log_requests.load(Ordering::Relaxed) > fetched, "the token pays for it");
    fixture.shutdown().await;
}

#[tokio::test]
async fn used_up_rate_rejects_no_token() {
    let fixture = Fixture::new(false, None).await;
    let mallory = person_id(&fixture.mallory);
    assert_eq!(follow(&fixture, [1; 16]).await, Follow::Reject, "a token that is not valid");
    use_up_strangers_rate(&fixture);
    reconnect(&fixture).await;
    assert!(fixture.exchange_hello(fixture.hello(mallory)).await.is_some());
    let fetched = fixture.log_requests.load(Ordering::Relaxed);
    // It may be the token of a person who is a friend by now; only the log could tell.
    let mut stream = fixture.open(FOLLOW).await;
    let from = WireIntroduction { name: "Mallory".to_owned(), addresses: Vec::new() };
    let request = Request { token: Some([1; 16]), note: String::new(), from };
    frame::write(&mut stream, &Follow::Request(request)).await.unwrap();
    assert!(!matches!(frame::read::<Follow, _>(&mut stream).await, Ok(Follow::Reject)));
    assert_eq!(fixture.log_requests.load(Ordering::Relaxed), fetched, "a bad token pays nothing");
    assert!(!friends::is_friend(&fixture.alice, &mallory).unwrap());
    fixture.shutdown().await;
}
