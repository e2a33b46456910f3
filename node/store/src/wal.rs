//! The append-only log: the truth from which everything else can be made again. A group is in it,
//! durably, or nowhere.
//!
//! `log/` holds segments of records (wal/segment.rs, wal/record.rs); a record's payload is one group (wal/group.rs).
//! A failed append or sync is never tried again and never read back, since the page cache shows
//! bytes the disk lacks: the segment is abandoned, and a new one whose durable header names the
//! last acknowledged record voids what lies beyond. It relies on the disk not harming sectors next
//! to those it writes, as every database log does.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::fs::{self, Fs};
use freehold_proto::random::Random;

pub(crate) mod group;
mod record;
pub(crate) mod recover;
pub(crate) mod segment;

use group::Change;
use recover::{End, Reader};
use segment::{HEADER_LEN, Header, Segment, Spare};

/// Names one log, for ever.
pub(crate) type LogId = [u8; 16];
/// A record's hash.
pub(crate) type Hash = [u8; 32];

/// A place in the log: the end of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The segment that holds the record (or begins right after it).
    pub(crate) generation: u64,
    /// Its last position.
    pub(crate) position: u64,
    pub(crate) hash: Hash,
}

/// How long segments are made, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLens {
    /// The first of a run, which is waited for.
    pub(crate) first: u64,
    /// Those after it.
    pub(crate) usual: u64,
}

/// How a group failed to become durable.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// For want of space.
    Full,
    /// The disk failed; whether the group is kept is unknown.
    Failed(io::Error),
    /// The log takes nothing more until the store is opened again.
    Stopped,
}

/// Where a spare segment waits, filled beside the committer.
pub(crate) type SpareShelf = Arc<Mutex<Option<Spare>>>;

/// The log's open end.
pub(crate) struct Log {
    reader: Reader,
    random: Random,
    id: LogId,
    segment_len: u64,
    /// `None` after a failure, until a new one is begun.
    segment: Option<Segment>,
    offset: u64,
    generation: u64,
    end: Mark,
    stopped: bool,
    spare: SpareShelf,
    bytes: Vec<u8>,
    last_sync: Duration,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("end", &self.end)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Begins a new segment behind `end`, with the doubtful group in it: that becomes durable by
    /// this, in the new place, at once.
    pub(crate) fn begin(
        reader: Reader,
        random: Random,
        id: LogId,
        end: &End,
        lens: SegmentLens,
    ) -> io::Result<Self> {
        let mut log = Self {
            id,
            reader,
            random,
            segment_len: lens.usual,
            segment: None,
            offset: 0,
            generation: end.generation,
            end: end.mark.clone(),
            stopped: false,
            spare: SpareShelf::default(),
            bytes: Vec::new(),
            last_sync: Duration::ZERO,
        };
        let mut after = log.end.clone();
        if let Some(group) = &end.doubtful {
            after = log.encode(log.generation + 1, &group.changes)?;
        }
        let records = std::mem::take(&mut log.bytes);
        log.next_segment(&records, lens.first)?;
        log.end = Mark { generation: log.generation, ..after };
        Ok(log)
    }

    /// The last acknowledged place.
    pub(crate) fn end(&self) -> &Mark {
        &self.end
    }

    /// How long the last sync took.
    pub(crate) fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// Where spares are put.
    pub(crate) fn spare(&self) -> SpareShelf {
        self.spare.clone()
    }

    /// Makes a group durable; its changes get the positions after [`Log::end`].
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<(), AppendError> {
        if self.stopped {
            return Err(AppendError::Stopped);
        }
        let failed =
            |e: io::Error| if fs::is_full(&e) { AppendError::Full } else { AppendError::Failed(e) };
        self.bytes.clear();
        let mut after = self.encode(self.generation, changes).map_err(failed)?;
        let room =
            self.segment.as_ref().map_or(0, |segment| segment.len.saturating_sub(self.offset));
        if (self.bytes.len() as u64) > room {
            // Nothing of this group is anywhere yet, so this failure is one whose outcome is known.
            let len = self.segment_len.max((HEADER_LEN + self.bytes.len()) as u64);
            self.next_segment(&[], len).map_err(failed)?;
            // A record names its segment.
            self.bytes.clear();
            after = self.encode(self.generation, changes).map_err(failed)?;
        }
        let started = Instant::now();
        let written = match &self.segment {
            Some(segment) => segment
                .file
                .write_all_at(&self.bytes, self.offset)
                .and_then(|()| segment.file.sync_data()),
            None => Err(io::Error::other("no segment")),
        };
        self.last_sync = started.elapsed();
        match written {
            Ok(()) => {
                self.offset += self.bytes.len() as u64;
                self.end = after;
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, position = self.end.position, "appending to the log failed; its segment is abandoned");
                self.segment = None;
                // What may lie in the abandoned segment is voided at once where possible, else
                // before the next group.
                let _ = self.next_segment(&[], self.segment_len);
                Err(failed(error))
            }
        }
    }

    /// Takes the open segment for full: the next group begins a new one.
    pub(crate) fn fill_segment(&mut self) {
        if let Some(segment) = &self.segment {
            self.offset = segment.len;
        }
    }

    /// Cuts what the open segment does not use; nothing can be appended after.
    pub(crate) fn close(&mut self) {
        self.stopped = true;
        if let Some(segment) = self.segment.take() {
            // Only zeros go; not cutting them costs nothing but room.
            let _ = segment.file.set_len(self.offset);
        }
    }

    /// Seals and encodes a record for `generation` into `bytes`, and says where the log would end
    /// with it.
    fn encode(&mut self, generation: u64, changes: &[Change]) -> io::Result<Mark> {
        let first = self.end.position + 1;
        let count = u32::try_from(changes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let place = record::place(&self.id, generation, first, count);
        let sealed = self
            .reader
            .seal
            .seal(&self.random, &place, &group::encode(changes))
            .map_err(io::Error::other)?;
        let hash = record::encode(
            &self.id,
            generation,
            first,
            count,
            &self.end.hash,
            &sealed,
            &mut self.bytes,
        );
        Ok(Mark { generation, position: first - 1 + u64::from(count), hash })
    }

    /// Goes over to a new segment of about `len` bytes that holds `records`. After a failure there
    /// is none: the old one must not be appended to, for the new one may be there after all and
    /// void it. A full disk may be tried again, other failures stop the log.
    fn next_segment(&mut self, records: &[u8], len: u64) -> io::Result<()> {
        self.segment = None;
        self.generation += 1;
        let used = (HEADER_LEN + records.len()) as u64;
        let header = Header {
            log: self.id,
            generation: self.generation,
            position: self.end.position,
            hash: self.end.hash,
        };
        let (fs, folder) = (&*self.reader.fs, &self.reader.folder);
        // Held until the spare has its new name: nobody may fill another under the old one
        // meanwhile.
        let mut shelf = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let spare =
            match shelf.take().filter(|spare| spare.len() >= used.max(len.min(self.segment_len))) {
                Some(spare) => Ok(spare),
                None => segment::prepare(fs, folder, len.max(used)),
            };
        let begun = spare.and_then(|spare| spare.begin(fs, folder, &header, records));
        drop(shelf);
        match begun {
            Ok(segment) => {
                self.offset = used;
                self.end.generation = segment.name.generation;
                self.segment = Some(segment);
                Ok(())
            }
            Err(error) => {
                self.stopped = !fs::is_full(&error);
                tracing::error!(%error, stopped = self.stopped, "a new log segment could not be begun");
                Err(error)
            }
        }
    }
}

/// Removes the segments that hold nothing after `position`. The newest always stays.
pub(crate) fn forget(fs: &dyn Fs, folder: &std::path::Path, position: u64) -> io::Result<()> {
    let names = segment::list(fs, folder)?;
    for pair in names.windows(2) {
        // What a segment holds ends where the next begins.
        let [old, next] = pair else { continue };
        if next.first > position + 1 {
            break;
        }
        fs.remove(&old.path(folder))?;
    }
    fs.sync_folder(folder)
}

/// The folder of the log within a data folder.
pub(crate) fn folder(data: &std::path::Path) -> PathBuf {
    data.join("log")
}
