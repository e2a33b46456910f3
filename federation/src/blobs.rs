//! Photos and other blobs that entries refer to: fetched after the entries, given to those who may see them.
//!
//! What is missing is written down by core in the commit that takes the entry in, so a restart forgets nothing. While the
//! node runs, a blob cut off half-way is taken up where it was left.

mod fetch;
mod give;
pub(crate) mod slice;

pub(crate) use fetch::{Partials, fetch_wanted};
pub(crate) use give::serve;
