//! Showing a version of a post as an item, and hiding it again. The feed decides which version
//! counts.

use super::wants::Wants;
use super::{
    ALT_LEN_MAX, ItemRow, PhotoRow, PlaceRow, SEEN, SLUG_LEN_MAX, SeenRow, TEXT_KEPT_MAX,
    TITLE_LEN_MAX, photo_key, place_key,
};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::{EntryId, PHOTOS_MAX, PostBody};
use crate::identity::PersonId;
use crate::row::{self, cut};
use crate::store::{BlobId, Scan, StoreError, Tx};
use crate::text::permitted;

/// A version of a post, from a verified entry: the post's own or an edit's.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// The author.
    pub author: PersonId,
    /// The entry of the version: the post's own or an edit's.
    pub entry: EntryId,
    /// The author's time of this version.
    pub at: Timestamp,
    /// The time that orders the post: the author's, but not after it was first stored here.
    pub posted: Timestamp,
    /// True if the blobs of its photos are stored here already, as for one's own posts.
    pub has_blobs: bool,
    /// True if it counts as unread; one's own posts do not.
    pub is_news: bool,
    /// Its content.
    pub post: &'a PostBody,
}

/// Gives the item of post `of` the content of this version. Safe to repeat; does nothing to an item
/// of another author.
///
/// # Errors
/// When the store refuses.
pub fn show(tx: &mut Tx<'_>, of: &EntryId, new: &Version<'_>) -> Result<(), StoreError> {
    let before = row::get::<ItemRow>(tx, &of.0)?;
    if before.as_ref().is_some_and(|item| {
        item.author != new.author.0 || (item.version, item.shown) == (new.entry.0, new.posted)
    }) {
        return Ok(());
    }
    let title = permitted(new.post.title.as_deref().unwrap_or_default());
    let whole_text = permitted(&new.post.text);
    let text = cut(&whole_text, TEXT_KEPT_MAX);
    let arrival = match &before {
        Some(item) => item.arrival,
        None => arrive(tx, new.is_news)?,
    };
    if let Some(before) = before {
        row::delete::<PlaceRow>(tx, &place_key(before.shown, of));
    }
    let item = ItemRow {
        author: new.author.0,
        title: cut(&title, TITLE_LEN_MAX).to_owned(),
        text: text.to_owned(),
        is_whole: text.len() == whole_text.len(),
        slug: cut(&new.post.slug, SLUG_LEN_MAX).to_owned(),
        shown: new.posted,
        edited: (new.entry != *of).then_some(new.at),
        version: new.entry.0,
        arrival,
    };
    row::put(tx, &place_key(item.shown, of), &PlaceRow {})?;
    row::put(tx, &of.0, &item)?;
    tx.after(Event::Timeline);
    show_photos(tx, of, new)
}

/// Removes the item of post `of` with its photos, until it is shown again. Does nothing to an item
/// of another author.
///
/// # Errors
/// As [`show`].
pub fn hide(tx: &mut Tx<'_>, author: &PersonId, of: &EntryId) -> Result<(), StoreError> {
    let Some(item) = row::get::<ItemRow>(tx, &of.0)?.filter(|item| item.author == author.0) else {
        return Ok(());
    };
    row::delete::<ItemRow>(tx, &of.0);
    row::delete::<PlaceRow>(tx, &place_key(item.shown, of));
    let mut wants = Wants::of(tx, *author)?;
    forget_photos(tx, of, &mut wants)?;
    wants.write(tx)?;
    tx.after(Event::Timeline);
    Ok(())
}

/// Replaces the photos of an item by those of a version. Blobs that have arrived are not wanted
/// again.
fn show_photos(tx: &mut Tx<'_>, of: &EntryId, new: &Version<'_>) -> Result<(), StoreError> {
    let held = held_blobs(tx, of)?;
    let mut wants = Wants::of(tx, new.author)?;
    forget_photos(tx, of, &mut wants)?;
    for (number, photo) in (0u16..).zip(new.post.photos.iter().take(PHOTOS_MAX)) {
        let has = |blob: &BlobId| new.has_blobs || held.contains(blob);
        let row = PhotoRow {
            large: photo.blob,
            large_len: photo.len,
            small: photo.small,
            small_len: photo.small_len,
            alt: cut(&permitted(&photo.alt), ALT_LEN_MAX).to_owned(),
            caption: cut(&permitted(&photo.caption), ALT_LEN_MAX).to_owned(),
            width: photo.width,
            height: photo.height,
            thumbhash: photo.thumbhash.clone(),
            has_large: has(&photo.blob),
            has_small: has(&photo.small),
        };
        let key = photo_key(of, number);
        wants.note(tx, &row, &key)?;
        row::put_referring(tx, &key, &row, &row.held())?;
    }
    wants.write(tx)
}

fn arrive(tx: &mut Tx<'_>, is_news: bool) -> Result<u64, StoreError> {
    if !is_news {
        return Ok(0);
    }
    let mut seen = row::get::<SeenRow>(tx, SEEN)?.unwrap_or_default();
    seen.arrived += 1;
    row::put(tx, SEEN, &seen)?;
    Ok(seen.arrived)
}

fn photos(tx: &Tx<'_>, of: &EntryId) -> Result<Vec<(Vec<u8>, PhotoRow)>, StoreError> {
    row::scan::<PhotoRow>(tx, &Scan::prefix(&of.0, PHOTOS_MAX))
}

/// The blobs of a post's photos that have arrived.
pub(crate) fn held_blobs(tx: &Tx<'_>, of: &EntryId) -> Result<Vec<BlobId>, StoreError> {
    Ok(photos(tx, of)?.iter().flat_map(|(_, photo)| photo.held()).collect())
}

fn forget_photos(tx: &mut Tx<'_>, of: &EntryId, wants: &mut Wants) -> Result<(), StoreError> {
    for (key, photo) in photos(tx, of)? {
        row::delete::<PhotoRow>(tx, &key);
        wants.forget(tx, &photo, &key)?;
    }
    Ok(())
}
