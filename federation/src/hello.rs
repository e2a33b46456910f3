//! The hello exchange: each side names its person, and the other verifies that claim. The
//! protocol's steps are in `wire::hello`.

use std::sync::{Arc, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::hlc::AHEAD_MAX_MS;
use freehold_core::identity::PersonId;

use crate::identity_logs::{self, LookUp};
use crate::network::{ByteStream, PeerKey};
use crate::peer_identity::{self, PeerIdentity, Relation, certifies};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::hello::{Hello, PROTOCOL};

fn own_hello(state: &FederationState, to: PeerKey) -> Hello {
    let (log, now) = (state.node.identity.log(), state.node.clock.now());
    Hello {
        person: log.as_ref().map(|log| log.person().0),
        ops: log.as_ref().map_or(0, |log| u32::try_from(log.ops().len()).unwrap_or(u32::MAX)),
        head: log.as_ref().map_or([0; 32], |log| log.head().0),
        capabilities: 0,
        versions: vec![1],
        run: state.run.id,
        clock: Some(now.0),
        copy: state.peers.runs.copy_of(to, now),
    }
}

/// Sends a hello to a peer that this node has dialed, or whose friend is to know of a change, and
/// verifies the peer's.
pub(crate) async fn send(state: &FederationState, peer: &Peer) -> Result<(), FrameError> {
    let exchange = async {
        let mut stream = state.network.open(peer.key, PROTOCOL).await?;
        frame::write(&mut stream, &own_hello(state, peer.key)).await?;
        frame::read::<Hello, _>(&mut stream).await
    };
    let hello = answered_in_time(exchange).await?;
    note_run(state, peer, hello.run);
    verify(state, peer, hello).await
}

/// Answers a peer's hello, and verifies it. Only the peer's own rate counts here: an answer costs
/// less than the handshake before it, and a peer with an invite must get that far. The look-up of
/// its log counts against the rates that strangers share.
pub(crate) async fn answer(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    if !peer.take_requests(1, state.node.clock.now()) {
        return Ok(());
    }
    let exchange = async {
        let hello = frame::read::<Hello, _>(&mut stream).await?;
        note_run(state, peer, hello.run);
        frame::write(&mut stream, &own_hello(state, peer.key)).await?;
        Ok(hello)
    };
    verify(state, peer, answered_in_time(exchange).await?).await
}

/// Notes the run of the peer's node. After another run than before on open connections, only the
/// newest one is kept: the others are dead, even if they look open.
fn note_run(state: &FederationState, peer: &Peer, run: u64) {
    state.peers.runs.note(peer.key, run, state.node.clock.now());
    let last_run = peer.last_run.lock().unwrap_or_else(PoisonError::into_inner).replace(run);
    if last_run.is_some_and(|last_run| last_run != run) {
        state.network.keep_newest(peer.key);
    }
}

/// Verifies a peer's claim and stores its identity. One at a time: of two concurrent hellos one is
/// enough.
async fn verify(state: &FederationState, peer: &Peer, hello: Hello) -> Result<(), FrameError> {
    let heard_at = state.node.clock.now();
    let _guard = peer.identifying.lock().await;
    let log = match hello.person {
        Some(person) => {
            match identity_logs::look_up(state, peer, PersonId(person), &hello.head).await? {
                LookUp::Log(log) => log.filter(|log| certifies(log, peer.key)).map(Arc::new),
                LookUp::NotNow => {
                    note_unverified(peer, Some(hello));
                    peer.identity.send_if_modified(|identity| {
                        let is_first = identity.is_none();
                        identity.get_or_insert_default();
                        is_first
                    });
                    return Ok(());
                }
            }
        }
        None => None,
    };
    note_unverified(peer, None);
    let person = log.as_ref().map(|log| log.person());
    let relation = peer_identity::relation(&state.node, person);
    let identity = PeerIdentity { person, log, relation };
    match (relation, person) {
        (Relation::Friend, Some(friend)) => {
            identity_logs::store(state, &identity).await;
            observe(state, peer, friend, &hello, heard_at);
        }
        // The connection was accepted because the block list names another key of this person.
        (Relation::Blocked, _) => state.network.disconnect(peer.key),
        _ => {}
    }
    peer.identity.send_replace(Some(identity));
    // The log may have changed after it was read above, and its event has passed.
    peer.reread_identity(&state.node).await;
    Ok(())
}

/// Keeps the hello of a peer whose log could not be looked up because of a rate, for
/// [`verify_again`]. It is not known who that peer is, which is not to say that it is nobody.
fn note_unverified(peer: &Peer, hello: Option<Hello>) {
    *peer.unverified.lock().unwrap_or_else(PoisonError::into_inner) = hello;
}

/// Looks up the log of a peer again for which there was no rate, now that it has shown a valid
/// token.
pub(crate) async fn verify_again(state: &FederationState, peer: &Peer) -> Result<(), FrameError> {
    let hello = peer.unverified.lock().unwrap_or_else(PoisonError::into_inner).take();
    match hello {
        Some(hello) => verify(state, peer, hello).await,
        None => Ok(()),
    }
}

/// Notes what a friend's hello shows of the clocks and of copies of either node.
fn observe(
    state: &FederationState,
    peer: &Peer,
    friend: PersonId,
    hello: &Hello,
    heard_at: Timestamp,
) {
    let (presence, name) = (&state.node.presence, friend.short());
    if let Some(clock) = hello.clock {
        let ahead_ms = ahead_ms(Timestamp(clock), heard_at);
        presence.set_clock(friend, ahead_ms, heard_at);
        if ahead_ms.unsigned_abs() > AHEAD_MAX_MS {
            tracing::warn!(
                friend = %name, ahead_seconds = ahead_ms / 1000,
                "a friend's clock and this one differ: posts from the clock that is ahead show late"
            );
        }
    }
    if state.peers.runs.copy_of(peer.key, heard_at).is_some()
        && presence.set_copies(friend, heard_at)
    {
        tracing::warn!(
            friend = %name,
            "two copies of a friend's node are running under one key; tell its owner"
        );
    }
    if hello.copy.is_some_and(|run| run != state.run.id)
        && presence.set_own_copies(friend, heard_at)
    {
        tracing::error!(
            friend = %name,
            "another copy of this node is running: a friend's node hears both; stop one of them"
        );
    }
}

/// By how many milliseconds `clock` is ahead of `own`.
fn ahead_ms(clock: Timestamp, own: Timestamp) -> i64 {
    let difference = i128::from(clock.0) - i128::from(own.0);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
