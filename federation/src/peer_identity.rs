//! The identity of a connected peer: the person its key belongs to, and that person's relation to
//! the owner.

use std::sync::Arc;

use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, IdentityLog, PersonId};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;

use crate::network::PeerKey;
use crate::sync::SyncPeer;

/// The verified identity of a connected peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct PeerIdentity {
    /// The person whose verified identity log certifies the peer's key; `None` for a node without
    /// an owner, and for one that claims to be another person.
    pub(crate) person: Option<PersonId>,
    /// That log.
    pub(crate) log: Option<Arc<IdentityLog>>,
    /// The person's relation to the owner.
    pub(crate) relation: Relation,
}

impl PeerIdentity {
    /// The role of this peer on a sync stream.
    pub(crate) fn sync_peer(&self) -> SyncPeer {
        match (self.relation, self.person) {
            (Relation::Friend, Some(person)) => SyncPeer::Friend(person.0),
            _ => SyncPeer::Stranger,
        }
    }

    /// The identity by the present rows. A key that the stored log no longer certifies belongs to
    /// no person: a thief may be using it.
    pub(crate) fn reread(&self, node: &Node, key: PeerKey) -> Self {
        let Some(person) = self.person else { return Self::default() };
        let log = match identity::log_of(node, &person) {
            // A stranger's log is not stored: the one that the peer has shown is used.
            Ok(stored) => stored.map(Arc::new).or_else(|| self.log.clone()),
            Err(error) => {
                tracing::warn!(person = %person.short(), %error, "cannot read an identity log");
                None
            }
        };
        match log.filter(|log| certifies(log, key)) {
            Some(log) => Self {
                person: Some(person),
                log: Some(log),
                relation: relation(node, Some(person)),
            },
            None => Self::default(),
        }
    }
}

/// A person's relation to the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Both have agreed to be friends.
    Friend,
    /// The owner has accepted their invite; their node has not confirmed it.
    Requested,
    /// The owner has unfollowed them; their node has not confirmed the notice.
    Unfollowing,
    /// The owner has blocked them.
    Blocked,
    /// Anyone else.
    #[default]
    Stranger,
}

/// A person's relation to the owner, by core's rows.
pub(crate) fn relation(node: &Node, person: Option<PersonId>) -> Relation {
    let Some(person) = person else { return Relation::Stranger };
    match friends::get(node, &person).ok().flatten().map(|friend| friend.state) {
        Some(FriendState::Friend) => Relation::Friend,
        Some(FriendState::Requested) => Relation::Requested,
        Some(FriendState::Blocked) => Relation::Blocked,
        Some(FriendState::Refused | FriendState::Left) | None => {
            let notices = friends::unfollow_notices(node).unwrap_or_default();
            if notices.iter().any(|notice| notice.person == person) {
                Relation::Unfollowing
            } else {
                Relation::Stranger
            }
        }
    }
}

/// True if the log certifies the key that the connection has proved.
pub(crate) fn certifies(log: &IdentityLog, key: PeerKey) -> bool {
    PublicKey::from_ed25519(key.0).is_ok_and(|key| log.live_nodes().any(|live| *live == key))
}
