//! Reads the log back: which records stand, where it ends, and whether the end is merely torn or
//! something is damaged.
//!
//! A bad record is the torn end if nothing behind it verifies and no later segment goes on from
//! beyond it; anything else is damage, said loudly. The last record that stands may be bytes that
//! only the page cache holds (its sync may have failed in a process that is gone), so it is handed
//! back apart: the caller writes it again rather than trusting what it read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::group::{self, Change};
use super::record::{self, ALIGN, Record};
use super::segment::{self, HEADER_LEN, Header, Name};
use super::{LogId, Mark};
use crate::fs::{self, Fs};
use crate::seal::Seal;

/// A segment longer than this is none of ours.
const SEGMENT_LEN_MAX: usize = 1 << 30;

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// Bytes that should verify don't, and good ones follow.
    #[error("the log is damaged: {segment} at byte {offset}")]
    Damaged {
        /// The segment's file.
        segment: PathBuf,
        /// Where in it.
        offset: u64,
    },
    /// A part that should be there isn't.
    #[error("the log is damaged: what follows position {position} is missing")]
    Missing {
        /// The last position before the gap.
        position: u64,
    },
    /// It was sealed under another key.
    #[error("the log does not open under this store's key ({segment})")]
    Sealed {
        /// The segment's file.
        segment: PathBuf,
    },
    /// The file system failed.
    #[error("reading the log: {0}")]
    Io(#[from] io::Error),
    /// Whoever takes the groups failed.
    #[error("applying the log: {0}")]
    Taker(#[from] crate::types::StoreError),
}

/// A group read back.
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

/// Where the log ends.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) log: Option<LogId>,
    /// The end, the last record left out if `doubtful`.
    pub(crate) mark: Mark,
    /// The last record, which is to be written again.
    pub(crate) doubtful: Option<Group>,
    /// The highest generation there is.
    pub(crate) generation: u64,
}

/// The log's folder and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) fs: Arc<dyn Fs>,
    pub(crate) folder: PathBuf,
    pub(crate) seal: Seal,
}

/// The walk through the records: the last one is held back until what follows confirms it.
struct Walk<'a> {
    reader: &'a Reader,
    after: u64,
    until: u64,
    log: Option<LogId>,
    /// The end of what was handed on.
    before: Mark,
    /// The end of what verified.
    at: Mark,
    held: Option<Group>,
    take: Take<'a>,
}

/// Whoever takes the groups.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Group) -> Result<(), WalError>;

impl Reader {
    /// Hands every group after `from` (a place that is known to stand) to `take`, in order, except
    /// the last, and says where the log ends. Without `from` the log must be there from its
    /// beginning.
    pub(crate) fn read(&self, from: Option<&Mark>, take: Take<'_>) -> Result<End, WalError> {
        self.walk(from, u64::MAX, take)
    }

    /// Hands every group after `from` up to `until`, which is known to be acknowledged, to `take`;
    /// what the committer appends meanwhile is not looked at.
    pub(crate) fn read_until(
        &self,
        from: Option<&Mark>,
        until: u64,
        take: Take<'_>,
    ) -> Result<(), WalError> {
        let end = self.walk(from, until, take)?;
        if let Some(group) = end.doubtful {
            take(group)?;
        }
        Ok(())
    }

    /// The position of the last record in the newest segment, without a look at what it says: how
    /// far there is to read.
    pub(crate) fn last_position(&self) -> Result<u64, WalError> {
        let Some(newest) = segment::list(&*self.fs, &self.folder)?.pop() else { return Ok(0) };
        let bytes = fs::read(&*self.fs, &newest.path(&self.folder), SEGMENT_LEN_MAX)?;
        // One that is damaged is the reader's to complain of.
        let Some(header) = Header::decode(&bytes) else { return Ok(0) };
        let (mut offset, mut position) = (HEADER_LEN, header.position);
        while let Some(record) =
            bytes.get(offset..).and_then(|rest| record::decode(&header.log, rest))
        {
            position = position
                .max(record.first.saturating_add(u64::from(record.count)).saturating_sub(1));
            offset += record.len;
        }
        Ok(position)
    }

    /// Every group that any segment still holds, whether it is needed or not.
    #[cfg(any(test, feature = "testing"))]
    #[allow(clippy::unwrap_used, reason = "a log that cannot be read fails its test")]
    pub(crate) fn read_all(&self) -> Vec<Group> {
        let first = segment::list(&*self.fs, &self.folder).unwrap().remove(0);
        let bytes = fs::read(&*self.fs, &first.path(&self.folder), SEGMENT_LEN_MAX).unwrap();
        let Header { generation, position, hash, .. } = Header::decode(&bytes).unwrap();
        let from = Mark { generation, position, hash };
        let mut groups = Vec::new();
        let mut take = |group| {
            groups.push(group);
            Ok(())
        };
        let end = self.read((position > 0).then_some(&from), &mut take).unwrap();
        groups.extend(end.doubtful);
        groups
    }

    fn walk(&self, from: Option<&Mark>, until: u64, take: Take<'_>) -> Result<End, WalError> {
        let names = segment::list(&*self.fs, &self.folder)?;
        let generation = names.last().map_or(0, |name| name.generation);
        let origin = from.cloned().unwrap_or_default();
        let (after, before, at) = (origin.position, origin.clone(), origin.clone());
        let mut walk = Walk { reader: self, after, until, log: None, before, at, held: None, take };
        for name in names.iter().filter(|name| name.generation >= origin.generation) {
            walk.segment(name, from)?;
        }
        if walk.at.position < origin.position || (from.is_some() && walk.log.is_none()) {
            return Err(WalError::Missing { position: walk.at.position });
        }
        let mark = if walk.held.is_some() { walk.before } else { walk.at };
        Ok(End { log: walk.log, mark, doubtful: walk.held, generation })
    }
}

impl Walk<'_> {
    fn segment(&mut self, name: &Name, from: Option<&Mark>) -> Result<(), WalError> {
        let path = name.path(&self.reader.folder);
        let bytes = fs::read(&*self.reader.fs, &path, SEGMENT_LEN_MAX)?;
        let header = Header::decode(&bytes).filter(|header| header.generation == name.generation);
        let Some(header) = header else {
            return Err(WalError::Damaged { segment: path, offset: 0 });
        };
        if self.log.is_some_and(|log| log != header.log) {
            return Err(WalError::Damaged { segment: path, offset: 0 });
        }
        match (self.log, from) {
            // The first segment read holds the known place, or begins right after it if what came
            // before has been removed.
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
                if !self.join(&header)? {
                    return Ok(());
                }
            }
        }
        self.log = Some(header.log);
        self.at.generation = header.generation;
        self.records(&bytes, &header, &path, from)
    }

    /// Goes on into the next segment: from the end, or voiding the one record that was never
    /// acknowledged. False if the segment lies beyond what is asked for.
    fn join(&mut self, header: &Header) -> Result<bool, WalError> {
        let joins = |mark: &Mark| header.position == mark.position && header.hash == mark.hash;
        if joins(&self.at) {
            return Ok(true);
        }
        if self.held.is_some() && joins(&self.before) {
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
        bytes: &[u8],
        header: &Header,
        path: &Path,
        from: Option<&Mark>,
    ) -> Result<(), WalError> {
        let mut offset = HEADER_LEN;
        let damaged =
            |offset: usize| WalError::Damaged { segment: path.to_owned(), offset: offset as u64 };
        while self.at.position < self.until {
            let Some(record) =
                bytes.get(offset..).and_then(|rest| record::decode(&header.log, rest))
            else {
                break;
            };
            let follows = record.generation == header.generation
                && record.first == self.at.position + 1
                && record.before == self.at.hash
                && record.count > 0;
            if !follows {
                return Err(damaged(offset));
            }
            self.release()?;
            self.before = self.at.clone();
            let last = record.first - 1 + u64::from(record.count);
            self.at = Mark { generation: header.generation, position: last, hash: record.hash };
            if last > self.after {
                self.held = Some(self.open(&record, header, path)?);
            } else if from.is_some_and(|from| from.position == last && from.hash != record.hash) {
                return Err(damaged(offset));
            }
            offset += record.len;
        }
        if self.at.position >= self.until {
            return Ok(());
        }
        let rest = bytes.get(offset..).unwrap_or_default();
        match good_behind(&header.log, rest) {
            Some(at) => Err(damaged(offset + at)),
            None => Ok(()),
        }
    }

    fn release(&mut self) -> Result<(), WalError> {
        match self.held.take() {
            Some(group) => (self.take)(group),
            None => Ok(()),
        }
    }

    fn open(&self, record: &Record<'_>, header: &Header, path: &Path) -> Result<Group, WalError> {
        let place = record::place(&header.log, record.generation, record.first, record.count);
        let sealed = || WalError::Sealed { segment: path.to_owned() };
        let payload = self.reader.seal.open(&place, record.sealed).ok_or_else(sealed)?;
        let changes = group::decode(&payload, record.count).ok_or_else(sealed)?;
        Ok(Group { first: record.first, changes })
    }
}

/// Where a good record begins in `rest`, which itself does not begin with one.
fn good_behind(log: &LogId, rest: &[u8]) -> Option<usize> {
    let begins = |at: &usize| {
        *at > 0 && rest.get(*at..).is_some_and(|bytes| record::decode(log, bytes).is_some())
    };
    let pages = rest
        .chunks(ZEROS.len())
        .enumerate()
        .filter(|(_, page)| Some(*page) != ZEROS.get(..page.len()));
    pages
        .flat_map(|(n, page)| (n * ZEROS.len()..n * ZEROS.len() + page.len()).step_by(ALIGN))
        .find(begins)
}

const ZEROS: [u8; 4096] = [0; 4096];
