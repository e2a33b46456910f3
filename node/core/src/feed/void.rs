//! Undoing an entry that turns out to count for nothing: it lies beyond a fork, or beyond the
//! cut-off of a node that was retired. What it said goes, and what it did is undone as far as
//! bodies are still there; they may come again from whoever has them.

use super::refs::{self, Rank, RefKind};
use super::{EntryId, Kind, effects, latest, rows};
use crate::identity::PersonId;
use crate::node::Node;
use crate::store::{StoreError, Tx};

/// Makes an entry void. Safe to repeat.
pub(super) fn undo(tx: &mut Tx<'_>, node: &Node, id: &EntryId) -> Result<(), StoreError> {
    let Some((entry, generation)) = rows::verified(tx, id)? else { return Ok(()) };
    let Some(mut row) = rows::entry(tx, id)?.filter(|row| !row.void) else { return Ok(()) };
    (row.dead, row.void, row.waits) = (true, true, false);
    rows::put_bare(tx, id, row)?;
    let header = entry.header();
    let (author, rank) = (&header.log.person, Rank::of(id, header, generation));
    match (header.kind, header.refs.first()) {
        (Kind::Post, _) => effects::settle(tx, node, author, id),
        (Kind::Edit, Some(of)) => {
            for does in [RefKind::Replaces, RefKind::WillReplace] {
                refs::delete(tx, of, author, does, &rank);
            }
            effects::settle(tx, node, author, of)
        }
        (Kind::Tombstone, Some(of)) => {
            for does in [RefKind::TakesBack, RefKind::Hides] {
                refs::delete(tx, of, author, does, &rank);
            }
            revive(tx, node, author, of)?;
            effects::settle_of(tx, node, author, of)
        }
        _ => {
            if let Some(body) = entry.body() {
                latest::delete(tx, &rank, header, body);
            }
            Ok(())
        }
    }
}

/// Lets an entry live again that nothing has ended any more.
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
