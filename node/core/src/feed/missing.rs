//! Versions of posts that count and whose bodies are missing here: what replaced or took them back
//! has turned out to be void, and their bodies had been dropped for it. They are asked of whoever
//! may give them: the author's nodes, and any friend for the owner's own posts.

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
struct LackRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    version: [u8; 32],
}

impl Record for LackRow {
    const TABLE: Table = Table::new("feed_lacks");
    const VERSION: u8 = 1;
}

/// Notes what is lacking of a post, or that nothing is.
pub(super) fn note(
    tx: &mut Tx<'_>,
    author: &PersonId,
    post: &EntryId,
    version: Option<&EntryId>,
) -> Result<(), StoreError> {
    let key = row::key(&[&author.0, &post.0]);
    match (version, row::get::<LackRow>(tx, &key)?) {
        (Some(version), Some(before)) if before.version == version.0 => {}
        (Some(version), _) => {
            row::put(tx, &key, &LackRow { version: version.0 })?;
            tx.after(Event::Missing(*author));
        }
        (None, Some(_)) => row::delete::<LackRow>(tx, &key),
        (None, None) => {}
    }
    Ok(())
}

/// Entries of this author whose bodies are missing, at most `limit`.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn missing(node: &Node, author: &PersonId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
    let rows = row::scan::<LackRow>(&node.store, &Scan::prefix(&author.0, limit))?;
    Ok(rows.into_iter().map(|(_, row)| EntryId(row.version)).collect())
}
