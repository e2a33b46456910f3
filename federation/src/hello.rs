//! The hello exchange: each side names its person, and the other verifies that claim. The
//! protocol's steps are in `wire::hello`.

use std::sync::{Arc, PoisonError};

use freehold_core::identity::PersonId;

use crate::identity_logs;
use crate::network::ByteStream;
use crate::peer_identity::{self, PeerIdentity, Relation, certifies};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::hello::{Hello, PROTOCOL};

fn own_hello(state: &FederationState) -> Hello {
    let log = state.node.identity.log();
    Hello {
        person: log.as_ref().map(|log| log.person().0),
        ops: log.as_ref().map_or(0, |log| u32::try_from(log.ops().len()).unwrap_or(u32::MAX)),
        head: log.as_ref().map_or([0; 32], |log| log.head().0),
        capabilities: 0,
        versions: vec![1],
        run: state.run.id,
    }
}

/// Sends a hello to a peer that this node has dialed, and verifies the peer's.
pub(crate) async fn send(state: &FederationState, peer: &Peer) -> Result<(), FrameError> {
    let exchange = async {
        let mut stream = state.network.open(peer.key, PROTOCOL).await?;
        frame::write(&mut stream, &own_hello(state)).await?;
        frame::read::<Hello, _>(&mut stream).await
    };
    verify(state, peer, answered_in_time(exchange).await?).await
}

/// Answers a peer's hello, and verifies it.
pub(crate) async fn answer(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    if !state.may_request(peer, 1) {
        return Ok(());
    }
    let exchange = async {
        let hello = frame::read::<Hello, _>(&mut stream).await?;
        frame::write(&mut stream, &own_hello(state)).await?;
        Ok(hello)
    };
    let hello = answered_in_time(exchange).await?;
    let last_run = peer.last_run.lock().unwrap_or_else(PoisonError::into_inner).replace(hello.run);
    if last_run.is_some_and(|last_run| last_run != hello.run) {
        state.network.keep_newest(peer.key);
    }
    verify(state, peer, hello).await
}

/// Verifies a peer's claim and stores its identity. One at a time: of two concurrent hellos one is
/// enough.
async fn verify(state: &FederationState, peer: &Peer, hello: Hello) -> Result<(), FrameError> {
    let _guard = peer.identifying.lock().await;
    let log = match hello.person {
        Some(person) => identity_logs::look_up(state, peer, PersonId(person), &hello.head)
            .await?
            .filter(|log| certifies(log, peer.key))
            .map(Arc::new),
        None => None,
    };
    let person = log.as_ref().map(|log| log.person());
    let relation = peer_identity::relation(&state.node, person);
    let identity = PeerIdentity { person, log, relation };
    match relation {
        Relation::Friend => identity_logs::store(state, &identity).await,
        // The connection was accepted because the block list names another key of this person.
        Relation::Blocked => state.network.disconnect(peer.key),
        Relation::Requested | Relation::Unfollowing | Relation::Stranger => {}
    }
    peer.identity.send_replace(Some(identity));
    // The log may have changed after it was read above, and its event has passed.
    peer.reread_identity(&state.node).await;
    Ok(())
}
