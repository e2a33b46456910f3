//! The rows of a post that is published or edited: checked and prepared before its entry is
//! written, finished with the entry's id. [`crate::publish`] puts both into one commit.

use super::draft::{self, Precondition, Ready};
use super::rows::{self, ADDRESSES_MAX, DraftRow, PlaceRow, PostRow};
use super::{PostError, PostId, State};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::feed::{EntryId, MARKDOWN, PostBody};
use crate::node::Node;
use crate::photos::{self, Photo};
use crate::row;
use crate::store::Tx;

/// A saved draft with its text.
///
/// # Errors
/// When there is no such post, or neither text nor photo in it.
pub(crate) fn saved(node: &Node, id: PostId) -> Result<(PostRow, String), PostError> {
    let row = rows::load(&node.store, id)?;
    let text = rows::text(node, &row)?;
    if text.trim().is_empty() && row.photos.is_empty() {
        return Err(PostError::Empty);
    }
    Ok((row, text))
}

/// Saves a new draft, which is to be published in the same commit.
///
/// # Errors
/// As [`super::save_draft`] and [`PreparedPost::prepare`].
pub(crate) fn prepare_new(
    tx: &mut Tx<'_>,
    id: PostId,
    precondition: Precondition,
    ready: Ready,
    (now, moment): (Timestamp, Timestamp),
) -> Result<PreparedPost, PostError> {
    let row = draft::write(tx, id, precondition, &ready, now)?;
    PreparedPost::prepare(tx, id, row, ready.raw, (now, moment, None))
}

/// Prepares a saved draft, unless it is no longer what `before` and `text` were read from.
///
/// # Errors
/// As [`PreparedPost::prepare`], or when the draft was changed meanwhile.
pub(crate) fn prepare_saved(
    tx: &Tx<'_>,
    id: PostId,
    before: &PostRow,
    text: String,
    times: (Timestamp, Timestamp, Option<Timestamp>),
) -> Result<PreparedPost, PostError> {
    let row = rows::load(tx, id)?;
    if row.state == State::Draft && row != *before {
        return Err(PostError::ChangedMeanwhile);
    }
    PreparedPost::prepare(tx, id, row, text, times)
}

/// A draft that is about to be published, within a commit.
pub(crate) struct PreparedPost {
    id: PostId,
    row: PostRow,
    published: Timestamp,
    /// The content of the entry that publishes it.
    pub(crate) body: PostBody,
}

impl PreparedPost {
    /// Checks the draft and gives it its slug. `moment` is the time of the entry that will publish
    /// it, and the date of the post if `date` is `None`: a machine whose clock was never set must
    /// not date its posts to 1970.
    ///
    /// # Errors
    /// When the post is published already, its own address was taken meanwhile, or a photo is gone.
    pub(super) fn prepare(
        tx: &Tx<'_>,
        id: PostId,
        mut row: PostRow,
        text: String,
        (now, moment, date): (Timestamp, Timestamp, Option<Timestamp>),
    ) -> Result<Self, PostError> {
        if row.state == State::Published {
            return Err(PostError::AlreadyPublished);
        }
        if row.has_own_slug && !rows::is_free(tx, &row.slug, id)? {
            return Err(PostError::SlugTaken);
        }
        row.slug = rows::next_free(tx, &row.slug, id)?;
        let shown = draft::load_photos(tx, &row.photos)?;
        let published = date.map_or(moment, |date| date.min(moment));
        row.state = State::Published;
        row.published = Some(published);
        row.updated = now;
        let body = body(&row, text, &shown);
        Ok(Self { id, row, published, body })
    }

    /// Writes the rows of the post that `entry` publishes.
    ///
    /// # Errors
    /// When the store refuses.
    pub(crate) fn finish(self, tx: &mut Tx<'_>, entry: &EntryId) -> Result<PostRow, PostError> {
        let Self { id, mut row, published, .. } = self;
        row.entry = Some(entry.0);
        rows::record_entry(tx, entry, id)?;
        photos::add_references(tx, &id.0, &row.photos, true)?;
        rows::claim_slug(tx, &row.slug, id)?;
        row::delete::<DraftRow>(tx, &id.0);
        row::put(tx, &rows::place_key(published, id), &PlaceRow {})?;
        rows::save(tx, id, &row)?;
        tx.after(Event::Public);
        Ok(row)
    }
}

/// A change of a published post, within a commit.
pub(crate) struct PreparedEdit {
    id: PostId,
    row: PostRow,
    /// The entry of the post.
    pub(crate) of: EntryId,
    /// The content of the entry that edits it.
    pub(crate) body: PostBody,
}

/// The outcome of preparing an edit.
pub(crate) enum Edited {
    /// The post has this content already.
    Unchanged(Box<PostRow>),
    /// An entry is to be written.
    Changed(Box<PreparedEdit>),
}

impl PreparedEdit {
    /// Checks the edit against the published post, and gives the post its new slug if the edit has
    /// one.
    ///
    /// # Errors
    /// When the post is not published, was changed meanwhile, its new address is taken, or a photo
    /// is gone.
    pub(crate) fn prepare(
        tx: &mut Tx<'_>,
        id: PostId,
        precondition: Precondition,
        ready: Ready,
        now: Timestamp,
    ) -> Result<Edited, PostError> {
        let mut row = rows::load(tx, id)?;
        let of = row
            .entry
            .map(EntryId)
            .filter(|_| row.state == State::Published)
            .ok_or(PostError::NotPublished)?;
        // A save without a change writes no entry. The edit of a hidden post shows it again.
        if ready.is_content_of(&row) && !row.is_hidden {
            return Ok(Edited::Unchanged(Box::new(row)));
        }
        if !precondition.is_met_by(&row) {
            return Err(PostError::ChangedMeanwhile);
        }
        ready.check_slug(Some(&row))?;
        if let Some(slug) = ready.slug.clone().filter(|slug| *slug != row.slug) {
            if !rows::is_free(tx, &slug, id)? {
                return Err(PostError::SlugTaken);
            }
            if rows::addresses(tx, id)? >= ADDRESSES_MAX {
                return Err(PostError::TooManyAddresses);
            }
            rows::claim_slug(tx, &slug, id)?;
            row.slug = slug;
            row.has_own_slug = true;
        }
        let shown = ready.load_photos(tx)?;
        ready.text.attach(tx);
        photos::remove_references(tx, &id.0, &row.photos);
        photos::add_references(tx, &id.0, &ready.photos, !row.is_hidden)?;
        row.title = ready.title;
        row.text = ready.text.text.clone();
        row.summary = ready.summary;
        row.minutes = ready.minutes;
        row.photos = ready.photos;
        row.updated = now;
        row.edited = Some(now);
        let body = body(&row, ready.raw, &shown);
        Ok(Edited::Changed(Box::new(Self { id, row, of, body })))
    }

    /// Writes the rows of the post that `entry` edits.
    ///
    /// # Errors
    /// When the store refuses.
    pub(crate) fn finish(self, tx: &mut Tx<'_>, entry: &EntryId) -> Result<PostRow, PostError> {
        let Self { id, mut row, .. } = self;
        row.version = Some(entry.0);
        rows::save(tx, id, &row)?;
        tx.after(Event::Public);
        Ok(row)
    }
}

fn body(row: &PostRow, text: String, shown: &[Photo]) -> PostBody {
    PostBody {
        media_type: MARKDOWN.to_owned(),
        // The language of a post is not asked for yet.
        lang: String::new(),
        title: Some(row.title.clone()).filter(|title| !title.is_empty()),
        slug: row.slug.clone(),
        text,
        published: row.published.unwrap_or_default(),
        photos: shown.iter().map(photos::entry_photo).collect(),
    }
}
