//! Follow requests in both directions. The protocol's steps are in `wire::follow`; the rules are in
//! core's `friends`.

use freehold_core::friends::{self, PendingInvite};
use freehold_core::identity::PersonId;
use freehold_core::keys::PublicKey;
use freehold_core::profile;
use freehold_core::store::StoreError;

use crate::hello;
use crate::identity_logs;
use crate::limits::{ADDRESS_LEN_MAX, ADDRESSES_MAX, NAME_LEN_MAX, NOTE_LEN_MAX};
use crate::network::ByteStream;
use crate::peer_identity::{PeerIdentity, Relation};
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::follow::{Follow, Introduction, PROTOCOL, Request};
use crate::wire::frame::{self, FrameError, answered_in_time};

/// Why an exchange failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FollowError {
    /// The stream failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends the token of an invite that the owner has accepted to the inviter's node. `true` once the
/// node has accepted or rejected it.
pub(crate) async fn send_request(
    state: &FederationState,
    peer: &Peer,
    invite: &PendingInvite,
) -> Result<bool, FollowError> {
    let request =
        Request { token: Some(invite.token), note: String::new(), from: own_introduction(state)? };
    let person = invite.friend.person;
    match exchange(state, peer, &Follow::Request(request)).await? {
        Follow::Accept(from) => {
            friends::invite_accepted(&state.node, person).await?;
            friends::record_contact(&state.node, person, &bounded(from).addresses).await?;
            Ok(true)
        }
        Follow::Reject => {
            friends::invite_refused(&state.node, person).await?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Sends an unfollow notice; true once the peer has confirmed it.
pub(crate) async fn send_unfollow(
    state: &FederationState,
    peer: &Peer,
) -> Result<bool, FollowError> {
    Ok(exchange(state, peer, &Follow::Unfollow).await? == Follow::Noted)
}

/// Tells a peer whose request was pending that the owner has accepted it.
pub(crate) async fn send_accept(state: &FederationState, peer: &Peer) -> Result<(), FollowError> {
    let accept = Follow::Accept(own_introduction(state)?);
    exchange(state, peer, &accept).await?;
    Ok(())
}

async fn exchange(
    state: &FederationState,
    peer: &Peer,
    message: &Follow,
) -> Result<Follow, FrameError> {
    answered_in_time(async {
        let mut stream = state.network.open(peer.key, PROTOCOL).await?;
        frame::write(&mut stream, message).await?;
        frame::read::<Follow, _>(&mut stream).await
    })
    .await
}

/// Answers one follow message. The token of an open invite comes before every rate that strangers
/// share, and pays for the look-up of the peer's log: the holder of an invite is answered.
pub(crate) async fn serve(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FollowError> {
    let message: Follow = answered_in_time(frame::read(&mut stream)).await?;
    if !peer.take_requests(1, state.node.clock.now()) {
        return Ok(());
    }
    let token = match &message {
        Follow::Request(request) => request.token,
        _ => None,
    };
    let is_invited = match token {
        Some(token) => friends::is_open_invite(&state.node, &token)?,
        None => false,
    };
    if is_invited {
        state.expect_invited(peer);
    }
    if peer.identified().await.is_none() {
        return Ok(());
    }
    if is_invited {
        hello::verify_again(state, peer).await?;
    }
    // The message changes stored rows, and the key may have been retired a moment ago.
    peer.reread_identity(&state.node).await;
    let Some(identity) = peer.identity.borrow().clone() else { return Ok(()) };
    if identity.relation == Relation::Blocked || !state.may_share(peer, 1) {
        return Ok(());
    }
    let answer = match (message, identity.person) {
        (Follow::Request(request), Some(person)) => {
            answer_request(state, peer, &identity, person, request).await?
        }
        (Follow::Accept(from), Some(person)) => {
            if friends::invite_accepted(&state.node, person).await? {
                friends::record_contact(&state.node, person, &bounded(from).addresses).await?;
            }
            Follow::Noted
        }
        (Follow::Unfollow, Some(person)) => {
            friends::unfollowed_by(&state.node, person).await?;
            Follow::Noted
        }
        // It could not be found out just now who the peer is. The token may be one that this very
        // person has used: their node asks again.
        (Follow::Request(_), None) if token.is_some() && peer.is_unverified() => Follow::Pending,
        (_, None) if peer.is_unverified() => return Ok(()),
        // A node without a verified person cannot be a friend's.
        _ => Follow::Reject,
    };
    Ok(frame::write(&mut stream, &answer).await.map_err(FrameError::Io)?)
}

async fn answer_request(
    state: &FederationState,
    peer: &Peer,
    identity: &PeerIdentity,
    person: PersonId,
    request: Request,
) -> Result<Follow, FollowError> {
    let Ok(node) = PublicKey::from_ed25519(peer.key.0) else { return Ok(Follow::Reject) };
    let Introduction { name, addresses } = bounded(request.from);
    let from = friends::Introduction { person, node, name, addresses };
    let now = state.node.clock.now();
    let accepted = match request.token {
        Some(token) => friends::redeem_invite(&state.node, &from, token).await.map(|_| true),
        None if !state.quotas.follow_requests.take(peer.key, now) => return Ok(Follow::Reject),
        None => {
            friends::receive_request(&state.node, &from, truncated(&request.note, NOTE_LEN_MAX))
                .await
        }
    };
    match accepted {
        Ok(true) => {
            // Their entries are verified against this log, so it is stored before the answer.
            identity_logs::store(state, identity).await;
            Ok(Follow::Accept(own_introduction(state)?))
        }
        Ok(false) => Ok(Follow::Pending),
        Err(friends::BefriendError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::info!(peer = %peer.key, %error, "rejected a follow request");
            Ok(Follow::Reject)
        }
    }
}

/// The owner's name and this node's addresses.
fn own_introduction(state: &FederationState) -> Result<Introduction, StoreError> {
    let name = profile::get(&state.node)?.map(|profile| profile.name).unwrap_or_default();
    let addresses = state.network.addresses();
    Ok(bounded(Introduction { name: truncated(&name, NAME_LEN_MAX).to_owned(), addresses }))
}

/// The introduction with its addresses limited in number and length.
fn bounded(from: Introduction) -> Introduction {
    let fits = |address: &String| address.len() <= ADDRESS_LEN_MAX;
    Introduction {
        addresses: from.addresses.into_iter().filter(fits).take(ADDRESSES_MAX).collect(),
        ..from
    }
}

fn truncated(text: &str, len_max: usize) -> &str {
    text.get(..text.floor_char_boundary(len_max)).unwrap_or(text)
}
