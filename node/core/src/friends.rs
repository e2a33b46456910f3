//! Friends: who they are, how their nodes are reached, and how one becomes one.
//!
//! 1. Alice makes an [`Invite`] and hands it to Bob as a link or a picture.
//! 2. Bob's owner pastes it: [`accept_invite`] writes a friend who is [`FriendState::Asked`]. Federation
//!    sees that ([`pending_invites`]) and dials.
//! 3. Alice's node proves its key by the connection, Bob's node sends the token: [`redeem_invite`] checks
//!    and ends the token and makes Bob a friend, in one commit. A token works once, until it
//!    expires.
//! 4. Bob's node hears yes: [`invite_accepted`] makes Alice a friend.
//!
//! Ending it ([`remove`]) leaves a [`UnfollowNotice`] to be said, and Bob becomes somebody who [`unfollowed_by`]
//! on the other side.
//!
//! Without a token Bob's is a [`Request`], which Alice's owner accepts or not. Whoever steals an
//! invite becomes a friend in Bob's place, and Bob's own try then fails: both owners see it.

mod ask;
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

pub use ask::{
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
    BefriendError, REQUEST_MS, Request, accept_request, redeem_invite, reject_request, request,
    requests,
};
pub use unfollow::{
    UNFOLLOW_NOTICE_MS, UnfollowNotice, drop_expired_unfollow_notices, unfollow_notice_delivered,
    unfollow_notices, unfollowed_by,
};

/// How many addresses of a node are kept.
pub const ADDRESSES_MAX: usize = 4;
const ADDRESS_LEN_MAX: usize = 256;
const NOTE_LEN_MAX: usize = 500;
/// How many friends a person has, the blocked included.
pub const FRIENDS_MAX: usize = identity::PEOPLE_MAX;

/// Somebody, as their node introduces them; their node has proved its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Who.
    pub person: PersonId,
    /// Their node's key.
    pub node: PublicKey,
    /// The name they give.
    pub name: String,
    /// Where their node is reached: libp2p addresses.
    pub addresses: Vec<String>,
}

/// How far a friendship is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FriendState {
    /// Their invite was accepted here; their node has not answered yet.
    #[n(0)]
    Asked,
    /// Both agreed.
    #[n(1)]
    Friend,
    /// The owner wants to hear nothing from them.
    #[n(2)]
    Blocked,
    /// Their node said no: the invite was used or had expired.
    #[n(3)]
    Refused,
    /// They have ended the friendship. What they said before stays here until the owner forgets
    /// them.
    #[n(4)]
    Left,
}

/// A friend, or somebody on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Friend {
    /// Who.
    pub person: PersonId,
    /// Their name: of the newest profile of theirs that is here, or else as they introduced
    /// themselves.
    pub name: String,
    /// The number of the avatar colour in their profile, below
    /// [`crate::profile::AVATAR_COLOUR_COUNT`].
    pub avatar_colour: Option<u8>,
    /// Their node's key.
    pub node: PublicKey,
    /// Where their node is reached; at most [`ADDRESSES_MAX`].
    pub addresses: Vec<String>,
    /// Since when it has been in this state.
    pub since: Timestamp,
    /// How far it is.
    pub state: FriendState,
    /// When their node was last reached: to the moment if that was since this one started, else to
    /// the hour.
    pub last_seen: Option<Timestamp>,
    /// Whether their node is connected now.
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
    /// The invite's token, until it is answered.
    #[cbor(n(6), with = "minicbor::bytes")]
    token: Option<[u8; 16]>,
}

impl Record for FriendRow {
    const TABLE: Table = Table::new("friends_friends");
    const VERSION: u8 = 1;
}

impl FriendRow {
    fn new(from: &Introduction, state: FriendState, now: Timestamp) -> Self {
        let from = from.checked();
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

    fn shown(self, person: PersonId) -> Result<Friend, StoreError> {
        let damaged = |_| StoreError::Corrupt {
            table: Self::TABLE.name().to_owned(),
            key: person.0.to_vec(),
        };
        let node = PublicKey::from_ed25519(self.node).map_err(damaged)?;
        let Self { name, addresses, since, state, last_seen, .. } = self;
        Ok(Friend {
            person,
            name,
            avatar_colour: None,
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
    /// The same with everything cut to its limit: it is what a stranger wrote.
    fn checked(&self) -> Self {
        let name = Some(names::plain(&self.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.person.short());
        Self { name, addresses: checked_addresses(&self.addresses), ..self.clone() }
    }
}

fn checked_addresses(addresses: &[String]) -> Vec<String> {
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
