//! Where a person is reached: a record in the control lane, signed by the node and versioned, so that moving needs no root key.

use crate::feed::{self, AppendError, Body, Homes, Kind, Lane};
use crate::identity::PersonId;
use crate::keys::PublicKey;
use crate::node::Node;
use crate::store::StoreError;

/// Says where this node is reached, if that has changed since it was last said. Gives the version that holds now.
///
/// # Errors
/// When the node is unclaimed, an address is over its limit, or the store's own error.
pub async fn set(node: &Node, web: Vec<String>, libp2p: Vec<String>, mirrors: Vec<PublicKey>) -> Result<u64, AppendError> {
    let inside = node.clone();
    let say = move |tx: &mut crate::store::Tx<'_>| {
        let person = inside.identity.person().ok_or(AppendError::Unclaimed)?;
        let before = match feed::latest(tx, &person, Kind::Homes)? {
            Some(Body::Homes(homes)) => Some(homes),
            _ => None,
        };
        let version = before.as_ref().map_or(1, |homes| homes.version + 1);
        let homes = Homes { version, web, libp2p, mirrors };
        if let Some(before) = before
            && (&before.web, &before.libp2p, &before.mirrors) == (&homes.web, &homes.libp2p, &homes.mirrors)
        {
            return Ok(before.version);
        }
        feed::append(tx, &inside, Lane::CONTROL, &Body::Homes(homes))?;
        Ok(version)
    };
    node.store.commit(say).await
}

/// Where a person is reached, as far as is known here.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn of(node: &Node, person: &PersonId) -> Result<Option<Homes>, StoreError> {
    Ok(match feed::latest(&node.store, person, Kind::Homes)? {
        Some(Body::Homes(homes)) => Some(homes),
        _ => None,
    })
}
