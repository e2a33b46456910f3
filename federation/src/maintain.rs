//! Outgoing work on an open connection, by the peer's relation: sync and blobs with a friend, a
//! follow request, or an unfollow notice.

use std::sync::Arc;
use std::time::Duration;

use freehold_core::friends;
use freehold_core::identity::PersonId;

use crate::peer_identity::{PeerIdentity, Relation};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::sync::SyncPeer;
use crate::wire::sync::{PROTOCOL, Reason};
use crate::{blobs, follow, identity_logs, sync_stream};

/// Pauses between two tries of a follow message.
const FOLLOW_RETRY_PAUSES: u32 = 20;

/// Does what the peer's relation calls for, and starts again whenever the relation changes, until
/// the connection is closed.
pub(crate) async fn maintain(state: &Arc<FederationState>, peer: &Arc<Peer>) {
    let mut changes = peer.identity.subscribe();
    let mut relation_before = Relation::Stranger;
    loop {
        let Some(identity) = changes.borrow_and_update().clone() else { return };
        let relation = identity.relation;
        let work = async {
            match (relation, identity.person) {
                (Relation::Friend, Some(person)) => {
                    maintain_friend(state, peer, &identity, person).await;
                }
                (Relation::Requested, Some(person)) => request(state, peer, person).await,
                (Relation::Unfollowing, Some(person)) => unfollow(state, peer, person).await,
                (Relation::Blocked, _) => state.network.disconnect(peer.key),
                _ if relation_before == Relation::Unfollowing => {
                    state.network.disconnect(peer.key);
                }
                _ => {}
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = work => {}
        }
        relation_before = relation;
    }
}

async fn maintain_friend(
    state: &Arc<FederationState>,
    peer: &Arc<Peer>,
    identity: &PeerIdentity,
    person: PersonId,
) {
    let _online = state.node.presence.connected(person, &state.node.clock);
    identity_logs::store(state, identity).await;
    // Never connected since they became a friend: their node may not know of it yet.
    let is_new = friends::get(&state.node, &person)
        .ok()
        .flatten()
        .is_some_and(|friend| friend.last_seen.is_none());
    if is_new && let Err(error) = follow::send_accept(state, peer).await {
        tracing::debug!(peer = %peer.key, %error, "cannot send the acceptance of a follow request");
    }
    if let Err(error) = friends::record_contact(&state.node, person, &[]).await {
        tracing::warn!(%error, "cannot store the time at which a friend was connected");
    }
    state.refresh.mail.notify_one();
    // The second never ends by itself, so the friend counts as online until the connection closes.
    tokio::join!(
        keep_sync_stream(state, peer, identity.sync_peer()),
        blobs::fetch_wanted(state, peer, person)
    );
}

/// Keeps a sync stream open, if this node has the lower key of the two and so is the one to open
/// it.
async fn keep_sync_stream(state: &Arc<FederationState>, peer: &Peer, sync_peer: SyncPeer) {
    if state.network.me() > peer.key {
        return;
    }
    loop {
        let ended = match state.network.open(peer.key, PROTOCOL).await {
            Ok(stream) => sync_stream::run(state, peer, sync_peer, stream)
                .await
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let wait = match ended {
            Ok(end) if end.reason != Reason::Leaving => Duration::from_secs(end.retry_after.into()),
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::debug!(peer = %peer.key, error, "sync stream failed");
                Duration::ZERO
            }
        };
        tokio::time::sleep(wait + state.retry_pause()).await;
    }
}

/// Sends the token of an accepted invite to the inviter's node until it has answered.
async fn request(state: &FederationState, peer: &Peer, person: PersonId) {
    loop {
        let pending = match friends::pending_invites(&state.node) {
            Ok(requests) => requests.into_iter().find(|request| request.friend.person == person),
            Err(error) => {
                tracing::warn!(%error, "cannot read the pending follow requests");
                None
            }
        };
        let Some(pending) = pending else { return };
        match follow::send_request(state, peer, &pending).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(peer = %peer.key, %error, "follow request failed"),
        }
        tokio::time::sleep(state.retry_pause() * FOLLOW_RETRY_PAUSES).await;
    }
}

/// Sends the unfollow notice until it is confirmed. After that the person is a stranger, and
/// [`maintain`] disconnects the peer.
async fn unfollow(state: &FederationState, peer: &Peer, person: PersonId) {
    loop {
        match follow::send_unfollow(state, peer).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => tracing::debug!(peer = %peer.key, %error, "unfollow notice failed"),
        }
        tokio::time::sleep(state.retry_pause() * FOLLOW_RETRY_PAUSES).await;
    }
    if let Err(error) = friends::unfollow_notice_delivered(&state.node, person).await {
        tracing::warn!(%error, "cannot store that an unfollow notice was confirmed");
    }
}
