//! Taking a post back: a draft simply goes, a published one is taken back everywhere.

use super::rows::{self, DraftRow, PlaceRow, PostRow};
use super::{PostError, PostId, State, entries};
use crate::erasure;
use crate::events::Event;
use crate::feed::{self, Body, EntryId, Lane};
use crate::node::Node;
use crate::photos;
use crate::row;
use crate::store::{StoreError, Tx};
use crate::timeline;

/// Deletes a post with its text and its addresses, for good ([`history`]). Friends' nodes are told
/// by a tombstone in the feed; its photos stay.
///
/// # Errors
/// When there is no such post or the store refuses.
pub async fn delete(node: &Node, id: PostId) -> Result<(), PostError> {
    let author = node.clone();
    node.store.commit(move |tx| write(tx, &author, id)).await
}

fn write(tx: &mut Tx<'_>, node: &Node, id: PostId) -> Result<(), PostError> {
    let row = rows::load(tx, id)?;
    if let (State::Published, Some(of)) = (row.state, row.entry.map(EntryId)) {
        feed::append(tx, node, Lane::PUBLIC, &Body::Tombstone { of })?;
        if let Some(author) = node.identity.person() {
            timeline::hide(tx, &author, &of)?;
        }
    }
    erase(tx, node, id, &row).map_err(PostError::Store)
}

/// Deletes all that this site has of a post.
pub(super) fn erase(
    tx: &mut Tx<'_>,
    node: &Node,
    id: PostId,
    row: &PostRow,
) -> Result<(), StoreError> {
    erasure::erase(tx, node.clock.now(), row.text.blob().as_slice())?;
    photos::remove_references(tx, &id.0, &row.photos)?;
    rows::free_slugs(tx, id)?;
    if let Some(entry) = row.entry {
        entries::forget(tx, &EntryId(entry));
    }
    if let Some(published) = row.published {
        row::delete::<PlaceRow>(tx, &rows::place_key(published, id));
    }
    row::delete::<DraftRow>(tx, &id.0);
    row::delete::<PostRow>(tx, &id.0);
    tx.after(Event::Public);
    Ok(())
}
