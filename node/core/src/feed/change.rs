//! Changes of the content that readers see, computed from the feed's entries. [`crate::apply`]
//! turns each change into the rows of the nouns, in the same commit.

use super::{EntryId, PostBody};
use crate::clock::Timestamp;
use crate::identity::PersonId;

/// One change for readers. It must be applied: it is not computed again.
#[must_use]
#[derive(Debug)]
pub(crate) enum Change {
    /// The projection of a post has changed.
    Post {
        /// The author.
        author: PersonId,
        /// The entry that opened the post.
        post: EntryId,
        /// The new projection.
        now: Projection,
    },
    /// The author deleted an entry for good, or its time is over. Its content is to be erased.
    Erased {
        /// The post that the entry opened or edited, if it did.
        post: Option<EntryId>,
    },
}

/// The content of a post that readers see.
#[derive(Debug)]
pub(crate) enum Projection {
    /// This version.
    Shown(Box<Version>),
    /// Nothing for now: its body is missing, a delayed tombstone hides it, or it is void. It may be
    /// shown again.
    Hidden,
    /// Nothing that this program can read: a newer program wrote the version that counts.
    NotUnderstood,
    /// Nothing, for good.
    Retracted,
}

/// The version of a post that counts: from the post's own entry or from an edit.
#[derive(Debug)]
pub(crate) struct Version {
    /// The entry it came in.
    pub(crate) entry: EntryId,
    /// When its author wrote it.
    pub(crate) at: Timestamp,
    /// When the post was posted: the time its author gives, but not after it was first seen here.
    pub(crate) posted: Timestamp,
    /// Whether this node wrote the post's own entry.
    pub(crate) is_post_from_here: bool,
    /// Whether this node wrote this version, so that its blobs are stored here.
    pub(crate) is_from_here: bool,
    /// Its content.
    pub(crate) body: PostBody,
}
