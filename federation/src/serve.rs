//! What a connected peer gets: each incoming stream by its protocol, and what its standing calls
//! for from this side.

use std::sync::Arc;
use std::time::Duration;

use freehold_core::friends;
use freehold_core::identity::PersonId;

use crate::follow::{self, FollowError};
use crate::limits::ANSWER_TIMEOUT;
use crate::network::ByteStream;
use crate::peers::{self, Peer, Shared};
use crate::standing::{Relation, Standing};
use crate::sync::{Trust, stream};
use crate::wire::sync::Reason;
use crate::wire::{blob, follow as follow_wire, hello as hello_wire, identity, sync as sync_wire};
use crate::{blobs, hello};

/// Serves one stream that the peer has opened.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    protocol: &'static str,
    stream: ByteStream,
) -> Result<(), FollowError> {
    // Who is blocked hears nothing more; that they are is for them to guess.
    let is_blocked = peer
        .standing
        .borrow()
        .as_ref()
        .is_some_and(|standing| standing.relation == Relation::Blocked);
    if is_blocked {
        return Ok(());
    }
    match protocol {
        hello_wire::PROTOCOL => Ok(hello::answer(shared, peer, stream).await?),
        identity::PROTOCOL => Ok(hello::serve_identity(shared, peer, stream).await?),
        follow_wire::PROTOCOL => follow::serve(shared, peer, stream).await,
        sync_wire::PROTOCOL => serve_sync(shared, peer, stream).await,
        blob::PROTOCOL => Ok(blobs::serve(shared, peer, stream).await?),
        _ => Ok(()),
    }
}

async fn serve_sync(
    shared: &Arc<Shared>,
    peer: &Peer,
    stream: ByteStream,
) -> Result<(), FollowError> {
    let Some(mut standing) = peer.known().await else { return Ok(()) };
    if standing.relation == Relation::Blocked {
        return Ok(());
    }
    if standing.relation == Relation::Asked {
        // They have said yes before this node has heard it; a moment's patience saves a new start.
        let mut changes = peer.standing.subscribe();
        let answered =
            changes.wait_for(|now| now.as_ref().is_some_and(|now| now.relation != Relation::Asked));
        let Ok(Ok(now)) = tokio::time::timeout(ANSWER_TIMEOUT, answered).await else {
            return Ok(());
        };
        standing = now.clone().unwrap_or(standing);
    }
    // Between friends one opens the stream, or two that cross would end each other.
    if standing.relation == Relation::Friend && shared.network.me() < peer.key {
        return Ok(());
    }
    if standing.relation != Relation::Stranger {
        hello::keep(shared, &standing).await;
    } else if !peer.may_ask(shared, 1) {
        // A new stream would begin with its rate unused.
        return Ok(());
    }
    stream::run(shared, peer, standing.trust(), stream).await?;
    Ok(())
}

/// Keeps up what the peer's standing calls for, until the connection is gone.
pub(crate) async fn attend(shared: &Arc<Shared>, peer: &Arc<Peer>) {
    let mut changes = peer.standing.subscribe();
    let mut before = Relation::Stranger;
    loop {
        let Some(standing) = changes.borrow_and_update().clone() else { return };
        let relation = standing.relation;
        let work = async {
            match (standing.relation, standing.person) {
                (Relation::Friend, Some(person)) => befriend(shared, peer, &standing, person).await,
                (Relation::Asked, Some(person)) => ask(shared, peer, person).await,
                (Relation::Leaving, Some(person)) => take_leave(shared, peer, person).await,
                (Relation::Blocked, _) => shared.network.hangup(peer.key),
                _ if before == Relation::Leaving => shared.network.hangup(peer.key),
                _ => {}
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = work => {}
        }
        before = relation;
    }
}

/// Says the farewell that is owed, until it has been heard. With that they are a stranger, and are
/// hung up on.
async fn take_leave(shared: &Shared, peer: &Peer, person: PersonId) {
    loop {
        match follow::leave(shared, peer).await {
            Ok(true) => break,
            Ok(false) => {}
            Err(error) => tracing::debug!(peer = %peer.key, %error, "a farewell was not heard"),
        }
        tokio::time::sleep(peers::pause(shared) * 20).await;
    }
    if let Err(error) = friends::unfollow_notice_delivered(&shared.node, person).await {
        tracing::warn!(%error, "cannot note that a farewell was said");
    }
}

async fn befriend(shared: &Arc<Shared>, peer: &Arc<Peer>, standing: &Standing, person: PersonId) {
    let _connected = shared.node.presence.connected(person, &shared.node.clock);
    hello::keep(shared, standing).await;
    // Never reached since they became a friend: they may not know yet that they are one.
    let is_new = friends::get(&shared.node, &person)
        .ok()
        .flatten()
        .is_some_and(|friend| friend.last_seen.is_none());
    if is_new && let Err(error) = follow::accept(shared, peer).await {
        tracing::debug!(peer = %peer.key, %error, "cannot say yes");
    }
    if let Err(error) = friends::record_contact(&shared.node, person, &[]).await {
        tracing::warn!(%error, "cannot note that a friend was reached");
    }
    // The second goes on until the connection is gone; so long they are awake.
    tokio::join!(
        keep_synced(shared, peer, standing.trust()),
        blobs::fetch_wanted(shared, peer, person)
    );
}

/// Keeps a sync stream open. One of the two opens it: the one with the lower key.
async fn keep_synced(shared: &Arc<Shared>, peer: &Peer, trust: Trust) {
    if shared.network.me() > peer.key {
        return;
    }
    loop {
        let ended = match shared.network.open(peer.key, sync_wire::PROTOCOL).await {
            Ok(stream) => {
                stream::run(shared, peer, trust, stream).await.map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let wait = match ended {
            Ok(ended) if ended.reason != Reason::Leaving => {
                Duration::from_secs(ended.retry_after.into())
            }
            Ok(_) => Duration::ZERO,
            Err(error) => {
                tracing::debug!(peer = %peer.key, error, "no sync stream");
                Duration::ZERO
            }
        };
        tokio::time::sleep(wait + peers::pause(shared)).await;
    }
}

/// Brings an invite's token to the node that gave it out.
async fn ask(shared: &Shared, peer: &Peer, person: PersonId) {
    loop {
        let asked = match friends::pending_invites(&shared.node) {
            Ok(all) => all.into_iter().find(|asked| asked.friend.person == person),
            Err(error) => {
                tracing::warn!(%error, "cannot read whom to ask");
                None
            }
        };
        let Some(asked) = asked else { return };
        match follow::ask(shared, peer, &asked).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => tracing::debug!(peer = %peer.key, %error, "no answer to an invite"),
        }
        tokio::time::sleep(peers::pause(shared) * 20).await;
    }
}
