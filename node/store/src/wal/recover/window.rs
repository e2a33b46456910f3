//! Reads a segment in pieces: of its records, only one is in memory.

use std::io;
use std::path::Path;

use crate::fs::{File, Fs};
use crate::wal::WalId;
use crate::wal::record::{self, ALIGN, Record};
use crate::wal::segment::{HEADER_LEN, Header};

/// The longest segment that is read, in bytes; a longer file was not written by this crate.
const SEGMENT_LEN_MAX: u64 = 1 << 30;
/// So many bytes are read at a time, or more for a longer record.
const PIECE_LEN: usize = 256 * 1024;
/// The unit in which the end of a segment is searched, in bytes.
const PAGE_LEN: usize = 4096;
const ZEROS: [u8; PAGE_LEN] = [0; PAGE_LEN];

/// A segment, and the piece of it that is in memory.
pub(super) struct Window {
    file: Box<dyn File>,
    len: u64,
    /// The offset of `bytes` in the file.
    start: u64,
    bytes: Vec<u8>,
}

impl Window {
    pub(super) fn open(fs: &dyn Fs, path: &Path) -> io::Result<Self> {
        let file = fs.open(path)?;
        let len = file.len()?;
        if len > SEGMENT_LEN_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Self { file, len, start: 0, bytes: Vec::new() })
    }

    /// The segment's header; `None` if it is damaged.
    pub(super) fn header(&mut self) -> io::Result<Option<Header>> {
        Ok(Header::decode(self.at(0, HEADER_LEN)?))
    }

    /// The record at `offset`; `None` if there is none, or it is damaged or truncated.
    pub(super) fn record(&mut self, wal: &WalId, offset: u64) -> io::Result<Option<Record<'_>>> {
        let Some(len) = record::len(self.at(offset, record::HEAD_LEN)?) else { return Ok(None) };
        if offset.saturating_add(len as u64) > self.len {
            return Ok(None);
        }
        Ok(record::decode(wal, self.at(offset, len)?))
    }

    /// The offset of the first valid record after `from`.
    pub(super) fn find_record(&mut self, wal: &WalId, from: u64) -> io::Result<Option<u64>> {
        let mut page = from;
        while page < self.len {
            for offset in self.candidates(page)? {
                if offset > from && self.record(wal, offset)?.is_some() {
                    return Ok(Some(offset));
                }
            }
            page = page.saturating_add(PAGE_LEN as u64);
        }
        Ok(None)
    }

    /// The offsets in a page that may be those of records.
    fn candidates(&mut self, page: u64) -> io::Result<Vec<u64>> {
        let bytes = self.at(page, PAGE_LEN)?;
        let bytes = bytes.get(..PAGE_LEN).unwrap_or(bytes);
        if Some(bytes) == ZEROS.get(..bytes.len()) {
            return Ok(Vec::new());
        }
        let begins = |at: &usize| bytes.get(*at..).is_some_and(record::may_begin);
        let offsets = (0..bytes.len()).step_by(ALIGN).filter(begins);
        Ok(offsets.map(|at| page.saturating_add(at as u64)).collect())
    }

    /// The bytes from `offset` on: at least `len`, or all up to the end of the file.
    fn at(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let skipped = offset.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let held = skipped.map_or(0, |at| self.bytes.len().saturating_sub(at));
        if held >= len.min(left) {
            return Ok(self.bytes.get(skipped.unwrap_or(0)..).unwrap_or_default());
        }
        // After a failed read no byte is valid.
        self.bytes.clear();
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.resize(len.max(PIECE_LEN).min(left), 0);
        self.file.read_exact_at(&mut bytes, offset)?;
        (self.start, self.bytes) = (offset, bytes);
        Ok(&self.bytes)
    }
}
