//! Blobs by hash, in slices that verify themselves.
//!
//! 1. A Get names the hash of the wire form and a range of at most
//!    [`crate::limits::BLOB_RANGE_LEN_MAX`] bytes.
//! 2. The answer is Found with the whole length, then raw frames of the range's BLAKE3 tree slice
//!    (chunk groups of 16 KiB) and an empty frame at its end; or Missing, which is also what one
//!    may not have looks like.
//! 3. The receiver checks every group against the hash before it keeps it, so a liar is noticed
//!    within 16 KiB.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::BLOB_GET_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/blob/1";

/// Asks for part of a blob. More may follow on the same stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Get {
    /// BLAKE3 of the wire form.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) hash: [u8; 32],
    /// The first byte wanted, a multiple of the group length.
    #[n(2)]
    pub(crate) start: u64,
    /// How many bytes, fewer at the blob's end.
    #[n(4)]
    pub(crate) len: u64,
}

impl Message for Get {
    const LEN_MAX: usize = BLOB_GET_LEN_MAX;
}

/// What comes before the slice.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Answer {
    /// The blob has this many bytes; the slice follows.
    #[n(0)]
    Found(#[n(0)] u64),
    /// There is nothing here for you.
    #[n(2)]
    Missing,
}

impl Message for Answer {
    const LEN_MAX: usize = BLOB_GET_LEN_MAX;
}
