//! Versions of posts that count and whose bodies are missing: the edit or tombstone for which a
//! body was dropped has turned out to be void. Federation requests them from the author's nodes,
//! and the owner's own from any friend.

use minicbor::{Decode, Encode};

use super::EntryId;
use crate::events::Event;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// Author ‖ post → the version of it whose body is missing.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct MissingRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    version: [u8; 32],
}

impl Record for MissingRow {
    const TABLE: Table = Table::new("feed_lacks");
    const VERSION: u8 = 1;
}

/// Records the version of a post whose body is missing. With `None`, deletes the record: no body is
/// missing.
pub(super) fn note(
    tx: &mut Tx<'_>,
    author: &PersonId,
    post: &EntryId,
    version: Option<&EntryId>,
) -> Result<(), StoreError> {
    let key = row::key(&[&author.0, &post.0]);
    match (version, row::get::<MissingRow>(tx, &key)?) {
        (Some(version), Some(before)) if before.version == version.0 => {}
        (Some(version), _) => {
            row::put(tx, &key, &MissingRow { version: version.0 })?;
            tx.after(Event::Missing(*author));
        }
        (None, Some(_)) => row::delete::<MissingRow>(tx, &key),
        (None, None) => {}
    }
    Ok(())
}

/// Entries of this author whose bodies are missing, at most `limit`.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn missing(node: &Node, author: &PersonId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
    let rows = row::scan::<MissingRow>(&node.store, &Scan::prefix(&author.0, limit))?;
    Ok(rows.into_iter().map(|(_, row)| EntryId(row.version)).collect())
}
