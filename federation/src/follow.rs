//! Asking to be friends and being asked. The steps are told in `wire::follow`; the rules are core's
//! `friends`.

use std::collections::HashMap;
use std::sync::PoisonError;

use freehold_core::clock::Timestamp;
use freehold_core::friends::{self, PendingInvite};
use freehold_core::identity::PersonId;
use freehold_core::keys::PublicKey;
use freehold_core::profile;
use freehold_core::store::StoreError;

use crate::hello::within;
use crate::limits::{
    ADDRESS_LEN_MAX, ADDRESSES_MAX, ANSWER_TIMEOUT, NOTE_LEN_MAX, REQUEST_INTERVAL,
};
use crate::network::{ByteStream, PeerKey};
use crate::peers::{Peer, Shared};
use crate::standing::{Relation, Standing};
use crate::wire::follow::{Follow, Introduction, PROTOCOL, Request};
use crate::wire::frame::{self, FrameError};

/// Peers whose last request is remembered; beyond that the oldest are forgotten.
const REMEMBERED_MAX: usize = 4096;
/// Bytes in a name; core cuts further.
const NAME_LEN_MAX: usize = 200;

/// When each peer last asked without a token.
pub(crate) type LastAsked = HashMap<PeerKey, Timestamp>;

/// Why an exchange came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The stream.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Asks the node of somebody whose invite was accepted here. `true` once it has answered for good.
pub(crate) async fn ask(
    shared: &Shared,
    peer: &Peer,
    asked: &PendingInvite,
) -> Result<bool, FollowError> {
    let request =
        Request { token: Some(asked.token), note: String::new(), from: introduction(shared)? };
    match exchange(shared, peer, &Follow::Request(request)).await? {
        Follow::Accept(from) => {
            friends::invite_accepted(&shared.node, asked.friend.person).await?;
            friends::record_contact(&shared.node, asked.friend.person, &checked(from).addresses)
                .await?;
            Ok(true)
        }
        Follow::Reject => {
            friends::invite_refused(&shared.node, asked.friend.person).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Tells a peer that the friendship has ended; whether it has taken note.
pub(crate) async fn leave(shared: &Shared, peer: &Peer) -> Result<bool, FollowError> {
    Ok(exchange(shared, peer, &Follow::Unfollow).await? == Follow::Noted)
}

/// Tells a peer who had asked that the owner has said yes.
pub(crate) async fn accept(shared: &Shared, peer: &Peer) -> Result<(), FollowError> {
    let yes = Follow::Accept(introduction(shared)?);
    exchange(shared, peer, &yes).await?;
    Ok(())
}

async fn exchange(shared: &Shared, peer: &Peer, message: &Follow) -> Result<Follow, FrameError> {
    let exchange = async {
        let mut stream = shared.network.open(peer.key, PROTOCOL).await?;
        frame::write(&mut stream, message).await?;
        frame::read::<Follow, _>(&mut stream).await
    };
    tokio::time::timeout(ANSWER_TIMEOUT, exchange)
        .await
        .map_err(|_| FrameError::Io(std::io::ErrorKind::TimedOut.into()))?
}

/// Answers one follow message.
pub(crate) async fn serve(
    shared: &Shared,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FollowError> {
    let message: Follow = within(frame::read(&mut stream)).await?;
    if peer.known().await.is_none() {
        return Ok(());
    }
    // What is said here lasts: the key may have been retired a moment ago.
    peer.renew(shared).await;
    let Some(standing) = peer.standing.borrow().clone() else { return Ok(()) };
    if standing.relation == Relation::Blocked || !peer.may_ask(shared, 1) {
        return Ok(());
    }
    let answer = match (message, standing.person) {
        (Follow::Request(request), Some(person)) => {
            requested(shared, peer, &standing, person, request).await?
        }
        (Follow::Accept(from), Some(person)) => {
            if friends::invite_accepted(&shared.node, person).await? {
                friends::record_contact(&shared.node, person, &checked(from).addresses).await?;
            }
            Follow::Noted
        }
        (Follow::Unfollow, Some(person)) => {
            friends::unfollowed_by(&shared.node, person).await?;
            Follow::Noted
        }
        // A node that nobody has claimed, or that claims falsely, cannot be anybody's friend.
        _ => Follow::Reject,
    };
    Ok(frame::write(&mut stream, &answer).await.map_err(FrameError::Io)?)
}

async fn requested(
    shared: &Shared,
    peer: &Peer,
    standing: &Standing,
    person: PersonId,
    request: Request,
) -> Result<Follow, FollowError> {
    let Ok(node) = PublicKey::from_ed25519(peer.key.0) else { return Ok(Follow::Reject) };
    let Introduction { name, addresses } = checked(request.from);
    let from = friends::Introduction { person, node, name, addresses };
    let answered = match request.token {
        Some(token) => friends::redeem_invite(&shared.node, &from, token).await.map(|_| true),
        None if !may_request(shared, peer.key) => return Ok(Follow::Reject),
        None => {
            friends::receive_request(&shared.node, &from, cut(&request.note, NOTE_LEN_MAX)).await
        }
    };
    match answered {
        Ok(true) => {
            // Their feed is verified against this log, so it is kept before they hear yes.
            crate::hello::keep(shared, standing).await;
            Ok(Follow::Accept(introduction(shared)?))
        }
        Ok(false) => Ok(Follow::Pending),
        Err(friends::BefriendError::Store(error)) => Err(error.into()),
        Err(refused) => {
            tracing::info!(peer = %peer.key, %refused, "a request was refused");
            Ok(Follow::Reject)
        }
    }
}

/// Once per peer and hour; see [`crate::limits::REQUEST_INTERVAL`].
fn may_request(shared: &Shared, peer: PeerKey) -> bool {
    let now = shared.node.clock.now();
    let hour = u64::try_from(REQUEST_INTERVAL.as_millis()).unwrap_or(u64::MAX);
    let mut asked = shared.last_asked.lock().unwrap_or_else(PoisonError::into_inner);
    if asked.get(&peer).is_some_and(|last| now.millis_since(*last) < hour) {
        return false;
    }
    if asked.len() >= REMEMBERED_MAX {
        asked.retain(|_, last| now.millis_since(*last) < hour);
    }
    // Full even so: thousands of keys within an hour are no people.
    let has_room = asked.len() < REMEMBERED_MAX;
    if has_room {
        asked.insert(peer, now);
    }
    has_room
}

/// How this node introduces its owner.
fn introduction(shared: &Shared) -> Result<Introduction, StoreError> {
    let name = profile::get(&shared.node)?.map(|profile| profile.name).unwrap_or_default();
    let addresses =
        shared.network.addresses().into_iter().filter(|address| address.len() <= ADDRESS_LEN_MAX);
    Ok(Introduction {
        name: cut(&name, NAME_LEN_MAX).to_owned(),
        addresses: addresses.take(ADDRESSES_MAX).collect(),
    })
}

fn checked(from: Introduction) -> Introduction {
    let fits = |address: &String| address.len() <= ADDRESS_LEN_MAX;
    Introduction {
        addresses: from.addresses.into_iter().filter(fits).take(ADDRESSES_MAX).collect(),
        ..from
    }
}

fn cut(text: &str, len_max: usize) -> &str {
    text.get(..text.floor_char_boundary(len_max)).unwrap_or(text)
}
