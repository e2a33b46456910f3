//! Identity logs as they grow, one's own and other people's: learning a longer or better log,
//! asking for a root key's signature, and uploading what was signed.
//!
//! This module is above the feed: a changed identity log certifies and retires node keys, so the
//! feed re-evaluates the entries of those nodes in the same commit.

mod learn;
mod request;

pub use learn::{LearnError, Learned, dispute, learn};
pub use request::{RequestError, UploadError, VoidPolicy, request, request_retirement, upload};

#[cfg(test)]
mod tests;
