//! Reading the timeline.

use super::{Item, ItemPhoto, ItemRow, PhotoRow, PlaceRow, SEEN, SeenRow, photo_key, place_key};
use crate::blobs::BlobReader;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::{self, EntryId, PHOTOS_MAX};
use crate::identity::PersonId;
use crate::node::Node;
use crate::photos::Size;
use crate::row;
use crate::store::{Scan, StoreError};
use crate::text::permitted;

/// The end of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The time of its last item.
    pub shown: Timestamp,
    /// Its last item.
    pub entry: EntryId,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.shown.0, self.entry)
    }
}

impl std::str::FromStr for Cursor {
    type Err = crate::ids::NotAnId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (shown, entry) = text.split_once('-').ok_or(crate::ids::NotAnId)?;
        let shown = Timestamp(shown.parse().map_err(|_| crate::ids::NotAnId)?);
        Ok(Self { shown, entry: entry.parse().map_err(|_| crate::ids::NotAnId)? })
    }
}

/// Items before `before` (from the newest for `None`), newest first, at most `limit`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn page(node: &Node, before: Option<Cursor>, limit: usize) -> Result<Vec<Item>, StoreError> {
    let scan = Scan::prefix(&[], limit).reversed();
    let scan = match before {
        Some(cursor) => scan.after(&place_key(cursor.shown, &cursor.entry)),
        None => scan,
    };
    let mut items = Vec::new();
    for (key, _) in node.store.scan(<PlaceRow as row::Record>::TABLE, &scan)? {
        items.extend(get(node, &EntryId(row::key_part(&key, 8)))?);
    }
    Ok(items)
}

/// One item.
///
/// # Errors
/// As [`page`].
pub fn get(node: &Node, entry: &EntryId) -> Result<Option<Item>, StoreError> {
    let Some(row) = row::get::<ItemRow>(&node.store, &entry.0)? else { return Ok(None) };
    let seen = row::get::<SeenRow>(&node.store, SEEN)?.unwrap_or_default();
    let photos = row::scan::<PhotoRow>(&node.store, &Scan::prefix(&entry.0, PHOTOS_MAX))?;
    Ok(Some(Item {
        author: PersonId(row.author),
        entry: *entry,
        title: row.title,
        text: row.text,
        is_whole: row.is_whole,
        slug: row.slug,
        photos: photos.into_iter().map(|(_, photo)| shown(photo)).collect(),
        shown: row.shown,
        edited: row.edited,
        seen: row.arrival <= seen.seen,
    }))
}

fn shown(photo: PhotoRow) -> ItemPhoto {
    let PhotoRow { alt, caption, width, height, thumbhash, has_large, has_small, .. } = photo;
    ItemPhoto { alt, caption, width, height, thumbhash, has_large, has_small }
}

/// The whole text of an item's latest version, Markdown; `None` once it is gone.
///
/// # Errors
/// As [`page`].
pub fn text(node: &Node, entry: &EntryId) -> Result<Option<String>, StoreError> {
    let Some(row) = row::get::<ItemRow>(&node.store, &entry.0)? else { return Ok(None) };
    if row.is_whole {
        return Ok(Some(row.text));
    }
    let opened = feed::opened(node, &EntryId(row.version))?;
    let body = opened.and_then(|(_, body)| body);
    Ok(body.and_then(|body| body.post().map(|post| permitted(&post.text).into_owned())))
}

/// The number of items that the owner has not seen. Items deleted since may count until then.
///
/// # Errors
/// As [`page`].
pub fn unread(node: &Node) -> Result<u64, StoreError> {
    let row = row::get::<SeenRow>(&node.store, SEEN)?.unwrap_or_default();
    Ok(row.arrived.saturating_sub(row.seen))
}

/// The number of items that have ever arrived, for [`mark_seen`]. Read it before the page.
///
/// # Errors
/// As [`page`].
pub fn newest(node: &Node) -> Result<u64, StoreError> {
    Ok(row::get::<SeenRow>(&node.store, SEEN)?.unwrap_or_default().arrived)
}

/// The time at which the owner last saw a new item.
///
/// # Errors
/// As [`page`].
pub fn seen_at(node: &Node) -> Result<Option<Timestamp>, StoreError> {
    Ok(row::get::<SeenRow>(&node.store, SEEN)?.and_then(|row| row.seen_at))
}

/// Marks the first `up_to` items that arrived as seen, now.
///
/// # Errors
/// When the store refuses.
pub async fn mark_seen(node: &Node, up_to: u64) -> Result<(), StoreError> {
    let now = node.clock.now();
    node.store
        .commit(move |tx| {
            let mut row = row::get::<SeenRow>(tx, SEEN)?.unwrap_or_default();
            let up_to = up_to.min(row.arrived);
            if up_to > row.seen {
                (row.seen, row.seen_at) = (up_to, Some(now));
                row::put(tx, SEEN, &row)?;
                tx.after(Event::Timeline);
            }
            Ok(())
        })
        .await
}

/// One photo of an item; `None` if there is none or it has not arrived.
///
/// # Errors
/// When it is damaged or the store is unavailable.
pub fn image_bytes(
    node: &Node,
    entry: &EntryId,
    number: u16,
    size: Size,
) -> Result<Option<BlobReader>, StoreError> {
    let Some(photo) = row::get::<PhotoRow>(&node.store, &photo_key(entry, number))? else {
        return Ok(None);
    };
    let (has, blob) = match size {
        // Entries name two sizes.
        Size::Large | Size::Medium => (photo.has_large, photo.large),
        Size::Small => (photo.has_small, photo.small),
    };
    if has { node.blobs.open(&blob).map(Some) } else { Ok(None) }
}
