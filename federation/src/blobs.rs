//! Photos and other blobs that entries refer to: fetched after the entries, sent to peers that may
//! see them.
//!
//! Core writes the list of wanted blobs in the commit that stores the entry, so a restart loses
//! none. While the node runs, a blob whose transfer broke is continued from where it ended.

pub(crate) mod fetch;
mod hashed_blob;
mod send;
pub(crate) mod slice;

pub(crate) use fetch::fetch_wanted;
pub(crate) use send::serve;
