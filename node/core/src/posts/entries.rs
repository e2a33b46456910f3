//! The rows of posts follow the owner's feed: an entry that another node of the owner's wrote
//! changes a post published here, too.
//!
//! The feed decides which version of a post counts, and [`crate::apply`] calls these functions in
//! the same commit. The text of a version is not copied: it is read from its entry.

use super::rows::{self, ADDRESSES_MAX, PlaceRow, PostRow, Text};
use super::{PostId, SUMMARY_CHARS, State, TITLE_CHARS_MAX, delete};
use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::change::Version;
use crate::feed::{EntryId, PostBody};
use crate::node::Node;
use crate::photos;
use crate::row;
use crate::store::{StoreError, Tx};
use crate::{slug, text};

/// Deletes a post that was deleted in the feed, by this node or another of the owner's, or that has
/// expired.
///
/// # Errors
/// When the store refuses.
pub(crate) fn retract(tx: &mut Tx<'_>, node: &Node, of: &EntryId) -> Result<(), StoreError> {
    match rows::published_by(tx, of)? {
        Some((id, row)) => delete::erase(tx, node, id, &row),
        None => Ok(()),
    }
}

/// Hides a post of which no version may be shown for now: only the owner still finds it.
///
/// # Errors
/// When the store refuses.
pub(crate) fn hide(tx: &mut Tx<'_>, of: &EntryId) -> Result<(), StoreError> {
    let Some((id, row)) = rows::published_by(tx, of)?.filter(|(_, row)| !row.is_hidden) else {
        return Ok(());
    };
    photos::remove_references(tx, &id.0, &row.photos);
    photos::add_references(tx, &id.0, &row.photos, false)?;
    rows::save(tx, id, &PostRow { is_hidden: true, ..row })?;
    tx.after(Event::Public);
    Ok(())
}

/// Gives a post the content of the version that counts. Of its photos those are shown that this
/// node stores; its slug changes if the new one is free. A post that was published here and deleted
/// by another node returns when that deletion has turned out to be void.
///
/// # Errors
/// When the store refuses.
pub(crate) fn apply_version(
    tx: &mut Tx<'_>,
    of: &EntryId,
    new: &Version,
) -> Result<(), StoreError> {
    let (version, at, content) = (&new.entry, new.at, &new.body);
    let Some((id, before)) = rows::published_by(tx, of)? else {
        return if new.is_post_from_here { restore(tx, of, version, at, content) } else { Ok(()) };
    };
    let is_known = before.version.map_or(*of, EntryId) == *version;
    if is_known && !before.is_hidden {
        return Ok(());
    }
    let mut row = PostRow { is_hidden: false, ..before.clone() };
    if !is_known {
        copy_content(tx, &mut row, version, at, content)?;
        row.edited = (version != of).then_some(at);
        if may_take_slug(tx, &row, content, id)? {
            rows::claim_slug(tx, &content.slug, id)?;
            row.slug.clone_from(&content.slug);
        }
    }
    photos::remove_references(tx, &id.0, &before.photos);
    photos::add_references(tx, &id.0, &row.photos, true)?;
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(())
}

/// Restores a post whose row was deleted, at its old address unless another post has that by now.
fn restore(
    tx: &mut Tx<'_>,
    of: &EntryId,
    version: &EntryId,
    at: Timestamp,
    content: &PostBody,
) -> Result<(), StoreError> {
    // Made from the entry, so that the post has the same id each time it is restored.
    let id = PostId(row::key_part(&of.0, 0));
    let title = content.title.as_deref().unwrap_or_default();
    let base = slug::slugify(&content.slug)
        .or_else(|| slug::slugify(title))
        .unwrap_or_else(|| "note".to_owned());
    let mut row = PostRow {
        slug: rows::next_free(tx, &base, id)?,
        title: String::new(),
        text: Text::Entry(version.0),
        summary: String::new(),
        photos: Vec::new(),
        state: State::Published,
        created: content.published,
        updated: at,
        published: Some(content.published),
        edited: (version != of).then_some(at),
        entry: Some(of.0),
        audience: Audience::Public,
        minutes: 0,
        has_own_slug: true,
        version: None,
        is_hidden: false,
    };
    copy_content(tx, &mut row, version, at, content)?;
    rows::record_entry(tx, of, id)?;
    photos::add_references(tx, &id.0, &row.photos, true)?;
    rows::claim_slug(tx, &row.slug, id)?;
    row::put(tx, &rows::place_key(content.published, id), &PlaceRow {})?;
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(())
}

fn copy_content(
    tx: &Tx<'_>,
    row: &mut PostRow,
    version: &EntryId,
    at: Timestamp,
    content: &PostBody,
) -> Result<(), StoreError> {
    row.version = Some(version.0);
    row.text = Text::Entry(version.0);
    row.title =
        content.title.as_deref().unwrap_or_default().chars().take(TITLE_CHARS_MAX).collect();
    row.summary = text::summary(&content.text, SUMMARY_CHARS);
    row.minutes = text::reading_minutes(&content.text);
    row.photos = shown(tx, content)?;
    row.updated = at;
    Ok(())
}

fn shown(tx: &Tx<'_>, content: &PostBody) -> Result<Vec<photos::PhotoId>, StoreError> {
    let mut shown = Vec::new();
    for photo in &content.photos {
        shown.extend(photos::with_blob(tx, &photo.blob)?.filter(|id| !shown.contains(id)));
    }
    Ok(shown)
}

/// True if the post's slug becomes the one that a version names.
fn may_take_slug(
    tx: &Tx<'_>,
    row: &PostRow,
    content: &PostBody,
    id: PostId,
) -> Result<bool, StoreError> {
    let may_have = content.slug != row.slug && slug::is_slug(&content.slug);
    Ok(may_have
        && rows::is_free(tx, &content.slug, id)?
        && rows::addresses(tx, id)? < ADDRESSES_MAX)
}
