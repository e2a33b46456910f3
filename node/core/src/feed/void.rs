//! Undoing a void entry: one beyond a fork, or beyond the cut-off of a retired node. Its body is
//! deleted, and its effects on other entries are undone as far as their bodies are still held; a
//! missing body may be received again from any node that holds it.

use super::change::Change;
use super::refs::{self, Rank, RefKind};
use super::{EntryId, Kind, effects, latest, rows};
use crate::identity::PersonId;
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// Makes an entry void. Safe to repeat.
pub(super) fn undo(
    tx: &mut Tx<'_>,
    node: &Node,
    id: &EntryId,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    let Some((entry, generation)) = rows::verified(tx, id)? else { return Ok(()) };
    let Some(mut row) = rows::entry(tx, id)?.filter(|row| !row.void) else { return Ok(()) };
    (row.dead, row.void, row.waits) = (true, true, false);
    rows::put_bare(tx, id, row)?;
    let header = entry.header();
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    match (header.kind, header.refs.first()) {
        (Kind::Post, _) => effects::project(tx, node, author, id, changes),
        (Kind::Edit, Some(of)) => {
            for kind in [RefKind::Replaces, RefKind::WillReplace] {
                refs::delete(tx, of, author, kind, &rank);
            }
            effects::project(tx, node, author, of, changes)
        }
        (Kind::Tombstone, Some(of)) => {
            for kind in [RefKind::Retracts, RefKind::Hides] {
                refs::delete(tx, of, author, kind, &rank);
            }
            revive(tx, node, author, of)?;
            effects::project_of(tx, node, author, of, changes)
        }
        _ => {
            if let Some(body) = entry.body() {
                latest::delete(tx, &rank, header, body);
            }
            Ok(())
        }
    }
}

/// Lets a deleted entry count again once no tombstone or expiry ends it any more.
fn revive(tx: &mut Tx<'_>, node: &Node, author: &PersonId, of: &EntryId) -> Result<(), StoreError> {
    let Some(mut row) = rows::entry(tx, of)?.filter(|row| row.dead && !row.void) else {
        return Ok(());
    };
    let header = rows::header(of, &row)?;
    if header.log.person != *author || refs::is_over(tx, of, &header, node.clock.now())? {
        return Ok(());
    }
    row.dead = false;
    rows::put_bare(tx, of, row)
}
