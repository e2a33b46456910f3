//! Photos and other blobs that entries refer to: fetched after the entries, given to those who may see them.
pub(crate) mod slice;
