//! The write-ahead log: rows and blobs can be rebuilt from it and a snapshot.
//!
//! `log/` holds segments of records (wal/segment.rs, wal/record.rs). A record's payload is one
//! group of changes (wal/group.rs). A failed append is never retried and never read back: the page
//! cache shows bytes the disk lacks. The segment is abandoned and a new one begun. The new
//! segment's durable header names the last acknowledged record; records after that one in older
//! segments are void. The log assumes that a write does not damage the neighbouring sectors, as
//! every database log does.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::backoff::Backoff;
use crate::fs::{self, Fs};
use freehold_proto::random::Random;

pub(crate) mod group;
mod record;
pub(crate) mod recover;
pub(crate) mod segment;

use group::Change;
use recover::{End, Reader};
use segment::{HEADER_LEN, Header, Segment, Spare};

/// The id of one write-ahead log; never changes.
pub(crate) type WalId = [u8; 16];
/// The hash of a record.
pub(crate) type Hash = [u8; 32];

/// A position in the log: the end of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The generation of the segment that holds the record, or begins right after it.
    pub(crate) generation: u64,
    /// The position of the record's last change.
    pub(crate) position: u64,
    /// The hash of the record.
    pub(crate) hash: Hash,
}

/// The lengths of segments, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLens {
    /// The first segment of a run. The start waits until it is filled.
    pub(crate) first: u64,
    /// The later segments.
    pub(crate) usual: u64,
}

/// An error of an append.
#[derive(Debug)]
pub(crate) enum AppendError {
    /// The disk is full.
    Full,
    /// The disk failed; it is unknown if the group is durable.
    Failed(io::Error),
    /// No segment is open, because beginning one failed with this error. The next attempt is not
    /// due yet.
    Stopped(String),
}

/// The length of a segment on a full disk, in bytes.
const SHORT_LEN: u64 = 1024 * 1024;

/// The slot for one spare segment, filled in the background.
pub(crate) type SpareSlot = Arc<Mutex<Option<Spare>>>;

/// The open end of the write-ahead log.
pub(crate) struct Wal {
    reader: Reader,
    random: Random,
    id: WalId,
    segment_len: u64,
    /// `None` after a failure, until the next segment is begun.
    segment: Option<Segment>,
    offset: u64,
    generation: u64,
    end: Mark,
    /// The error of the last attempt to begin a segment, if it failed.
    failure: Option<String>,
    /// When the next attempt may be made.
    backoff: Backoff,
    spare: SpareSlot,
    bytes: Vec<u8>,
    last_sync: Duration,
}

impl fmt::Debug for Wal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wal")
            .field("end", &self.end)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

impl Wal {
    /// Begins a new segment after `end` and writes the unconfirmed group into it, so that the group
    /// is durable.
    pub(crate) fn begin(
        reader: Reader,
        random: Random,
        id: WalId,
        end: &End,
        lens: SegmentLens,
    ) -> io::Result<Self> {
        let mut wal = Self {
            id,
            reader,
            random,
            segment_len: lens.usual,
            segment: None,
            offset: 0,
            generation: end.generation,
            end: end.mark.clone(),
            failure: None,
            backoff: Backoff::default(),
            spare: SpareSlot::default(),
            bytes: Vec::new(),
            last_sync: Duration::ZERO,
        };
        let mut after = wal.end.clone();
        if let Some(group) = &end.unconfirmed {
            after = wal.encode(wal.generation + 1, &group.changes)?;
        }
        let records = std::mem::take(&mut wal.bytes);
        wal.next_segment(&records, records.len(), lens.first)?;
        wal.end = Mark { generation: wal.generation, ..after };
        Ok(wal)
    }

    /// The last acknowledged record.
    pub(crate) fn end(&self) -> &Mark {
        &self.end
    }

    /// The duration of the last sync.
    pub(crate) fn last_sync(&self) -> Duration {
        self.last_sync
    }

    /// The slot from which the next spare segment is taken.
    pub(crate) fn spare(&self) -> SpareSlot {
        self.spare.clone()
    }

    /// Makes a group durable; its changes get the positions after [`Wal::end`].
    pub(crate) fn append(&mut self, changes: &[Change]) -> Result<(), AppendError> {
        if let Some(failure) = self.failure.clone().filter(|_| !self.is_attempt_due()) {
            return Err(AppendError::Stopped(failure));
        }
        let failed =
            |e: io::Error| if fs::is_full(&e) { AppendError::Full } else { AppendError::Failed(e) };
        self.bytes.clear();
        let mut after = self.encode(self.generation, changes).map_err(failed)?;
        let free =
            self.segment.as_ref().map_or(0, |segment| segment.len.saturating_sub(self.offset));
        if (self.bytes.len() as u64) > free {
            // No byte of this group is written yet, so a failure here has a known outcome.
            self.next_segment(&[], self.bytes.len(), self.segment_len).map_err(failed)?;
            // A record contains the generation of its segment.
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
                tracing::error!(
                    %error,
                    position = self.end.position,
                    "appending to the write-ahead log failed; its segment is abandoned"
                );
                self.segment = None;
                // The new segment voids a record that the abandoned one may hold. If it cannot be
                // begun now, it is begun before the next group.
                let _ = self.next_segment(&[], 0, self.segment_len);
                Err(failed(error))
            }
        }
    }

    /// True when the open segment is half full, so that the next one is to be prepared.
    pub(crate) fn needs_spare(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| self.offset > segment.len / 2)
    }

    /// Ends the open segment: the next group begins a new one.
    pub(crate) fn rotate(&mut self) {
        if let Some(segment) = &self.segment {
            self.offset = segment.len;
        }
    }

    /// The error that stopped the log, if no segment could be begun.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The time until the next attempt of a stopped log; `None` if it may be made at any time.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        self.failure.as_ref().and_then(|_| self.backoff.remaining(Instant::now()))
    }

    /// Begins a segment if the log is stopped and the next attempt is due.
    pub(crate) fn resume(&mut self) {
        if self.failure.is_some() && self.is_attempt_due() {
            // A failure is recorded, and the next attempt is made later.
            let _ = self.next_segment(&[], 0, self.segment_len);
        }
    }

    fn is_attempt_due(&self) -> bool {
        self.backoff.is_due(Instant::now())
    }

    /// Truncates the unused part of the open segment, and removes the spare one. No group may be
    /// appended later.
    pub(crate) fn close(&mut self) {
        if self.spare.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            // If it stays, only disk space is lost, until the next start.
            let _ = segment::remove_spare(&*self.reader.fs, &self.reader.folder);
        }
        if let Some(segment) = self.segment.take() {
            // The unused part is zeros: if it stays, only disk space is lost.
            let _ = segment.file.set_len(self.offset);
        }
    }

    /// Seals a record for `generation`, encodes it into `self.bytes`, and returns the end of the
    /// log after it.
    fn encode(&mut self, generation: u64, changes: &[Change]) -> io::Result<Mark> {
        let first = self.end.position + 1;
        let count = u32::try_from(changes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let aad = record::associated_data(&self.id, generation, first, count);
        let sealed = self
            .reader
            .seal
            .seal(&self.random, &aad, &group::encode(changes))
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

    /// Begins a new segment with `records` in it, of about `len` bytes and with space for
    /// `records_len` bytes of records. After a failure no segment
    /// is open. The old one must not be appended to: the new one may exist nevertheless, and would
    /// void the appended records. If the disk was full, the next append tries again, with a short
    /// segment; after any other failure attempts are made with pauses. Attempts may be
    /// repeated: each makes a new file of a higher generation, and nothing acknowledged is in the
    /// files before.
    fn next_segment(&mut self, records: &[u8], records_len: usize, len: u64) -> io::Result<()> {
        self.segment = None;
        self.generation += 1;
        let len_min = (HEADER_LEN + records_len.max(records.len())) as u64;
        let len = len.max(len_min);
        let short = len_min.max(SHORT_LEN.min(len));
        let header = Header {
            wal: self.id,
            generation: self.generation,
            position: self.end.position,
            hash: self.end.hash,
        };
        let (fs, folder) = (&*self.reader.fs, &self.reader.folder);
        // Locked until the spare is renamed, so that the next spare is not created under the old
        // name before.
        let mut slot = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let spare =
            match slot.take().filter(|spare| spare.len() >= len_min.max(len.min(self.segment_len)))
            {
                Some(spare) => Ok(spare),
                None => segment::create_spare(fs, folder, len).or_else(|error| match error {
                    error if fs::is_full(&error) && len > short => {
                        segment::create_spare(fs, folder, short)
                    }
                    error => Err(error),
                }),
            };
        let begun = spare.and_then(|spare| spare.begin(fs, folder, &header, records));
        drop(slot);
        match begun {
            Ok(segment) => {
                if self.failure.take().is_some() {
                    tracing::info!("the write-ahead log accepts changes again");
                }
                self.backoff.reset();
                self.offset = (HEADER_LEN + records.len()) as u64;
                self.end.generation = segment.name.generation;
                self.segment = Some(segment);
                Ok(())
            }
            Err(error) => {
                if self.failure.replace(error.to_string()).is_none() {
                    tracing::error!(%error, "a new log segment could not be begun");
                }
                if fs::is_full(&error) {
                    // A change that frees space may find enough of it at any time.
                    self.backoff.reset();
                } else {
                    self.backoff.failed(Instant::now());
                }
                Err(error)
            }
        }
    }
}

/// Removes the segments that hold no position after `position`. The newest segment always stays.
pub(crate) fn remove_segments_before(
    fs: &dyn Fs,
    folder: &std::path::Path,
    position: u64,
) -> io::Result<()> {
    let names = segment::list(fs, folder)?;
    for pair in names.windows(2) {
        // A segment ends where the next one begins.
        let [old, next] = pair else { continue };
        if next.first > position + 1 {
            break;
        }
        fs.remove(&old.path(folder))?;
    }
    fs.sync_folder(folder)
}

/// The folder of the log in a data folder.
pub(crate) fn folder(data: &std::path::Path) -> PathBuf {
    data.join("log")
}
