//! Hellos on an open connection: a changed identity log, two runs under one key, clocks.

use freehold_core::identity::op::OpBody;
use freehold_core::identity::transfer::{Signed, sign};
use freehold_core::identity_log;
use freehold_core::testing::mnemonic_of;

use super::*;

/// The next hello that Alice's node sends by itself.
async fn next_hello(fixture: &mut Fixture) -> Hello {
    loop {
        let next = tokio::time::timeout(TIMEOUT, fixture.streams.recv());
        let (protocol, mut stream) = next.await.unwrap().unwrap();
        if protocol == HELLO {
            let hello = frame::read::<Hello, _>(&mut stream).await.unwrap();
            let answer = fixture.hello(person_id(&fixture.mallory));
            frame::write(&mut stream, &answer).await.unwrap();
            return hello;
        }
    }
}

#[tokio::test]
async fn changed_identity_log_is_sent_to_connected_friends() {
    let mut fixture = Fixture::with_friend().await;
    let before = fixture.alice.identity.log().unwrap();
    let body = OpBody::SetDomain(Some("alice.example".to_owned()));
    let request = identity_log::request(&before, body).unwrap();
    let Signed::Request(signed) = sign(&request, &mnemonic_of("alice")).unwrap() else {
        panic!("no claim")
    };
    identity_log::upload(&fixture.alice, &signed).await.unwrap();
    let hello = next_hello(&mut fixture).await;
    let after = fixture.alice.identity.log().unwrap();
    assert_ne!(after.head(), before.head());
    assert_eq!((hello.head, hello.ops), (after.head().0, 2));
    fixture.shutdown().await;
}

#[tokio::test]
async fn alternating_runs_of_a_friend_are_reported_to_both() {
    let fixture = Fixture::with_friend().await;
    let mallory = person_id(&fixture.mallory);
    let now = fixture.alice.clock.now();
    let mut answers = Vec::new();
    for run in [1, 2, 1, 2] {
        assert!(!fixture.alice.presence.has_copies(&mallory, now));
        let hello = Hello { run, ..fixture.hello(mallory) };
        answers.push(fixture.exchange_hello(hello).await.unwrap().copy);
    }
    assert_eq!(answers, [None, None, None, Some(1)]);
    // The answer is sent before the hello has been verified.
    let peers = &fixture.federation.state.peers;
    let is_noted = async {
        while !fixture.alice.presence.has_copies(&mallory, now) {
            let peer = peers.connected().into_iter().next().unwrap();
            let _ = peer.identifying.lock().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, is_noted).await.unwrap();
    fixture.shutdown().await;
}

#[tokio::test]
async fn friend_reports_a_copy_and_a_differing_clock() {
    let fixture = Fixture::with_friend().await;
    let (alice, mallory) = (&fixture.alice, person_id(&fixture.mallory));
    let (own_run, now) = (fixture.federation.state.run.id, alice.clock.now());
    let own = Hello { copy: Some(own_run), ..fixture.hello(mallory) };
    fixture.exchange_hello(own).await.unwrap();
    let clock = Some(now.0 - 600_000);
    let other = Hello { copy: Some(own_run ^ 1), clock, ..fixture.hello(mallory) };
    let mut expected = alice.presence.own_copies(now);
    assert_eq!(expected, [], "the present run is no copy of itself");
    let answer = fixture.exchange_hello(other).await.unwrap();
    assert_eq!(answer.clock, Some(now.0));
    let noted = async {
        while expected.is_empty() {
            tokio::task::yield_now().await;
            expected = alice.presence.own_copies(now);
        }
    };
    tokio::time::timeout(TIMEOUT, noted).await.unwrap();
    assert_eq!(expected, [mallory]);
    assert_eq!(alice.presence.clock_ahead_ms(&mallory), Some(-600_000));
    fixture.shutdown().await;
}

#[tokio::test]
async fn strangers_reports_of_copies_and_clocks_are_ignored() {
    let fixture = Fixture::new(false, None).await;
    let mallory = person_id(&fixture.mallory);
    let hello = Hello { copy: Some(7), clock: Some(0), ..fixture.hello(mallory) };
    fixture.exchange_hello(hello).await.unwrap();
    let peer = fixture.federation.state.peers.connected().into_iter().next().unwrap();
    peer.identified().await.unwrap();
    drop(peer.identifying.lock().await);
    assert_eq!(fixture.alice.presence.own_copies(fixture.alice.clock.now()), []);
    assert_eq!(fixture.alice.presence.clocks(), []);
    fixture.shutdown().await;
}
