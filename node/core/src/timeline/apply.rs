//! Entries becoming items: a post, its edits, its end; in whatever order they arrive.

use super::{
    ALT_LEN_MAX, ItemRow, PhotoRow, PlaceRow, SEEN, SLUG_LEN_MAX, SeenRow, TEXT_KEPT_MAX, TITLE_LEN_MAX, WantedRow, WithdrawnRow,
    photo_key, place_key, wanted_key,
};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::{EntryId, PHOTOS_MAX, PostBody};
use crate::identity::PersonId;
use crate::row::{self, cut};
use crate::store::{BlobId, Scan, StoreError, Tx};

/// A post or an edit whose signature has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    /// Whose.
    pub author: PersonId,
    /// The entry it came in: of the post, or of the edit.
    pub entry: EntryId,
    /// When, by its author.
    pub at: Timestamp,
    /// When it was first seen here: now.
    pub first_seen: Timestamp,
    /// Whether its photos' blobs are stored here already, as those of one's own posts are.
    pub has_blobs: bool,
    /// Whether it counts as unread; one's own does not.
    pub is_news: bool,
    /// What it says.
    pub post: &'a PostBody,
}

/// Puts a post into the timeline. Safe to repeat; a post that was taken back stays away.
///
/// # Errors
/// When the store refuses.
pub fn apply(tx: &mut Tx<'_>, post: &Verified<'_>) -> Result<(), StoreError> {
    if is_withdrawn(tx, &post.entry, &post.author)? {
        return Ok(());
    }
    match row::get::<ItemRow>(tx, &post.entry.0)? {
        // Its edit came first: what the edit says stays, when it was posted is now known.
        Some(item) if item.author == post.author.0 && !item.has_post => {
            let shown = post.at.min(post.first_seen).min(item.shown);
            move_to(tx, &post.entry, ItemRow { has_post: true, ..item }, shown)
        }
        Some(_) => Ok(()),
        None => write(tx, &post.entry, post, None),
    }
}

/// Puts a new version of the post `of` into the timeline, unless what is there is newer or somebody else's.
///
/// # Errors
/// As [`apply`].
pub fn edit(tx: &mut Tx<'_>, of: &EntryId, edit: &Verified<'_>) -> Result<(), StoreError> {
    if is_withdrawn(tx, of, &edit.author)? {
        return Ok(());
    }
    let before = row::get::<ItemRow>(tx, &of.0)?;
    let is_newer = before.as_ref().is_none_or(|item| {
        let shown = (item.edited.unwrap_or_default(), item.version);
        item.author == edit.author.0 && (edit.at, edit.entry.0) > shown
    });
    if is_newer { write(tx, of, edit, Some(before)) } else { Ok(()) }
}

/// Makes the post `of` say what this version says, whatever it said before: for the feed, which knows the order of versions better than
/// any clock (and shows an earlier one again when a later one is taken back).
///
/// # Errors
/// As [`apply`].
pub fn show_version(tx: &mut Tx<'_>, of: &EntryId, version: &Verified<'_>) -> Result<(), StoreError> {
    if is_withdrawn(tx, of, &version.author)? {
        return Ok(());
    }
    let before = row::get::<ItemRow>(tx, &of.0)?;
    if before.as_ref().is_some_and(|item| item.author != version.author.0) {
        return Ok(());
    }
    let first = version.entry == *of;
    write(tx, of, version, Some(before))?;
    match row::get::<ItemRow>(tx, &of.0)? {
        Some(item) if first => row::put(tx, &of.0, &ItemRow { edited: None, has_post: true, ..item }),
        _ => Ok(()),
    }
}

/// Takes the post `of` out of the timeline, its photos with it, and keeps it out.
///
/// # Errors
/// As [`apply`].
pub fn withdraw(tx: &mut Tx<'_>, author: &PersonId, of: &EntryId) -> Result<(), StoreError> {
    if let Some(item) = row::get::<ItemRow>(tx, &of.0)? {
        if item.author != author.0 {
            return Ok(());
        }
        row::delete::<ItemRow>(tx, &of.0);
        row::delete::<PlaceRow>(tx, &place_key(item.shown, of));
        forget_photos(tx, of)?;
        tx.after(Event::Timeline);
    }
    row::put(tx, &row::key(&[&of.0, &author.0]), &WithdrawnRow { author: author.0 })
}

fn is_withdrawn(tx: &Tx<'_>, of: &EntryId, author: &PersonId) -> Result<bool, StoreError> {
    Ok(row::get::<WithdrawnRow>(tx, &row::key(&[&of.0, &author.0]))?.is_some())
}

/// Writes the item of the post `of`: new for `None`, else a version over what was (or was not) there `before`.
fn write(tx: &mut Tx<'_>, of: &EntryId, new: &Verified<'_>, version_over: Option<Option<ItemRow>>) -> Result<(), StoreError> {
    let (is_edit, before) = match version_over {
        None => (false, None),
        Some(before) => (true, before),
    };
    let text = cut(&new.post.text, TEXT_KEPT_MAX);
    // An edit that arrives before its post stands where its author says the post was published.
    let at = if is_edit { new.post.published } else { new.at };
    let arrival = match &before {
        Some(item) => item.arrival,
        None => arrive(tx, new.is_news)?,
    };
    let item = ItemRow {
        author: new.author.0,
        title: cut(new.post.title.as_deref().unwrap_or_default(), TITLE_LEN_MAX).to_owned(),
        text: text.to_owned(),
        is_whole: text.len() == new.post.text.len(),
        slug: cut(&new.post.slug, SLUG_LEN_MAX).to_owned(),
        shown: before.as_ref().map_or(at.min(new.first_seen), |item| item.shown),
        edited: is_edit.then_some(new.at),
        version: new.entry.0,
        arrival,
        has_post: !is_edit || before.as_ref().is_some_and(|item| item.has_post),
    };
    let held = held_blobs(tx, of)?;
    forget_photos(tx, of)?;
    for (number, photo) in (0u16..).zip(new.post.photos.iter().take(PHOTOS_MAX)) {
        let has = |blob: &BlobId| new.has_blobs || held.contains(blob);
        let row = PhotoRow {
            large: photo.blob,
            large_len: photo.len,
            small: photo.small,
            small_len: photo.small_len,
            alt: cut(&photo.alt, ALT_LEN_MAX).to_owned(),
            caption: cut(&photo.caption, ALT_LEN_MAX).to_owned(),
            width: photo.width,
            height: photo.height,
            thumbhash: photo.thumbhash.clone(),
            has_large: has(&photo.blob),
            has_small: has(&photo.small),
        };
        let key = photo_key(of, number);
        for (has, blob, len) in [(row.has_small, row.small, row.small_len), (row.has_large, row.large, row.large_len)] {
            if !has {
                row::put(tx, &wanted_key(&blob, &key), &WantedRow { len, author: new.author.0 })?;
            }
        }
        row::put_referring(tx, &key, &row, &row.held())?;
    }
    let shown = item.shown;
    move_to(tx, of, item, shown)
}

/// Writes the item under a new time.
fn move_to(tx: &mut Tx<'_>, of: &EntryId, item: ItemRow, shown: Timestamp) -> Result<(), StoreError> {
    row::delete::<PlaceRow>(tx, &place_key(item.shown, of));
    row::put(tx, &place_key(shown, of), &PlaceRow {})?;
    row::put(tx, &of.0, &ItemRow { shown, ..item })?;
    tx.after(Event::Timeline);
    Ok(())
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

fn held_blobs(tx: &Tx<'_>, of: &EntryId) -> Result<Vec<BlobId>, StoreError> {
    Ok(photos(tx, of)?.iter().flat_map(|(_, photo)| photo.held()).collect())
}

fn forget_photos(tx: &mut Tx<'_>, of: &EntryId) -> Result<(), StoreError> {
    for (key, photo) in photos(tx, of)? {
        row::delete::<PhotoRow>(tx, &key);
        for blob in [photo.large, photo.small] {
            row::delete::<WantedRow>(tx, &wanted_key(&blob, &key));
        }
    }
    Ok(())
}
