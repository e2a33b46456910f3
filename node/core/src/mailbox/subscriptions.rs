//! Subscriptions (RFC 3501 6.3.6): a list of names, whether or not a folder of that name exists.
//!
//! A folder that is deleted or renamed leaves its name in the list: only the client may remove it
//! (RFC 3501 6.3.9).

use std::collections::BTreeSet;

use minicbor::{Decode, Encode};

use super::folders::{
    FOLDERS_MAX, FolderError, NAME_LEN_MAX, NUMBERS, NumbersRow, canonical, load_all, valid_name,
};
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// How many names are subscribed at most.
pub(super) const SUBSCRIPTIONS_MAX: usize = 2 * FOLDERS_MAX;
/// How many names one commit carries over; a commit has 1,000 rows at most.
const NAMES_PER_COMMIT: usize = 500;

/// Under the subscribed name.
#[derive(Encode, Decode)]
#[cbor(map)]
struct SubscriptionRow {}

impl Record for SubscriptionRow {
    const TABLE: Table = Table::new("mailbox_subscriptions");
    const VERSION: u8 = 1;
}

/// All subscribed names.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn subscriptions(node: &Node) -> Result<BTreeSet<String>, StoreError> {
    let rows = row::scan::<SubscriptionRow>(&node.store, &Scan::prefix(&[], SUBSCRIPTIONS_MAX))?;
    Ok(rows.into_iter().map(|(name, _)| String::from_utf8_lossy(&name).into_owned()).collect())
}

/// Subscribes a name, whether or not there is such a folder (RFC 3501 6.3.6).
///
/// # Errors
/// When a folder can't have this name, or there are too many subscriptions.
pub async fn subscribe(node: &Node, name: &str) -> Result<(), FolderError> {
    let name = valid_name(name)?;
    node.store
        .commit(move |tx| {
            let known = row::scan::<SubscriptionRow>(tx, &Scan::prefix(&[], SUBSCRIPTIONS_MAX))?;
            let is_known = known.iter().any(|(known, _)| known == name.as_bytes());
            if !is_known && known.len() >= SUBSCRIPTIONS_MAX {
                return Err(FolderError::TooManySubscriptions);
            }
            tx.after(Event::Subscriptions);
            Ok(insert(tx, &name)?)
        })
        .await
}

/// Unsubscribes a name (RFC 3501 6.3.7); one that is not subscribed is no error.
///
/// # Errors
/// When the store refuses.
pub async fn unsubscribe(node: &Node, name: &str) -> Result<(), FolderError> {
    let name = canonical(name);
    if name.len() > NAME_LEN_MAX {
        return Ok(());
    }
    node.store
        .commit(move |tx| {
            row::delete::<SubscriptionRow>(tx, name.as_bytes());
            tx.after(Event::Subscriptions);
            Ok(())
        })
        .await
}

/// Subscribes a name within a commit.
pub(super) fn insert(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    row::put(tx, name.as_bytes(), &SubscriptionRow {})
}

/// Makes a row of each subscription that is a field of its folder's row, once. A stop in between
/// repeats this at the next start.
pub(super) async fn carry_over(node: &Node) -> Result<(), StoreError> {
    let numbers = row::get::<NumbersRow>(&node.store, NUMBERS)?;
    if numbers.is_none_or(|numbers| numbers.has_subscription_rows) {
        return Ok(());
    }
    let folders = load_all(&node.store)?.into_iter().filter(|folder| folder.was_subscribed);
    let names: Vec<String> = folders.map(|folder| folder.name).collect();
    for batch in names.chunks(NAMES_PER_COMMIT) {
        let batch = batch.to_vec();
        node.store.commit(move |tx| batch.iter().try_for_each(|name| insert(tx, name))).await?;
    }
    node.store
        .commit(|tx| {
            let Some(mut numbers) = row::get::<NumbersRow>(tx, NUMBERS)? else { return Ok(()) };
            numbers.has_subscription_rows = true;
            row::put(tx, NUMBERS, &numbers)
        })
        .await
}

#[cfg(test)]
mod tests;
