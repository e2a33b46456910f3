//! Incoming streams, each handed to its protocol.

use std::sync::Arc;

use crate::follow::FollowError;
use crate::limits::ANSWER_TIMEOUT;
use crate::network::ByteStream;
use crate::peer_identity::{PeerIdentity, Relation};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::{
    blob, follow as follow_wire, hello as hello_wire, identity, mail as mail_wire,
    relay as relay_wire, sync as sync_wire,
};
use crate::{blobs, follow, hello, identity_logs, mail, sync_stream};

/// Serves one stream that the peer has opened.
pub(crate) async fn serve(
    state: &Arc<FederationState>,
    peer: &Arc<Peer>,
    protocol: &'static str,
    stream: ByteStream,
) -> Result<(), FollowError> {
    // A blocked person gets no answer at all, not even that they are blocked.
    if peer.relation() == Some(Relation::Blocked) {
        return Ok(());
    }
    match protocol {
        hello_wire::PROTOCOL => Ok(hello::answer(state, peer, stream).await?),
        identity::PROTOCOL => Ok(identity_logs::serve(state, peer, stream).await?),
        follow_wire::PROTOCOL => follow::serve(state, peer, stream).await,
        sync_wire::PROTOCOL => serve_sync(state, peer, stream).await,
        blob::PROTOCOL => Ok(blobs::serve(state, peer, stream).await?),
        mail_wire::PROTOCOL => Ok(mail::serve(state, peer, stream).await?),
        relay_wire::PROTOCOL => Ok(mail::serve_relay(state, peer, stream).await?),
        _ => Ok(()),
    }
}

async fn serve_sync(
    state: &Arc<FederationState>,
    peer: &Peer,
    stream: ByteStream,
) -> Result<(), FollowError> {
    let Some(identity) = peer.identified().await else { return Ok(()) };
    let identity = match identity.relation {
        Relation::Blocked => return Ok(()),
        Relation::Requested => match confirmed(peer, identity).await {
            Some(identity) => identity,
            None => return Ok(()),
        },
        _ => identity,
    };
    // Between friends the node with the lower key opens the stream; otherwise two streams opened at
    // once would replace each other.
    if identity.relation == Relation::Friend && state.network.me() < peer.key {
        return Ok(());
    }
    if identity.relation != Relation::Stranger {
        identity_logs::store(state, &identity).await;
    } else if !state.may_request(peer, 1) {
        // Each stream has a rate of its own: without this check a stranger would open new ones.
        return Ok(());
    }
    sync_stream::run(state, peer, identity.sync_peer(), stream).await?;
    Ok(())
}

/// Waits until the peer's pending request is answered: its node may open a stream before this node
/// has read the Accept.
async fn confirmed(peer: &Peer, before: PeerIdentity) -> Option<PeerIdentity> {
    let mut changes = peer.identity.subscribe();
    let answered = changes.wait_for(|identity| {
        identity.as_ref().is_some_and(|identity| identity.relation != Relation::Requested)
    });
    let identity = tokio::time::timeout(ANSWER_TIMEOUT, answered).await.ok()?.ok()?;
    Some(identity.clone().unwrap_or(before))
}
