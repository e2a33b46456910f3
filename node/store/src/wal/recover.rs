//! Reads the log: which records are valid, where the log ends, and if its end is torn or damaged.
//!
//! A record that does not verify is a torn end if no record after it verifies and no later segment
//! continues after it. Anything else is damage and an error. The last valid record may exist in the
//! page cache only, because its sync may have failed in a process that ended. It is returned
//! separately, and the caller writes it again instead of trusting it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::group::{self, Change};
use super::record::{self, Record};
use super::segment::{self, HEADER_LEN, Header, SegmentName};
use super::{Mark, WalId};
use crate::fs::Fs;
use crate::seal::Seal;
use crate::types::StoreError;

mod window;

use window::Window;

/// An error of reading the write-ahead log.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// The header of a segment does not verify, or a record that valid records follow.
    #[error("the write-ahead log is damaged: {segment} at byte {offset}")]
    Damaged {
        /// The segment's file.
        segment: PathBuf,
        /// The offset in the file, in bytes.
        offset: u64,
    },
    /// A part of the log is missing.
    #[error("the write-ahead log is damaged: the records after position {position} are missing")]
    Missing {
        /// The last position before the gap.
        position: u64,
    },
    /// A record was sealed under another key.
    #[error("the write-ahead log does not open under this store's key ({segment})")]
    Sealed {
        /// The segment's file.
        segment: PathBuf,
    },
    /// The file system failed.
    #[error("the write-ahead log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The consumer of the groups failed.
    #[error("the write-ahead log cannot be applied: {0}")]
    Consumer(#[from] StoreError),
}

impl From<WalError> for StoreError {
    fn from(error: WalError) -> Self {
        match error {
            WalError::Consumer(error) => error,
            other => Self::Unavailable(other.to_string()),
        }
    }
}

/// A group read from the log.
#[derive(Debug)]
pub(crate) struct Group {
    /// The position of its first change.
    pub(crate) first: u64,
    pub(crate) changes: Vec<Change>,
}

impl Group {
    /// The position of its last change.
    pub(crate) fn last(&self) -> u64 {
        (self.first + self.changes.len() as u64).saturating_sub(1)
    }
}

/// The end of the log.
#[derive(Debug)]
pub(crate) struct End {
    /// `None` if no segment was read.
    pub(crate) wal: Option<WalId>,
    /// The last record before `unconfirmed`.
    pub(crate) mark: Mark,
    /// The last record, which must be written again.
    pub(crate) unconfirmed: Option<Group>,
    /// The highest generation of a segment.
    pub(crate) generation: u64,
}

/// Reads a log: its folder and its seal.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) folder: PathBuf,
    pub(crate) seal: Seal,
}

/// A walk through the records. Each record is held back until a later record or segment confirms
/// it.
struct Walk<'a> {
    reader: &'a Reader,
    after: u64,
    until: u64,
    wal: Option<WalId>,
    /// The end of the last record before `held`.
    before: Mark,
    /// The end of the last valid record.
    at: Mark,
    held: Option<Group>,
    consume: Consumer<'a>,
}

/// Receives the groups in order.
pub(crate) type Consumer<'a> = &'a mut dyn FnMut(Group) -> Result<(), WalError>;

impl Reader {
    /// Passes every group after `from` (a record known to be valid) to `consume`, in order, except
    /// the last one, and returns the end of the log. Without `from` the log must exist from its
    /// first record.
    pub(crate) fn read(&self, from: Option<&Mark>, consume: Consumer<'_>) -> Result<End, WalError> {
        self.walk(from, u64::MAX, consume)
    }

    /// Passes every group after `from` up to `until` (an acknowledged position) to `consume`.
    /// Records that the committer appends in the meantime are not read.
    pub(crate) fn read_until(
        &self,
        from: Option<&Mark>,
        until: u64,
        consume: Consumer<'_>,
    ) -> Result<(), WalError> {
        let end = self.walk(from, until, consume)?;
        if let Some(group) = end.unconfirmed {
            consume(group)?;
        }
        Ok(())
    }

    /// Makes the records of the newest segment durable, where its file system can be read only.
    /// Fails if one may not be durable.
    pub(crate) fn sync_newest(&self) -> io::Result<()> {
        match segment::list(&*self.fs, &self.folder)?.pop() {
            Some(newest) => self.fs.open(&newest.path(&self.folder))?.sync_data(),
            None => Ok(()),
        }
    }

    /// The position of the last record in the newest segment, without unsealing it. Used as the
    /// total of the progress of a start.
    pub(crate) fn last_position(&self) -> Result<u64, WalError> {
        let Some(newest) = segment::list(&*self.fs, &self.folder)?.pop() else { return Ok(0) };
        let mut segment = Window::open(&*self.fs, &newest.path(&self.folder))?;
        // A damaged segment is reported by `read`.
        let Some(header) = segment.header()? else { return Ok(0) };
        let (mut offset, mut position) = (HEADER_LEN as u64, header.position);
        while let Some(record) = segment.record(&header.wal, offset)? {
            position = position
                .max(record.first.saturating_add(u64::from(record.count)).saturating_sub(1));
            offset += record.len as u64;
        }
        Ok(position)
    }

    /// Every group in any segment, needed or not.
    #[cfg(any(test, feature = "testing"))]
    #[allow(clippy::unwrap_used, reason = "a log that cannot be read fails its test")]
    pub(crate) fn read_all(&self) -> Vec<Group> {
        let first = segment::list(&*self.fs, &self.folder).unwrap().remove(0);
        let mut segment = Window::open(&*self.fs, &first.path(&self.folder)).unwrap();
        let Header { generation, position, hash, .. } = segment.header().unwrap().unwrap();
        let from = Mark { generation, position, hash };
        let mut groups = Vec::new();
        let mut consume = |group| {
            groups.push(group);
            Ok(())
        };
        let end = self.read((position > 0).then_some(&from), &mut consume).unwrap();
        groups.extend(end.unconfirmed);
        groups
    }

    fn walk(
        &self,
        from: Option<&Mark>,
        until: u64,
        consume: Consumer<'_>,
    ) -> Result<End, WalError> {
        let names = segment::list(&*self.fs, &self.folder)?;
        let generation = names.last().map_or(0, |name| name.generation);
        let origin = from.cloned().unwrap_or_default();
        let (after, before, at) = (origin.position, origin.clone(), origin.clone());
        let mut walk =
            Walk { reader: self, after, until, wal: None, before, at, held: None, consume };
        for name in names.iter().filter(|name| name.generation >= origin.generation) {
            walk.segment(name, from)?;
        }
        if walk.at.position < origin.position || (from.is_some() && walk.wal.is_none()) {
            return Err(WalError::Missing { position: walk.at.position });
        }
        let mark = if walk.held.is_some() { walk.before } else { walk.at };
        Ok(End { wal: walk.wal, mark, unconfirmed: walk.held, generation })
    }
}

impl Walk<'_> {
    fn segment(&mut self, name: &SegmentName, from: Option<&Mark>) -> Result<(), WalError> {
        let path = name.path(&self.reader.folder);
        let mut segment = Window::open(&*self.reader.fs, &path)?;
        let header = segment.header()?.filter(|header| header.generation == name.generation);
        let Some(header) = header else {
            return Err(WalError::Damaged { segment: path, offset: 0 });
        };
        if self.wal.is_some_and(|wal| wal != header.wal) {
            return Err(WalError::Damaged { segment: path, offset: 0 });
        }
        match (self.wal, from) {
            // The first segment read holds the record `from`, or begins right after it if older
            // segments were removed.
            (None, Some(from))
                if header.generation == from.generation && header.position <= from.position =>
            {
                if header.position == from.position && header.hash != from.hash {
                    return Err(WalError::Damaged { segment: path, offset: 0 });
                }
                self.at = Mark {
                    generation: header.generation,
                    position: header.position,
                    hash: header.hash,
                };
                self.before = self.at.clone();
            }
            _ => {
                if !self.continue_into(&header)? {
                    return Ok(());
                }
            }
        }
        self.wal = Some(header.wal);
        self.at.generation = header.generation;
        self.records(&mut segment, &header, &path, from)
    }

    /// Continues in the next segment, either after the last record or after the one before it; then
    /// the last record was never acknowledged and is void. False if the segment begins after
    /// `until`.
    fn continue_into(&mut self, header: &Header) -> Result<bool, WalError> {
        let continues = |mark: &Mark| header.position == mark.position && header.hash == mark.hash;
        if continues(&self.at) {
            return Ok(true);
        }
        if self.held.is_some() && continues(&self.before) {
            self.held = None;
            self.at = self.before.clone();
            return Ok(true);
        }
        if self.at.position >= self.until && header.position > self.at.position {
            return Ok(false);
        }
        Err(WalError::Missing { position: self.at.position.min(header.position) })
    }

    fn records(
        &mut self,
        segment: &mut Window,
        header: &Header,
        path: &Path,
        from: Option<&Mark>,
    ) -> Result<(), WalError> {
        let mut offset = HEADER_LEN as u64;
        let damaged = |offset: u64| WalError::Damaged { segment: path.to_owned(), offset };
        while self.at.position < self.until {
            let Some(record) = segment.record(&header.wal, offset)? else { break };
            let is_next = record.generation == header.generation
                && record.first == self.at.position + 1
                && record.previous == self.at.hash
                && record.count > 0;
            if !is_next {
                return Err(damaged(offset));
            }
            self.deliver_held()?;
            self.before = self.at.clone();
            let last = record.first - 1 + u64::from(record.count);
            self.at = Mark { generation: header.generation, position: last, hash: record.hash };
            if last > self.after {
                self.held = Some(self.open(&record, header, path)?);
            } else if from.is_some_and(|from| from.position == last && from.hash != record.hash) {
                return Err(damaged(offset));
            }
            offset += record.len as u64;
        }
        if self.at.position >= self.until {
            return Ok(());
        }
        match segment.find_record(&header.wal, offset)? {
            Some(at) => Err(damaged(at)),
            None => Ok(()),
        }
    }

    fn deliver_held(&mut self) -> Result<(), WalError> {
        match self.held.take() {
            Some(group) => (self.consume)(group),
            None => Ok(()),
        }
    }

    fn open(&self, record: &Record<'_>, header: &Header, path: &Path) -> Result<Group, WalError> {
        let aad =
            record::associated_data(&header.wal, record.generation, record.first, record.count);
        let sealed = || WalError::Sealed { segment: path.to_owned() };
        let payload = self.reader.seal.open(&aad, record.sealed).ok_or_else(sealed)?;
        let changes = group::decode(&payload, record.count).ok_or_else(sealed)?;
        Ok(Group { first: record.first, changes })
    }
}
