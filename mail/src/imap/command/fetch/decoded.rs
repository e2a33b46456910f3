//! The decoded content of a part, for BINARY and BINARY.SIZE (RFC 3516 4.2 and 4.3). It is read
//! twice, piece by piece: for its length, and to be sent.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::ops::Range;
use std::sync::Arc;

use freehold_core::blobs::BlobReader;
use freehold_core::store::StoreError;
use freehold_mime::encoding::Encoding;
use freehold_mime::encoding::stream::Decoder;
use freehold_mime::imap::Printer;

use crate::imap::structure_cache::read_range;

/// The encoded bytes that are read at a time.
const PIECE_LEN: usize = 64 * 1024;

/// The content from a position on.
#[derive(Debug)]
pub(crate) struct Content {
    blob: Arc<BlobReader>,
    /// The encoded bytes that are still to be read.
    rest: Range<u64>,
    decoder: Decoder,
    /// Decoded bytes that are not sent.
    skip: u64,
    /// Decoded bytes that are sent.
    left: u64,
}

/// The length of a content, and whether the range of it that is wanted has a NUL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measure {
    pub(crate) len: u64,
    pub(crate) has_nul: bool,
}

impl Content {
    /// The content of encoded bytes, `take` octets after the first `skip`.
    pub(crate) fn new(
        blob: Arc<BlobReader>,
        range: Range<u64>,
        encoding: Encoding,
        (skip, take): (u64, u64),
    ) -> Self {
        Self { blob, rest: range, decoder: Decoder::new(encoding), skip, left: take }
    }

    /// Reads all of it.
    pub(crate) fn measure(mut self) -> Result<Measure, StoreError> {
        let (mut measure, mut piece) = (Measure::default(), Vec::new());
        let wanted = self.skip..self.skip.saturating_add(self.left);
        while self.next(&mut piece)? {
            let start = measure.len;
            measure.len = start.saturating_add(piece.len() as u64);
            let index = |at: u64| {
                usize::try_from(at.saturating_sub(start)).unwrap_or(usize::MAX).min(piece.len())
            };
            let part = piece.get(index(wanted.start)..index(wanted.end)).unwrap_or_default();
            measure.has_nul |= memchr::memchr(0, part).is_some();
        }
        Ok(measure)
    }

    /// Prints about `len_max` bytes and returns the rest.
    pub(crate) fn print(
        mut self,
        out: &mut Printer,
        len_max: usize,
    ) -> Result<Option<Self>, StoreError> {
        let (mut printed, mut piece) = (0usize, Vec::new());
        while self.left > 0 && printed < len_max {
            if !self.next(&mut piece)? {
                return Err(StoreError::NoBlob);
            }
            let skipped = self.skip.min(piece.len() as u64);
            self.skip = self.skip.saturating_sub(skipped);
            let rest = usize::try_from(skipped).ok().and_then(|at| piece.get(at..));
            let rest = rest.unwrap_or_default();
            let len = usize::try_from(self.left).unwrap_or(usize::MAX).min(rest.len());
            out.raw(rest.get(..len).unwrap_or(rest));
            self.left = self.left.saturating_sub(len as u64);
            printed = printed.saturating_add(len);
        }
        Ok((self.left > 0).then_some(self))
    }

    /// Decodes the next piece; false at the end.
    fn next(&mut self, piece: &mut Vec<u8>) -> Result<bool, StoreError> {
        piece.clear();
        if self.rest.is_empty() {
            self.decoder.finish(piece);
            return Ok(!piece.is_empty());
        }
        let len = usize::try_from(self.rest.end.saturating_sub(self.rest.start));
        let bytes =
            read_range(&self.blob, self.rest.start, len.unwrap_or(PIECE_LEN).min(PIECE_LEN))?;
        if bytes.is_empty() {
            return Err(StoreError::NoBlob);
        }
        self.rest.start = self.rest.start.saturating_add(bytes.len() as u64);
        self.decoder.push(&bytes, piece);
        Ok(true)
    }
}
