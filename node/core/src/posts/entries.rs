//! Posts by their entries in the feed: what another node of the owner's says of a post that was
//! published here changes this site, too.
//!
//! The feed decides which version of a post counts, and whether any does ([`crate::feed`] settles
//! that in the commit that takes an entry in); here the site follows. What a version says is not
//! copied: it is read from its entry.

use minicbor::{Decode, Encode};

use super::rows::{self, ADDRESSES_MAX, PlaceRow, PostRow, Text};
use super::{PostId, SUMMARY_CHARS, State, TITLE_CHARS_MAX, delete};
use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::change::Version;
use crate::feed::{EntryId, PostBody};
use crate::node::Node;
use crate::photos;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};
use crate::{slug, text};

/// Under the entry of a published post: the post.
#[derive(Encode, Decode)]
#[cbor(map)]
struct EntryRow {
    #[n(0)]
    post: PostId,
}

impl Record for EntryRow {
    const TABLE: Table = Table::new("posts_entries");
    const VERSION: u8 = 1;
}

/// Notes which entry published a post.
pub(super) fn note(tx: &mut Tx<'_>, entry: &EntryId, post: PostId) -> Result<(), StoreError> {
    row::put(tx, &entry.0, &EntryRow { post })
}

/// Forgets a post that is gone.
pub(super) fn forget(tx: &mut Tx<'_>, entry: &EntryId) {
    row::delete::<EntryRow>(tx, &entry.0);
}

/// The post that an entry published here, if it is still there.
fn published(tx: &Tx<'_>, entry: &EntryId) -> Result<Option<(PostId, PostRow)>, StoreError> {
    let Some(EntryRow { post }) = row::get(tx, &entry.0)? else { return Ok(None) };
    Ok(row::get::<PostRow>(tx, &post.0)?.map(|row| (post, row)))
}

/// The owner has taken a post back on another node, or its time is over: it leaves the site for
/// good.
///
/// # Errors
/// When the store refuses.
pub(crate) fn retract(tx: &mut Tx<'_>, node: &Node, of: &EntryId) -> Result<(), StoreError> {
    match published(tx, of)? {
        Some((id, row)) => delete::erase(tx, node, id, &row),
        None => Ok(()),
    }
}

/// For now there is nothing of a post that may be shown: only its owner still finds it.
///
/// # Errors
/// When the store refuses.
pub(crate) fn hide(tx: &mut Tx<'_>, of: &EntryId) -> Result<(), StoreError> {
    let Some((id, row)) = published(tx, of)?.filter(|(_, row)| !row.is_hidden) else {
        return Ok(());
    };
    photos::remove_references(tx, &id.0, &row.photos)?;
    photos::add_references(tx, &id.0, &row.photos, false)?;
    rows::save(tx, id, &PostRow { is_hidden: true, ..row })?;
    tx.after(Event::Public);
    Ok(())
}

/// What a post says from now on, in the entry `version` of this time. Of its photos those are shown
/// that lie at this node; its address changes if the new one is free. One that was published here,
/// and that another node took back, stands on the site again when that has turned out to be void.
///
/// # Errors
/// When the store refuses.
pub(crate) fn apply_version(
    tx: &mut Tx<'_>,
    of: &EntryId,
    new: &Version,
) -> Result<(), StoreError> {
    let (version, at, said) = (&new.entry, new.at, &new.body);
    let Some((id, before)) = published(tx, of)? else {
        return if new.is_post_from_here { restore(tx, of, version, at, said) } else { Ok(()) };
    };
    let is_known = before.version.map_or(*of, EntryId) == *version;
    if is_known && !before.is_hidden {
        return Ok(());
    }
    let mut row = PostRow { is_hidden: false, ..before.clone() };
    if !is_known {
        take_words(tx, &mut row, version, at, said)?;
        row.edited = (version != of).then_some(at);
        if is_to_move(tx, &row, said, id)? {
            rows::claim_slug(tx, &said.slug, id)?;
            row.slug.clone_from(&said.slug);
        }
    }
    photos::remove_references(tx, &id.0, &before.photos)?;
    photos::add_references(tx, &id.0, &row.photos, true)?;
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(())
}

/// Puts a post back whose row is gone, at the address it had unless another post has that by now.
fn restore(
    tx: &mut Tx<'_>,
    of: &EntryId,
    version: &EntryId,
    at: Timestamp,
    said: &PostBody,
) -> Result<(), StoreError> {
    // Drawn from the entry, so that the post is the same one however often it comes and goes.
    let id = PostId(row::key_part(&of.0, 0));
    let title = said.title.as_deref().unwrap_or_default();
    let base = slug::slugify(&said.slug)
        .or_else(|| slug::slugify(title))
        .unwrap_or_else(|| "note".to_owned());
    let mut row = PostRow {
        slug: rows::next_free(tx, &base, id)?,
        title: String::new(),
        text: Text::Entry(version.0),
        summary: String::new(),
        photos: Vec::new(),
        state: State::Published,
        created: said.published,
        updated: at,
        published: Some(said.published),
        edited: (version != of).then_some(at),
        entry: Some(of.0),
        audience: Audience::Public,
        minutes: 0,
        has_own_slug: true,
        version: None,
        is_hidden: false,
    };
    take_words(tx, &mut row, version, at, said)?;
    note(tx, of, id)?;
    photos::add_references(tx, &id.0, &row.photos, true)?;
    rows::claim_slug(tx, &row.slug, id)?;
    row::put(tx, &rows::place_key(said.published, id), &PlaceRow {})?;
    rows::save(tx, id, &row)?;
    tx.after(Event::Public);
    Ok(())
}

fn take_words(
    tx: &Tx<'_>,
    row: &mut PostRow,
    version: &EntryId,
    at: Timestamp,
    said: &PostBody,
) -> Result<(), StoreError> {
    row.version = Some(version.0);
    row.text = Text::Entry(version.0);
    row.title = said.title.as_deref().unwrap_or_default().chars().take(TITLE_CHARS_MAX).collect();
    row.summary = text::summary(&said.text, SUMMARY_CHARS);
    row.minutes = text::reading_minutes(&said.text);
    row.photos = shown(tx, said)?;
    row.updated = at;
    Ok(())
}

fn shown(tx: &Tx<'_>, said: &PostBody) -> Result<Vec<photos::PhotoId>, StoreError> {
    let mut shown = Vec::new();
    for photo in &said.photos {
        shown.extend(photos::with_blob(tx, &photo.blob)?.filter(|id| !shown.contains(id)));
    }
    Ok(shown)
}

/// Whether the post's address becomes the one that a version names.
fn is_to_move(tx: &Tx<'_>, row: &PostRow, said: &PostBody, id: PostId) -> Result<bool, StoreError> {
    let may_have = said.slug != row.slug && slug::is_slug(&said.slug);
    Ok(may_have && rows::is_free(tx, &said.slug, id)? && rows::addresses(tx, id)? < ADDRESSES_MAX)
}
