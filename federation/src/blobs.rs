//! Photos and other blobs that entries refer to: fetched after the entries, given to those who may
//! see them.
//!
//! What is missing is written down by core in the commit that takes the entry in, so a restart
//! forgets nothing. While the node runs, a blob cut off half-way is taken up where it was left.

pub(crate) mod fetch;
mod give;
mod partials;
mod shares;
pub(crate) mod slice;

pub(crate) use fetch::fetch_wanted;
pub(crate) use give::serve;
pub(crate) use partials::Partials;
pub(crate) use shares::Shares;
