//! A person's identity on this node: claiming the node, and the identity logs it holds.
//!
//! An identity log is a list of ops signed by root keys, which are kept off the node (the mnemonic
//! on paper) and certify the node keys. The person's id is the hash of the first op, so keys can
//! change and the id cannot.

mod claim;
mod recovery;

pub use claim::{ClaimError, claim, create, create_with};
pub use freehold_proto::identity::*;
pub(crate) use recovery::apply_due_recoveries;

pub use crate::node::Identity;
pub(crate) use crate::node::{is_current, stored_log};

pub(crate) use claim::wrap_vault;

use crate::clock::Timestamp;
use crate::events::Event;
use crate::node::Node;
use crate::store::StoreError;

/// People whose identity log a node stores, at most: as many as it has friends.
pub const PEOPLE_MAX: usize = 5000;

/// A person's identity log as held here.
///
/// # Errors
/// When the store is unavailable or a stored log is damaged.
pub fn log_of(node: &Node, person: &PersonId) -> Result<Option<IdentityLog>, StoreError> {
    if let Some(own) = node.identity.log().filter(|log| log.person() == *person) {
        return Ok(Some((*own).clone()));
    }
    stored_log(&node.store, person, node.clock.now())
}

/// Reads the owner's log from the store again after a commit has changed it, and says so: the event
/// of the commit itself may have been handled while the former log was still in memory.
pub(crate) fn reload_own_log(
    node: &Node,
    person: &PersonId,
    now: Timestamp,
) -> Result<(), StoreError> {
    node.identity.reload_log(&node.store, person, now)?;
    node.events.send(Event::Identity);
    Ok(())
}

/// True if this node is retired: its owner's log no longer lets it publish for them.
pub fn is_retired(node: &Node) -> bool {
    let key = node.identity.node_key();
    node.identity.log().is_some_and(|log| !log.live_nodes().any(|live| *live == key))
}

/// The public key that backups are sealed to: the public half (X25519) of the mnemonic's backup
/// key. `None` until the node is claimed.
///
/// # Errors
/// When the store is unavailable.
pub fn backup_recipient(node: &Node) -> Result<Option<[u8; 32]>, StoreError> {
    crate::node::backup_key_of(&node.store)
}

#[cfg(test)]
pub(crate) mod tests;
