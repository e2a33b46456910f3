//! What the feed's entries add up to for readers, after some of them changed. [`crate::apply`] turns
//! each change into the rows of the nouns, in the same commit.

use super::{EntryId, PostBody};
use crate::clock::Timestamp;
use crate::identity::PersonId;

/// One thing that changed for readers. A change that is not applied is lost to them.
#[must_use]
#[derive(Debug)]
pub(crate) enum Change {
    /// The entries of a post add up to something else now.
    Post {
        /// The author.
        author: PersonId,
        /// The entry that opened the post.
        post: EntryId,
        /// What readers are to see.
        now: Projection,
    },
    /// The author deleted an entry for good, or its time is over. Its content is to be erased.
    Erased {
        /// The post that the entry opened or edited, if it did.
        post: Option<EntryId>,
    },
}

/// What readers are to see of a post.
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
