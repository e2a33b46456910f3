//! Saving a draft, and the limits of a draft.

use super::rows::{self, DraftRow, PostRow, ReadyText};
use super::{
    PHOTOS_MAX, Post, PostError, PostId, Revision, SUMMARY_CHARS, State, TEXT_LEN_MAX,
    TITLE_CHARS_MAX,
};
use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::photos::{self, Photo, PhotoId};
use crate::row;
use crate::store::{StoreError, Tx};
use crate::{slug, text};

/// The longest slug made from the text of a note, in bytes.
const NOTE_SLUG_LEN_MAX: usize = 50;

/// The state that a post must have for a draft to be saved over it (compare If-Match, RFC 9110
/// 13.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any state.
    #[default]
    Any,
    /// No such post: the draft begins it. A second save of the same draft makes no second post.
    Absent,
    /// The state in which its writer began to change it.
    Revision(Revision),
}

/// A draft as the owner submits it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The post it replaces; `None` begins a new one.
    pub id: Option<PostId>,
    /// The state that the post must have. In another state nothing is saved, unless the post has
    /// the same content already.
    pub precondition: Precondition,
    /// The title; empty for a note.
    pub title: String,
    /// The text, Markdown.
    pub text: String,
    /// The photos it shows, in order.
    pub photos: Vec<PhotoId>,
    /// The last part of the address, if the owner chose one; otherwise it is made from the title or
    /// the text.
    pub slug: Option<String>,
}

/// A draft within its limits, with its text stored.
pub(crate) struct Ready {
    pub(super) title: String,
    pub(super) text: ReadyText,
    pub(super) raw: String,
    pub(super) summary: String,
    pub(super) minutes: u32,
    pub(super) photos: Vec<PhotoId>,
    pub(super) slug: Option<String>,
}

/// Checks a draft against its limits and stores its text.
///
/// # Errors
/// The first limit that it is over, or the disk's.
pub(crate) fn ready(node: &Node, draft: Draft) -> Result<Ready, PostError> {
    let title = text::permitted(&draft.title).split_whitespace().collect::<Vec<_>>().join(" ");
    // Editors write a byte order mark, which would keep a heading from being one.
    let raw = draft.text.trim_start_matches('\u{feff}');
    let raw = text::permitted(raw).trim_end().to_owned();
    if title.chars().count() > TITLE_CHARS_MAX {
        return Err(PostError::LongTitle(title.chars().count()));
    }
    if raw.len() > TEXT_LEN_MAX {
        return Err(PostError::TooLong { what: "text", len: raw.len(), len_max: TEXT_LEN_MAX });
    }
    if draft.photos.len() > PHOTOS_MAX {
        return Err(PostError::TooManyPhotos(draft.photos.len()));
    }
    let slug = draft.slug.map(|slug| slug.trim().to_owned()).filter(|slug| !slug.is_empty());
    let mut photos = Vec::new();
    for photo in draft.photos {
        if !photos.contains(&photo) {
            photos.push(photo);
        }
    }
    let summary = text::summary(&raw, SUMMARY_CHARS);
    Ok(Ready {
        title,
        text: ReadyText::store(node, &raw)?,
        summary,
        minutes: text::reading_minutes(&raw),
        raw,
        photos,
        slug,
    })
}

impl Ready {
    /// Checks the chosen slug, unless the post has it already: the rules may have been others when
    /// it got that.
    pub(super) fn check_slug(&self, before: Option<&PostRow>) -> Result<(), PostError> {
        let is_kept = |slug: &String| before.is_some_and(|before| *slug == before.slug);
        match &self.slug {
            Some(slug) if !is_kept(slug) && !slug::is_slug(slug) => Err(PostError::InvalidSlug),
            _ => Ok(()),
        }
    }

    /// Refers to the text of an entry that another node wrote, if `row` has the same text there.
    ///
    /// # Errors
    /// When the stored text can't be read.
    pub(crate) fn reuse_text(&mut self, node: &Node, row: &PostRow) -> Result<(), StoreError> {
        if matches!(row.text, rows::Text::Entry(_)) && rows::text(node, row)? == self.raw {
            self.text = ReadyText::stored(row.text.clone());
        }
        Ok(())
    }

    /// The chosen slug, or one made from the title or the text.
    pub(super) fn wanted_slug(&self) -> String {
        let made = || {
            slug::slugify(&self.title)
                .or_else(|| slug::slugify_within(&self.summary, NOTE_SLUG_LEN_MAX))
        };
        self.slug.clone().or_else(made).unwrap_or_else(|| "note".to_owned())
    }

    /// True if it has neither text nor photo.
    pub(crate) fn is_empty(&self) -> bool {
        self.raw.trim().is_empty() && self.photos.is_empty()
    }

    /// True if the post has this content already.
    pub(super) fn is_content_of(&self, post: &PostRow) -> bool {
        self.slug.as_ref().is_none_or(|slug| *slug == post.slug)
            && self.title == post.title
            && self.text.text == post.text
            && self.photos == post.photos
    }

    /// Its photos, all of which must exist.
    pub(super) fn load_photos(&self, tx: &Tx<'_>) -> Result<Vec<Photo>, PostError> {
        load_photos(tx, &self.photos)
    }
}

pub(super) fn load_photos(tx: &Tx<'_>, ids: &[PhotoId]) -> Result<Vec<Photo>, PostError> {
    let load = |id: &PhotoId| row::get::<Photo>(tx, &id.0)?.ok_or(PostError::NoSuchPhoto);
    ids.iter().map(load).collect()
}

/// Saves a draft: a new one, or over the one it names.
///
/// # Errors
/// When a new one has no title, text or photo, something is too long, a photo is not there, or the
/// post it names is published, gone or changed meanwhile.
pub async fn save_draft(node: &Node, draft: Draft) -> Result<Post, PostError> {
    let id = draft.id.unwrap_or_else(|| PostId(node.random.array()));
    let precondition = if draft.id.is_some() { draft.precondition } else { Precondition::Absent };
    let (ready, now) = (ready(node, draft)?, node.clock.now());
    if precondition == Precondition::Absent
        && ready.title.is_empty()
        && ready.raw.trim().is_empty()
        && ready.photos.is_empty()
    {
        return Err(PostError::Empty);
    }
    let row = node.store.commit(move |tx| write(tx, id, precondition, &ready, now)).await?;
    Ok(rows::to_post(node, id, row)?)
}

impl Precondition {
    /// True if `before` is in the required state.
    pub(super) fn is_met_by(self, before: &PostRow) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => false,
            Self::Revision(revision) => before.revision() == revision,
        }
    }
}

/// Writes a draft if the post meets `precondition`.
pub(super) fn write(
    tx: &mut Tx<'_>,
    id: PostId,
    precondition: Precondition,
    ready: &Ready,
    now: Timestamp,
) -> Result<PostRow, PostError> {
    let before = row::get::<PostRow>(tx, &id.0)?;
    match &before {
        None if precondition != Precondition::Absent => return Err(PostError::NoSuchPost),
        Some(before) if !precondition.is_met_by(before) => {
            return if ready.is_content_of(before) {
                Ok(before.clone())
            } else {
                Err(PostError::ChangedMeanwhile)
            };
        }
        Some(before) if before.state == State::Published => {
            return Err(PostError::AlreadyPublished);
        }
        _ => {}
    }
    ready.check_slug(before.as_ref())?;
    ready.load_photos(tx)?;
    ready.text.attach(tx);
    if let Some(before) = &before {
        photos::remove_references(tx, &id.0, &before.photos);
    }
    photos::add_references(tx, &id.0, &ready.photos, false)?;
    let row = PostRow {
        slug: ready.wanted_slug(),
        title: ready.title.clone(),
        text: ready.text.text.clone(),
        summary: ready.summary.clone(),
        photos: ready.photos.clone(),
        state: State::Draft,
        created: before.map_or(now, |row| row.created),
        updated: now,
        published: None,
        edited: None,
        entry: None,
        audience: Audience::Public,
        minutes: ready.minutes,
        has_own_slug: ready.slug.is_some(),
        version: None,
        is_hidden: false,
    };
    rows::save(tx, id, &row)?;
    row::put(tx, &id.0, &DraftRow {})?;
    Ok::<_, StoreError>(row).map_err(PostError::Store)
}
