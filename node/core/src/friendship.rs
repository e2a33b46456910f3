//! The rows of friends: the state of each friendship, and the addresses of their nodes. Below the
//! feed, which accepts entries of friends only.

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::identity::{self, PersonId};
use crate::keys::PublicKey;
use crate::names;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table};

/// Addresses stored per node, at most.
pub const ADDRESSES_MAX: usize = 4;
/// The longest address, in bytes.
const ADDRESS_LEN_MAX: usize = 256;
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
    /// The avatar's colour in their profile; below [`crate::profile::AVATAR_COLOUR_COUNT`].
    pub avatar_colour: Option<u8>,
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
    /// True if their node has said that it stops, and has not connected since.
    pub has_left: bool,
    /// True if this node sends their mail to the world ([`crate::friends::set_relayed`]).
    pub is_relayed: bool,
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(crate) struct FriendRow {
    #[n(0)]
    pub(crate) name: String,
    #[cbor(n(1), with = "minicbor::bytes")]
    pub(crate) node: [u8; 32],
    #[n(2)]
    pub(crate) addresses: Vec<String>,
    #[n(3)]
    pub(crate) since: Timestamp,
    #[n(4)]
    pub(crate) state: FriendState,
    #[n(5)]
    pub(crate) last_seen: Option<Timestamp>,
    /// The invite's token, until their node answers.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) token: Option<[u8; 16]>,
    /// Whether this node sends their mail to the world.
    #[n(7)]
    pub(crate) is_relayed: Option<bool>,
}

impl Record for FriendRow {
    const TABLE: Table = Table::new("friends_friends");
    const VERSION: u8 = 1;
}

impl FriendRow {
    pub(crate) fn new(from: &Introduction, state: FriendState, now: Timestamp) -> Self {
        let from = from.bounded();
        Self {
            name: from.name,
            node: *from.node.as_bytes(),
            addresses: from.addresses,
            since: now,
            state,
            last_seen: None,
            token: None,
            is_relayed: None,
        }
    }

    pub(crate) fn into_friend(self, person: PersonId) -> Result<Friend, StoreError> {
        let damaged = |_| StoreError::Corrupt {
            table: Self::TABLE.name().to_owned(),
            key: person.0.to_vec(),
        };
        let node = PublicKey::from_ed25519(self.node).map_err(damaged)?;
        let Self { name, addresses, since, state, last_seen, is_relayed, .. } = self;
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
            has_left: false,
            is_relayed: is_relayed == Some(true) && state == FriendState::Friend,
        })
    }
}

impl Introduction {
    /// The same with name and addresses cut to their limits, because a stranger wrote them.
    pub(crate) fn bounded(&self) -> Self {
        let name = Some(names::plain(&self.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| self.person.short());
        Self { name, addresses: bounded_addresses(&self.addresses), ..self.clone() }
    }
}

pub(crate) fn bounded_addresses(addresses: &[String]) -> Vec<String> {
    let mut bounded: Vec<String> = Vec::new();
    for address in addresses {
        let is_valid = !address.is_empty()
            && address.len() <= ADDRESS_LEN_MAX
            && address.chars().all(|c| c.is_ascii_graphic());
        if is_valid && !bounded.contains(address) && bounded.len() < ADDRESSES_MAX {
            bounded.push(address.clone());
        }
    }
    bounded
}

/// True if the person is a friend ([`FriendState::Friend`]).
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn is_friend(node: &Node, person: &PersonId) -> Result<bool, StoreError> {
    is_friend_in(&node.store, person)
}

/// [`is_friend`] by given rows, also inside a change.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn is_friend_in(rows: &impl Rows, person: &PersonId) -> Result<bool, StoreError> {
    Ok(row::get::<FriendRow>(rows, &person.0)?
        .is_some_and(|friend| friend.state == FriendState::Friend))
}
