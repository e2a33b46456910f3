//! Who a connected peer is, and what that person is to the owner.

use std::sync::Arc;

use freehold_core::friends::{self, FriendState};
use freehold_core::identity::{self, IdentityLog, PersonId};
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;

use crate::network::PeerKey;
use crate::sync::Trust;

/// What is known of who is at the other end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    /// The person whose verified identity log names the peer's key; `None` for a node that nobody
    /// has claimed, or that claims to be somebody it is not.
    pub(crate) person: Option<PersonId>,
    /// That log.
    pub(crate) log: Option<Arc<IdentityLog>>,
    /// What the person is to the owner.
    pub(crate) relation: Relation,
}

impl Standing {
    /// What a sync stream with this peer may carry.
    pub(crate) fn trust(&self) -> Trust {
        match (self.relation, self.person) {
            (Relation::Friend, Some(person)) => Trust::Friend(person.0),
            _ => Trust::Stranger,
        }
    }

    /// The standing as it is now. A key that the log held here names no longer is nobody's: who has
    /// stolen it may be at the other end.
    pub(crate) fn renewed(&self, node: &Node, key: PeerKey) -> Self {
        let Some(person) = self.person else { return Self::default() };
        let log = match identity::log_of(node, &person) {
            // A stranger's is not kept: it holds as the peer has shown it.
            Ok(held) => held.map(Arc::new).or_else(|| self.log.clone()),
            Err(error) => {
                tracing::warn!(person = %person.short(), %error, "cannot read an identity log");
                None
            }
        };
        match log.filter(|log| names(log, key)) {
            Some(log) => Self {
                person: Some(person),
                log: Some(log),
                relation: relation(node, Some(person)),
            },
            None => Self::default(),
        }
    }
}

/// What a person is to the owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Relation {
    /// Both agreed.
    Friend,
    /// Their invite was accepted here and they have not answered.
    Asked,
    /// A friend no longer, which their node has not heard.
    Leaving,
    /// The owner wants to hear nothing from them.
    Blocked,
    /// Anyone else.
    #[default]
    Stranger,
}

/// What a person is to the owner, by core's rows.
pub(crate) fn relation(node: &Node, person: Option<PersonId>) -> Relation {
    let Some(person) = person else { return Relation::Stranger };
    match friends::get(node, &person).ok().flatten().map(|friend| friend.state) {
        Some(FriendState::Friend) => Relation::Friend,
        Some(FriendState::Requested) => Relation::Asked,
        Some(FriendState::Blocked) => Relation::Blocked,
        Some(FriendState::Refused | FriendState::Left) | None => {
            let owed = friends::unfollow_notices(node).unwrap_or_default();
            if owed.iter().any(|farewell| farewell.person == person) {
                Relation::Leaving
            } else {
                Relation::Stranger
            }
        }
    }
}

/// Whether the log certifies the key that the connection has proved.
pub(crate) fn names(log: &IdentityLog, key: PeerKey) -> bool {
    PublicKey::from_ed25519(key.0).is_ok_and(|key| log.live_nodes().any(|live| *live == key))
}
