//! Everything up to one position, in one sorted file that no engine had a hand in: the snapshot
//! before, merged with the log since.
//!
//! `snapshots/<position>.snap`: magic (8), log id (16), file id (16), generation (8), position (8), hash (32), BLAKE3 of these (32);
//! then chunks: last? (1), length (4), sealed rows, bound to the file id and their number. A row:
//! table (1 + n), key (2 + n), sealed value (4 + n). The last chunk holds the number of rows (8)
//! and their root: BLAKE3 over all of them. Integers little-endian. A new one has its name only
//! once it is durable and was read back. Two are kept, and the log since the older.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::{Stop, StoreError};
use crate::fs::{self, File, Fs};
use crate::seal::Seal;
use crate::space::FreeSpace;
use crate::wal::recover::{Group, Reader, WalError};
use crate::wal::{LogId, Mark};
use freehold_proto::random::Random;

const MAGIC: [u8; 8] = *b"FHsnap\0\x01";
const HEAD_LEN: usize = 8 + 16 + 16 + 8 + 8 + 32 + 32;
/// Rows are sealed together until they are so long, in bytes.
const CHUNK_LEN: usize = 64 * 1024;
/// A chunk longer than this is damaged.
const CHUNK_LEN_MAX: usize = 1024 * 1024;
/// The log's rows are merged in so many bytes at a time: what a snapshot needs of memory.
const BATCH_LEN: usize = 16 * 1024 * 1024;
const PLACE_LABEL: &[u8] = b"freehold snapshot 1";

/// A row in order of table name, then key.
pub(super) type SnapshotRow = ((String, Vec<u8>), Vec<u8>);
/// Whether to go on reading: an error ends it.
pub(super) type GoOn<'a> = &'a dyn Fn() -> Result<(), StoreError>;
type Batch = BTreeMap<(String, Vec<u8>), Option<Vec<u8>>>;

fn folder(data: &Path) -> PathBuf {
    data.join("snapshots")
}

/// The file of the snapshot of `position`.
pub(super) fn path(data: &Path, position: u64) -> PathBuf {
    folder(data).join(format!("{position:016x}.snap"))
}

/// The positions of the snapshots there are, oldest first.
pub(super) fn list(fs: &dyn Fs, data: &Path) -> io::Result<Vec<u64>> {
    let folder = folder(data);
    if !fs.exists(&folder)? {
        return Ok(Vec::new());
    }
    let position =
        |entry: &fs::DirEntry| u64::from_str_radix(entry.name.strip_suffix(".snap")?, 16).ok();
    let mut positions: Vec<_> = fs.list(&folder)?.iter().filter_map(position).collect();
    positions.sort_unstable();
    Ok(positions)
}

/// A snapshot just made, and the one it was made from: both were read to their ends, so these two
/// are kept.
pub(super) struct Made {
    position: u64,
    from: Option<u64>,
}

impl Made {
    /// Removes every other snapshot, damaged ones with them, and gives the position from which on
    /// the log is needed: that of the older of two.
    pub(super) fn keep(&self, fs: &dyn Fs, data: &Path) -> io::Result<Option<u64>> {
        let kept = |position: &u64| *position == self.position || Some(*position) == self.from;
        let others: Vec<u64> =
            list(fs, data)?.into_iter().filter(|position| !kept(position)).collect();
        for position in &others {
            fs.remove(&path(data, *position))?;
        }
        if !others.is_empty() {
            fs.sync_folder(&folder(data))?;
        }
        Ok(self.from)
    }
}

/// What a snapshot is made with.
pub(super) struct Maker<'a> {
    pub(super) reader: &'a Reader,
    pub(super) data: &'a Path,
    pub(super) random: &'a Random,
    pub(super) log: LogId,
    pub(super) stop: &'a Stop,
    pub(super) space: Option<&'a FreeSpace>,
}

impl Maker<'_> {
    /// Makes the snapshot of `mark` from the newest that can be read and the log since. `None` if
    /// it is there already. What it has written is removed again if it fails or is stopped.
    pub(super) fn make(&self, mark: &Mark) -> Result<Option<Made>, StoreError> {
        let (fs, folder) = (&*self.reader.fs, folder(self.data));
        fs.create_folder(&folder).and_then(|()| fs.sync_folder(self.data))?;
        // Each batch is merged into a file of its own; the two scratch names take turns.
        let scratch = [folder.join("merge-a"), folder.join("merge-b")];
        let made = self.merge(mark, &scratch);
        for left in &scratch {
            match fs.remove(left) {
                Err(e) if e.kind() != io::ErrorKind::NotFound && made.is_ok() => {
                    return Err(e.into());
                }
                _ => {}
            }
        }
        if let Ok(Some(made)) = &made {
            fs.sync_folder(&folder)?;
            tracing::info!(position = made.position, "snapshot made");
        }
        made
    }

    fn merge(&self, mark: &Mark, scratch: &[PathBuf; 2]) -> Result<Option<Made>, StoreError> {
        let Self { reader, data, log, stop, .. } = *self;
        let mut base = newest(reader, data, log, stop)?.map(|whole| (whole.snapshot, whole.path));
        if mark.position == 0
            || base.as_ref().is_some_and(|(base, _)| base.mark.position >= mark.position)
        {
            return Ok(None);
        }
        let from = base.as_ref().map(|(base, _)| base.mark.clone());
        if let (Some(space), Some((base, _))) = (self.space, &base) {
            // It will be about as long as the one before; what the log adds shows while it is
            // written.
            space.room_to_shrink(base.file.len()?)?;
        }
        let mut turns = scratch.iter().cycle();
        let mut batch = Batch::new();
        let mut len = 0;
        let mut merge =
            |base: &mut Option<(Snapshot, PathBuf)>, batch: &mut Batch| -> Result<(), StoreError> {
                let to = turns.next().cloned().unwrap_or_default();
                let old = base.take().map(|(old, _)| old);
                self.write(mark, &to, old, std::mem::take(batch))?;
                *base = Some((Snapshot::open(&*reader.fs, &reader.seal, &to, log)?, to));
                Ok(())
            };
        let mut take = |group: Group| -> Result<(), WalError> {
            stop.check()?;
            for row in group.changes.into_iter().flat_map(|change| change.rows) {
                len += row.table.len() + row.key.len() + row.value.as_ref().map_or(0, Vec::len);
                batch.insert((row.table.into_owned(), row.key), row.value);
            }
            if len > BATCH_LEN {
                len = 0;
                merge(&mut base, &mut batch)?;
            }
            Ok(())
        };
        reader.read_until(from.as_ref(), mark.position, &mut take).map_err(
            |error| match error {
                WalError::Taker(error) => error,
                other => StoreError::Unavailable(other.to_string()),
            },
        )?;
        merge(&mut base, &mut batch)?;
        let Some((snapshot, made)) = base else { return Ok(None) };
        // Read back before it is relied on: each seal, the order, the count and the root.
        snapshot.verify(&|| stop.check())?;
        reader.fs.rename(&made, &path(data, mark.position))?;
        Ok(Some(Made { position: mark.position, from: from.map(|from| from.position) }))
    }

    fn write(
        &self,
        mark: &Mark,
        to: &Path,
        old: Option<Snapshot>,
        batch: Batch,
    ) -> Result<(), StoreError> {
        match self.reader.fs.remove(to) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e.into()),
            _ => {}
        }
        let mut writer = Writer::create(self, mark, to)?;
        let mut new = batch.into_iter().peekable();
        let mut put_new = |writer: &mut Writer<'_>,
                           below: Option<&(String, Vec<u8>)>|
         -> Result<bool, StoreError> {
            while let Some((place, value)) =
                new.next_if(|(place, _)| below.is_none_or(|below| place <= below))
            {
                self.stop.check()?;
                if let Some(value) = &value {
                    writer.put(&place, value)?;
                }
                if below == Some(&place) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        for row in old.into_iter().flatten() {
            self.stop.check()?;
            let (place, value) = row?;
            if !put_new(&mut writer, Some(&place))? {
                writer.put(&place, &value)?;
            }
        }
        put_new(&mut writer, None)?;
        writer.finish()
    }
}

/// A snapshot that was read to its end and found whole, to be read once more.
pub(super) struct Whole {
    pub(super) snapshot: Snapshot,
    pub(super) path: PathBuf,
    /// How many rows it has.
    pub(super) rows: u64,
}

/// The newest snapshot that can be read whole.
pub(super) fn newest(
    reader: &Reader,
    data: &Path,
    log: LogId,
    stop: &Stop,
) -> Result<Option<Whole>, StoreError> {
    for position in list(&*reader.fs, data)?.into_iter().rev() {
        let path = path(data, position);
        let open = || Snapshot::open(&*reader.fs, &reader.seal, &path, log);
        let whole = open()
            .and_then(|snapshot| snapshot.verify(&|| stop.check()))
            .and_then(|rows| Ok((open()?, rows)));
        stop.check()?;
        match whole {
            Ok((snapshot, rows)) => return Ok(Some(Whole { snapshot, path, rows })),
            Err(error) => {
                tracing::error!(%error, position, "a snapshot is damaged; the one before it is used")
            }
        }
    }
    Ok(None)
}

struct Writer<'a> {
    file: Box<dyn File>,
    seal: &'a Seal,
    random: &'a Random,
    space: Option<&'a FreeSpace>,
    id: [u8; 16],
    offset: u64,
    chunk: Vec<u8>,
    number: u64,
    rows: u64,
    root: blake3::Hasher,
}

fn place(id: &[u8; 16], number: u64, last: bool) -> Vec<u8> {
    [PLACE_LABEL, id, &number.to_le_bytes(), &[u8::from(last)]].concat()
}

impl<'a> Writer<'a> {
    fn create(maker: &Maker<'a>, mark: &Mark, to: &Path) -> Result<Self, StoreError> {
        let Maker { reader, random, log, space, .. } = *maker;
        let id = random.array();
        let (generation, position) = (mark.generation.to_le_bytes(), mark.position.to_le_bytes());
        let mut head = [&MAGIC[..], &log, &id, &generation, &position, &mark.hash].concat();
        let sum = blake3::hash(&head);
        head.extend_from_slice(sum.as_bytes());
        let file = reader.fs.create(to)?;
        file.write_all_at(&head, 0)?;
        let (chunk, root) = (Vec::new(), blake3::Hasher::new());
        Ok(Self {
            file,
            seal: &reader.seal,
            random,
            space,
            id,
            offset: HEAD_LEN as u64,
            chunk,
            number: 0,
            rows: 0,
            root,
        })
    }

    fn put(&mut self, place: &(String, Vec<u8>), value: &[u8]) -> Result<(), StoreError> {
        let start = self.chunk.len();
        self.chunk.push(u8::try_from(place.0.len()).unwrap_or(u8::MAX));
        self.chunk.extend_from_slice(place.0.as_bytes());
        self.chunk
            .extend_from_slice(&u16::try_from(place.1.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.chunk.extend_from_slice(&place.1);
        self.chunk.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.chunk.extend_from_slice(value);
        self.root.update(self.chunk.get(start..).unwrap_or_default());
        self.rows += 1;
        if self.chunk.len() >= CHUNK_LEN { self.flush(false) } else { Ok(()) }
    }

    fn flush(&mut self, last: bool) -> Result<(), StoreError> {
        let sealed =
            self.seal.seal(self.random, &place(&self.id, self.number, last), &self.chunk)?;
        let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
        let bytes = [&[u8::from(last)][..], &len, &sealed].concat();
        // It must never be a snapshot that fills the disk: without one the log is only longer.
        self.space.map_or(Ok(()), |space| space.room_to_shrink(bytes.len() as u64))?;
        self.file.write_all_at(&bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        self.number += 1;
        self.chunk.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<(), StoreError> {
        if !self.chunk.is_empty() {
            self.flush(false)?;
        }
        self.chunk.extend_from_slice(&self.rows.to_le_bytes());
        self.chunk.extend_from_slice(self.root.finalize().as_bytes());
        self.flush(true)?;
        Ok(self.file.sync_data()?)
    }
}

/// A snapshot being read: gives its rows in order, and an error where it is damaged.
pub(super) struct Snapshot {
    file: Box<dyn File>,
    seal: Seal,
    id: [u8; 16],
    pub(super) mark: Mark,
    offset: u64,
    number: u64,
    chunk: Vec<u8>,
    at: usize,
    rows: u64,
    root: blake3::Hasher,
    done: bool,
}

fn damaged() -> StoreError {
    StoreError::Unavailable("a snapshot is damaged".into())
}

impl Snapshot {
    pub(super) fn open(
        fs: &dyn Fs,
        seal: &Seal,
        path: &Path,
        log: LogId,
    ) -> Result<Self, StoreError> {
        let file = fs.open(path)?;
        let mut head = [0; HEAD_LEN];
        file.read_exact_at(&mut head, 0)?;
        let (said, sum) = head.split_last_chunk::<32>().ok_or_else(damaged)?;
        let head = (|| {
            let (magic, rest) = said.split_first_chunk::<8>()?;
            let (of, rest) = rest.split_first_chunk::<16>()?;
            let (id, rest) = rest.split_first_chunk::<16>()?;
            let (generation, rest) = rest.split_first_chunk::<8>()?;
            let (position, rest) = rest.split_first_chunk::<8>()?;
            let (generation, position) =
                (u64::from_le_bytes(*generation), u64::from_le_bytes(*position));
            let mark = Mark { generation, position, hash: rest.try_into().ok()? };
            (*magic == MAGIC && *of == log && blake3::hash(said) == *sum).then_some((*id, mark))
        })();
        let (id, mark) = head.ok_or_else(damaged)?;
        let (seal, chunk, root) = (seal.clone(), Vec::new(), blake3::Hasher::new());
        Ok(Self {
            file,
            seal,
            id,
            mark,
            offset: HEAD_LEN as u64,
            number: 0,
            chunk,
            at: 0,
            rows: 0,
            root,
            done: false,
        })
    }

    /// Reads it to its end, and says how many rows it has. `go_on` is asked at every row.
    pub(super) fn verify(mut self, go_on: GoOn<'_>) -> Result<u64, StoreError> {
        let mut before = None;
        for row in &mut self {
            go_on()?;
            let (place, _) = row?;
            if before.is_some_and(|before| before >= place) {
                return Err(damaged());
            }
            before = Some(place);
        }
        Ok(self.rows)
    }

    fn next_chunk(&mut self) -> Result<(), StoreError> {
        let mut head = [0; 5];
        self.file.read_exact_at(&mut head, self.offset).map_err(|_| damaged())?;
        let [last, len @ ..] = head;
        let len = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
        if len > CHUNK_LEN_MAX || last > 1 {
            return Err(damaged());
        }
        let mut sealed = vec![0; len];
        self.file.read_exact_at(&mut sealed, self.offset + 5).map_err(|_| damaged())?;
        let opened = self
            .seal
            .open(&place(&self.id, self.number, last == 1), &sealed)
            .ok_or_else(damaged)?;
        self.offset += 5 + len as u64;
        self.number += 1;
        if last == 1 {
            let expected = [&self.rows.to_le_bytes()[..], self.root.finalize().as_bytes()].concat();
            self.done = true;
            return if *opened == expected { Ok(()) } else { Err(damaged()) };
        }
        self.chunk = opened.to_vec();
        self.at = 0;
        Ok(())
    }

    fn next_row(&mut self) -> Option<SnapshotRow> {
        let bytes = self.chunk.get(self.at..)?;
        let (len, rest) = bytes.split_first()?;
        let (table, rest) = rest.split_at_checked(usize::from(*len))?;
        let (len, rest) = rest.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) =
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let row = ((std::str::from_utf8(table).ok()?.to_owned(), key.to_vec()), value.to_vec());
        let used = bytes.len() - rest.len();
        self.root.update(bytes.get(..used)?);
        self.rows += 1;
        self.at += used;
        Some(row)
    }
}

impl Iterator for Snapshot {
    type Item = Result<SnapshotRow, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.at >= self.chunk.len() {
            match self.next_chunk() {
                Ok(()) if self.done => return None,
                Ok(()) => {}
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        let row = self.next_row().ok_or_else(damaged);
        self.done = row.is_err();
        Some(row)
    }
}
