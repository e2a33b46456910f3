//! Posts: what the owner writes, first as a draft, then for everyone.
//!
//! This module has their rows and rules; [`crate::publish`] writes their entries. On disk: a row
//! per post, whose text, when long, is a blob; a row per address it ever had; its place among the
//! drafts or the published; a row under the entry that published it.

mod delete;
mod draft;
mod entries;
mod prepare;
mod read;
mod rows;

use crate::audience::Audience;
use crate::clock::Timestamp;
use crate::feed::EntryId;
use crate::ids::id16;
use crate::photos::PhotoId;
use crate::store::StoreError;

pub(crate) use delete::delete_draft;
pub(crate) use draft::ready;
pub use draft::{Draft, Precondition, save_draft};
pub(crate) use entries::{apply_version, hide, retract};
pub(crate) use prepare::{Edited, PreparedEdit, PreparedPost, prepare_new, prepare_saved, saved};
pub use read::{
    Cursor, Found, SEARCHED_MAX, Titled, by_id, by_slug, count, drafts, published, showing, titled,
};
pub(crate) use rows::{PostRow, load, to_post};

/// The longest title, in characters: four bytes each fit an entry's title.
pub const TITLE_CHARS_MAX: usize = 250;
/// The longest text, in bytes: with all else it must fit an entry's body.
pub const TEXT_LEN_MAX: usize = 60_000;
/// The most photos of a post.
pub const PHOTOS_MAX: usize = crate::feed::PHOTOS_MAX;
const SUMMARY_CHARS: usize = 200;

id16! {
    /// The id of a post.
    PostId
}

id16! {
    /// The state of a post at one time: it differs after any change.
    Revision
}

/// The state of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
pub enum State {
    /// Only the owner sees it.
    #[n(0)]
    Draft,
    /// It is published.
    #[n(1)]
    Published,
}

/// A post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// Its id.
    pub id: PostId,
    /// The last part of its address; for a draft, the one it would get.
    pub slug: String,
    /// True if the owner chose the slug, false if it was made from the title or text.
    pub has_own_slug: bool,
    /// Its title; empty for a note.
    pub title: String,
    /// Its text, Markdown as written.
    pub text: String,
    /// The beginning of its text, without markup.
    pub summary: String,
    /// The photos it shows, in order.
    pub photos: Vec<PhotoId>,
    /// Its state.
    pub state: State,
    /// The time of its first save.
    pub created: Timestamp,
    /// The time of its last save.
    pub updated: Timestamp,
    /// The time of its publication.
    pub published: Option<Timestamp>,
    /// The time of its last edit since.
    pub edited: Option<Timestamp>,
    /// Its entry in the owner's feed.
    pub entry: Option<EntryId>,
    /// The people who may see it.
    pub audience: Audience,
    /// Reading time in minutes.
    pub minutes: u32,
    /// Its state at this time, for [`Precondition`].
    pub revision: Revision,
}

/// Why a post was not saved, published or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// There is no such post.
    #[error("there is no such post")]
    NoSuchPost,
    /// Neither text nor photo.
    #[error("the post has neither text nor photo")]
    Empty,
    /// The title has more than [`TITLE_CHARS_MAX`] characters.
    #[error("the title has {0} characters, the limit is {TITLE_CHARS_MAX}")]
    LongTitle(usize),
    /// A part is over its limit.
    #[error("the {what} is {len} bytes, the limit is {len_max}")]
    TooLong {
        /// The part.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// The requested slug is invalid.
    #[error("an address of a post has only small letters, digits and single dashes")]
    InvalidSlug,
    /// Another post has or had the requested slug.
    #[error("another post has or had that address")]
    SlugTaken,
    /// The post has had 100 slugs, the most that a post may have had.
    #[error("the post has had {max} addresses, which is the limit", max = rows::ADDRESSES_MAX)]
    TooManyAddresses,
    /// More than [`PHOTOS_MAX`].
    #[error("there are {0} photos, the limit is {PHOTOS_MAX}")]
    TooManyPhotos(usize),
    /// A photo that it names does not exist.
    #[error("there is no such photo")]
    NoSuchPhoto,
    /// It is published already.
    #[error("this post is published already")]
    AlreadyPublished,
    /// It is a draft, which has nothing to edit.
    #[error("this post is not published yet")]
    NotPublished,
    /// Another window changed it meanwhile.
    #[error("the post was changed meanwhile")]
    ChangedMeanwhile,
    /// The node has not been claimed by anyone.
    #[error("this node has not been claimed yet")]
    Unclaimed,
    /// The node was retired, or its person's identity has ended.
    #[error("this node was retired: it can't publish for you any more")]
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
