//! Posts: what the owner writes, first as a draft, then for everyone.
//!
//! Publishing is one commit: the post, its address, its signed entry with the journal's record, and
//! the owner's own timeline. On disk: a row per post, whose text, when long, is a blob; a row per
//! address it ever had; its place among the drafts or the published; a row under the entry that
//! published it.

mod delete;
mod draft;
mod entries;
mod publish;
mod read;
mod rows;

use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::feed::EntryId;
use crate::ids::id16;
use crate::photos::PhotoId;
use crate::store::StoreError;

pub use delete::delete;
pub use draft::{Draft, Over, save_draft};
pub(crate) use entries::{apply_version, hide, retract};
pub use publish::{edit, publish, publish_dated, publish_new};
pub use read::{Cursor, Found, by_id, by_slug, count, drafts, published};

/// The longest title, in characters: four bytes each fit an entry's title.
pub const TITLE_CHARS_MAX: usize = 250;
/// The longest text, in bytes: with all else it must fit an entry's body.
pub const TEXT_LEN_MAX: usize = 60_000;
/// How many photos a post shows at most.
pub const PHOTOS_MAX: usize = crate::feed::PHOTOS_MAX;
const SUMMARY_CHARS: usize = 200;

id16! {
    /// Which post.
    PostId
}

id16! {
    /// What a post was at one time: another one as soon as anything of it changes.
    Revision
}

/// How far a post is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum State {
    /// Only the owner sees it.
    #[n(0)]
    Draft,
    /// It is out.
    #[n(1)]
    Published,
}

/// A post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Which one.
    pub id: PostId,
    /// The last part of its address; a draft's is what it would be.
    pub slug: String,
    /// Whether the owner chose that, or it was made of the words.
    pub has_own_slug: bool,
    /// Its title; empty for a note.
    pub title: String,
    /// Its text, Markdown as written.
    pub text: String,
    /// How it begins, as plain text.
    pub summary: String,
    /// The photos it shows, in order.
    pub photos: Vec<PhotoId>,
    /// How far it is.
    pub state: State,
    /// When it was begun.
    pub created: Timestamp,
    /// When it was last saved.
    pub updated: Timestamp,
    /// When it came out.
    pub published: Option<Timestamp>,
    /// When it was last changed since.
    pub edited: Option<Timestamp>,
    /// Its entry in the owner's feed.
    pub entry: Option<EntryId>,
    /// Who may see it.
    pub audience: Audience,
    /// How many minutes it takes to read.
    pub minutes: u32,
    /// What tells it from itself before and after.
    pub revision: Revision,
}

/// Why a post was not saved, published or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There is no such post.
    #[error("there is no such post")]
    NoSuchPost,
    /// Neither text nor photo.
    #[error("there is nothing in it yet")]
    Empty,
    /// The title has more than [`TITLE_CHARS_MAX`] characters.
    #[error("the title has {0} characters, the limit is {TITLE_CHARS_MAX}")]
    LongTitle(usize),
    /// Something is too long.
    #[error("the {what} is {len} bytes, the limit is {len_max}")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The address asked for is not one, or another post has it.
    #[error("another post has that address, or it is not one")]
    BadSlug,
    /// More than [`PHOTOS_MAX`].
    #[error("there are {0} photos, the limit is {PHOTOS_MAX}")]
    TooManyPhotos(usize),
    /// A photo it should show is not there.
    #[error("there is no such photo")]
    NoSuchPhoto,
    /// It is published already: that is an edit.
    #[error("this post is published already")]
    AlreadyPublished,
    /// It is a draft still: there is nothing to edit.
    #[error("this post is not published yet")]
    NotPublished,
    /// Somebody else (another window) changed it at the same moment.
    #[error("the post was changed meanwhile")]
    ChangedMeanwhile,
    /// The node has not been claimed by anyone.
    #[error("this node belongs to nobody yet")]
    Unclaimed,
    /// The node was retired, or its person's identity has ended.
    #[error("this node no longer speaks for you")]
    Retired,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl From<crate::feed::AppendError> for PostError {
    fn from(error: crate::feed::AppendError) -> Self {
        use crate::feed::AppendError;
        match error {
            AppendError::Unclaimed => Self::Unclaimed,
            AppendError::Retired => Self::Retired,
            AppendError::TooLong { len, len_max } => {
                Self::TooLong { what: "post with its captions", len, len_max }
            }
            AppendError::NotReadable(_) => {
                Self::TooLong { what: "post", len: 0, len_max: TEXT_LEN_MAX }
            }
            AppendError::Store(error) => Self::Store(error),
        }
    }
}

#[cfg(test)]
mod tests;
