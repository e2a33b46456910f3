//! Deleting a post from this site.

use super::rows::{self, DraftRow, PlaceRow, PostRow};
use super::{PostError, PostId, State};
use crate::erasure;
use crate::events::Event;
use crate::feed::EntryId;
use crate::node::Node;
use crate::photos;
use crate::row;
use crate::store::{StoreError, Tx};

/// Deletes a draft, or gives the entry of a published post: with that entry deleted, [`erase`]
/// follows.
///
/// # Errors
/// When there is no such post or the store refuses.
pub(crate) fn delete_draft(
    tx: &mut Tx<'_>,
    node: &Node,
    id: PostId,
) -> Result<Option<EntryId>, PostError> {
    let row = rows::load(tx, id)?;
    if let (State::Published, Some(of)) = (row.state, row.entry.map(EntryId)) {
        return Ok(Some(of));
    }
    erase(tx, node, id, &row)?;
    Ok(None)
}

/// Deletes all that this site has of a post: its text, its addresses and its rows. Its photos stay.
pub(super) fn erase(
    tx: &mut Tx<'_>,
    node: &Node,
    id: PostId,
    row: &PostRow,
) -> Result<(), StoreError> {
    erasure::erase(tx, node.clock.now(), row.text.blob().as_slice())?;
    photos::remove_references(tx, &id.0, &row.photos);
    rows::free_slugs(tx, id)?;
    if let Some(entry) = row.entry {
        rows::remove_entry(tx, &EntryId(entry));
    }
    if let Some(published) = row.published {
        row::delete::<PlaceRow>(tx, &rows::place_key(published, id));
    }
    row::delete::<DraftRow>(tx, &id.0);
    row::delete::<PostRow>(tx, &id.0);
    tx.after(Event::Public);
    Ok(())
}
