//! Blobs by hash, in slices that are verified against it.
//!
//! 1. A Get names the hash of the wire form and a range of at most
//!    [`crate::limits::BLOB_RANGE_LEN_MAX`] bytes.
//! 2. The answer is Found with the whole length, then raw frames of the range's BLAKE3 tree slice
//!    (chunk groups of 16 KiB) and an empty frame at its end; or Missing, also for a blob that the
//!    peer may not see.
//! 3. The receiver verifies every group against the hash before it stores it, so a wrong byte is
//!    found within 16 KiB.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::BLOB_GET_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/blob/1";

/// Requests a range of a blob. More Gets may follow on the same stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Get {
    /// BLAKE3 of the wire form.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) hash: [u8; 32],
    /// The first byte of the range, a multiple of the group length.
    #[n(2)]
    pub(crate) start: u64,
    /// Bytes in the range; the slice has fewer at the blob's end.
    #[n(4)]
    pub(crate) len: u64,
}

impl Message for Get {
    const LEN_MAX: usize = BLOB_GET_LEN_MAX;
}

/// The answer to a Get, before the slice.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Answer {
    /// The blob has this many bytes; the slice follows.
    #[n(0)]
    Found(#[n(0)] u64),
    /// The blob is not here, or not for this peer.
    #[n(2)]
    Missing,
}

impl Message for Answer {
    const LEN_MAX: usize = BLOB_GET_LEN_MAX;
}
