//! Friends: the people whose feeds this node stores, and the steps to become friends.
//!
//! 1. Alice makes an [`Invite`] and hands it to Bob as a link or a QR code.
//! 2. Bob pastes it: [`accept_invite`] writes a friend in state [`FriendState::Requested`].
//!    Federation finds it with [`pending_invites`] and dials.
//! 3. The connection proves the key of Alice's node, and Bob's node sends the token:
//!    [`redeem_invite`] checks the token, deletes it and makes Bob a friend, in one commit. A token
//!    works once, until it expires.
//! 4. Alice's node accepts: [`invite_accepted`] makes Alice a friend on Bob's node.
//!
//! [`remove`] ends a friendship and leaves an [`UnfollowNotice`] for the other node, which then
//! calls [`unfollowed_by`].
//!
//! Without a token, Bob's message is a [`FriendRequest`], which Alice accepts or rejects. A person
//! who steals an invite becomes a friend in Bob's place; then Bob's token is refused, so both
//! owners notice.

mod accept;
mod invite;
mod list;
mod request;
mod unfollow;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::identity::{self, PersonId};
use crate::keys::PublicKey;
use crate::names;
use crate::row::Record;
use crate::store::{StoreError, Table};

pub use accept::{
    AcceptInviteError, PendingInvite, accept_invite, invite_accepted, invite_refused,
    pending_invites,
};
pub use invite::{
    INVITE_MS, Invite, InviteError, NotAnInvite, OpenInvite, create_invite, open_invites,
    revoke_invite,
};
pub use list::{block, get, is_friend, is_friend_in, list, record_contact, remove, unblock};
pub(crate) use list::{with_profile, without_profiles};
pub use request::{
    BefriendError, FriendRequest, REQUEST_MS, accept_request, receive_request, redeem_invite,
    reject_request, requests,
};
pub use unfollow::{
    UNFOLLOW_NOTICE_MS, UnfollowNotice, drop_expired_unfollow_notices, unfollow_notice_delivered,
    unfollow_notices, unfollowed_by,
};

/// Addresses stored per node, at most.
pub const ADDRESSES_MAX: usize = 4;
const ADDRESS_LEN_MAX: usize = 256;
const NOTE_LEN_MAX: usize = 500;
/// Friends of a person, at most, blocked people included.
pub const FRIENDS_MAX: usize = identity::PEOPLE_MAX;

/// A person as their node introduces them. The node has proved its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The person.
    pub person: PersonId,
    /// The key of the person's node.
    pub node: PublicKey,
    /// The name that the node gives.
    pub name: String,
    /// The libp2p addresses of the node.
    pub addresses: Vec<String>,
}

/// The state of a friendship.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FriendState {
    /// The owner has accepted their invite; their node has not answered yet.
    #[n(0)]
    Requested,
    /// Both are friends.
    #[n(1)]
    Friend,
    /// The owner has blocked them; federation refuses their node.
    #[n(2)]
    Blocked,
    /// Their node refused the invite: it was used or had expired.
    #[n(3)]
    Refused,
    /// They have ended the friendship. Their entries stay here until the owner removes them.
    #[n(4)]
    Left,
}

/// A friend, or a person in another [`FriendState`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Friend {
    /// The person.
    pub person: PersonId,
    /// The name in their newest profile stored here, or else in their introduction.
    pub name: String,
    /// The avatar's colour in their profile; below [`crate::profile::PAINTS`].
    pub paint: Option<u8>,
    /// The key of their node.
    pub node: PublicKey,
    /// The libp2p addresses of their node; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<String>,
    /// The time of the last change of state.
    pub since: Timestamp,
    /// The state of the friendship.
    pub state: FriendState,
    /// The last contact with their node: exact if it was since this node started, else to the hour.
    pub last_seen: Option<Timestamp>,
    /// True if their node is connected now.
    pub is_online: bool,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct FriendRow {
    #[n(0)]
    name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    node: [u8; 32],
    #[n(2)]
    addresses: Vec<String>,
    #[n(3)]
    since: Timestamp,
    #[n(4)]
    state: FriendState,
    #[n(5)]
    last_seen: Option<Timestamp>,
    /// The invite's token, until their node answers.
    #[cbor(n(6), with = "minicbor::bytes")]
    token: Option<[u8; 16]>,
}

impl Record for FriendRow {
    const TABLE: Table = Table::new("friends_friends");
    const VERSION: u8 = 1;
}

impl FriendRow {
    fn new(from: &Introduction, state: FriendState, now: Timestamp) -> Self {
        let from = from.bounded();
        Self {
            name: from.name,
            node: *from.node.as_bytes(),
            addresses: from.addresses,
            since: now,
            state,
            last_seen: None,
            token: None,
        }
    }

    fn into_friend(self, person: PersonId) -> Result<Friend, StoreError> {
        let damaged = |_| StoreError::Corrupt {
            table: Self::TABLE.name().to_owned(),
            key: person.0.to_vec(),
        };
        let node = PublicKey::from_ed25519(self.node).map_err(damaged)?;
        let Self { name, addresses, since, state, last_seen, .. } = self;
        Ok(Friend {
            person,
            name,
            paint: None,
            node,
            addresses,
            since,
            state,
            last_seen,
            is_online: false,
        })
    }
}

impl Introduction {
    /// The same with name and addresses cut to their limits, because a stranger wrote them.
    fn bounded(&self) -> Self {
        let name = Some(names::plain(&self.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.person.short());
        Self { name, addresses: bounded_addresses(&self.addresses), ..self.clone() }
    }
}

fn bounded_addresses(addresses: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for address in addresses {
        let is_good = !address.is_empty()
            && address.len() <= ADDRESS_LEN_MAX
            && address.chars().all(|c| c.is_ascii_graphic());
        if is_good && !kept.contains(address) && kept.len() < ADDRESSES_MAX {
            kept.push(address.clone());
        }
    }
    kept
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
