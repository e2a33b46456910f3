//! The recipients whose messages go to a friend's node over libp2p: federation sends them, and mail
//! does not touch them.
//!
//! A recipient's row names the friend as long as federation is to send the message. One commit
//! gives the recipient to mail, when the friend's node is not reached, so no message is sent by
//! both at once. On disk a row for each item that has such a recipient.

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::{QueueId, QueuedMessage, Recipient, load, recipients};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Under the item: it has a recipient that waits to go to a friend's node.
#[derive(Encode, Decode)]
#[cbor(map)]
struct FriendItemRow {}

impl Record for FriendItemRow {
    const TABLE: Table = Table::new("queue_friend_items");
    const VERSION: u8 = 1;
}

/// Keeps the item's row true: it is there as long as a recipient waits to go to a friend's node.
pub(super) fn note<'a>(
    tx: &mut Tx<'_>,
    id: QueueId,
    recipients: impl IntoIterator<Item = &'a Recipient>,
) -> Result<(), StoreError> {
    if recipients.into_iter().any(|recipient| recipient.waits_for_friend().is_some()) {
        return row::put(tx, &id.0, &FriendItemRow {});
    }
    if row::get::<FriendItemRow>(tx, &id.0)?.is_some() {
        row::delete::<FriendItemRow>(tx, &id.0);
    }
    Ok(())
}

/// The items that have a recipient who waits to go to a friend's node, held ones included; at most
/// `limit`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn for_friends(node: &Node, limit: usize) -> Result<Vec<QueuedMessage>, StoreError> {
    let mut items = Vec::new();
    for (key, _) in row::scan::<FriendItemRow>(&node.store, &Scan::prefix(&[], limit))? {
        items.extend(load(&node.store, QueueId(row::key_part(&key, 0)))?);
    }
    Ok(items)
}

/// Notes that a message is about to be sent to a friend's node for these recipients. Until their
/// outcome is recorded, the node may have it. Returns those that still wait to go there.
///
/// # Errors
/// When the store refuses.
pub async fn mark_offered(
    node: &Node,
    id: QueueId,
    addresses: Vec<String>,
) -> Result<Vec<String>, StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            tx.mark_essential();
            let mut waiting = Vec::new();
            for (key, mut recipient) in recipients(tx, id)? {
                if recipient.waits_for_friend().is_none() || !addresses.contains(&recipient.address)
                {
                    continue;
                }
                waiting.push(recipient.address.clone());
                if recipient.offered.is_none() {
                    recipient.offered = Some(now);
                    row::put(tx, &key, &recipient)?;
                }
            }
            Ok::<_, StoreError>(waiting)
        })
        .await
}

/// Broken invariants of the rows of this module.
pub(super) fn check(node: &Node, items: &[QueueId]) -> Result<Vec<String>, StoreError> {
    let rows = row::scan::<FriendItemRow>(&node.store, &Scan::prefix(&[], usize::MAX))?;
    let listed: BTreeSet<QueueId> =
        rows.iter().map(|(key, _)| QueueId(row::key_part(key, 0))).collect();
    let mut waiting = BTreeSet::new();
    for id in items {
        let all = recipients(&node.store, *id)?;
        if all.iter().any(|(_, recipient)| recipient.waits_for_friend().is_some()) {
            waiting.insert(*id);
        }
    }
    let wrong = listed.symmetric_difference(&waiting);
    let text = |id: &QueueId| format!("queue item {id}: its row for friends' nodes is wrong");
    Ok(wrong.map(text).collect())
}

#[cfg(test)]
mod tests;
