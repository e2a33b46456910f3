//! Reading and verifying a snapshot.

use std::path::Path;

use super::super::StoreError;
use super::{HEAD_LEN, MAGIC, VERSION, associated_data, damaged};
use crate::fs::{File, Fs};
use crate::seal::Seal;
use crate::wal::{Mark, WalId};

/// A longer chunk is damaged; bytes.
const CHUNK_LEN_MAX: usize = 1024 * 1024;

/// A row: table name and key, then the sealed value. Sorted by table name, then key.
pub(in crate::store) type SnapshotRow = ((String, Vec<u8>), Vec<u8>);
/// Called while rows are read; an error ends the reading.
pub(in crate::store) type ContinueCheck<'a> = &'a dyn Fn() -> Result<(), StoreError>;

/// An open snapshot: an iterator over its rows in order, with an error where it is damaged.
pub(in crate::store) struct Snapshot {
    pub(super) file: Box<dyn File>,
    seal: Seal,
    /// The version of the file.
    version: u8,
    id: [u8; 16],
    /// The last record that the snapshot covers.
    pub(in crate::store) mark: Mark,
    /// The offset of the next chunk in the file.
    offset: u64,
    /// The number of the next chunk.
    number: u64,
    chunk: Vec<u8>,
    /// The offset of the next row in `chunk`.
    at: usize,
    rows: u64,
    root: blake3::Hasher,
    done: bool,
}

impl Snapshot {
    pub(in crate::store) fn open(
        fs: &dyn Fs,
        seal: &Seal,
        path: &Path,
        wal: WalId,
    ) -> Result<Self, StoreError> {
        let file = fs.open(path)?;
        let mut head = [0; HEAD_LEN];
        file.read_exact_at(&mut head, 0)?;
        let (checked, sum) = head.split_last_chunk::<32>().ok_or_else(damaged)?;
        let head = (|| {
            let (magic, rest) = checked.split_first_chunk::<7>()?;
            let (version, rest) = rest.split_first()?;
            let (stored_wal, rest) = rest.split_first_chunk::<16>()?;
            let (id, rest) = rest.split_first_chunk::<16>()?;
            let (generation, rest) = rest.split_first_chunk::<8>()?;
            let (position, rest) = rest.split_first_chunk::<8>()?;
            let (generation, position) =
                (u64::from_le_bytes(*generation), u64::from_le_bytes(*position));
            let mark = Mark { generation, position, hash: rest.try_into().ok()? };
            let is_known = *magic == MAGIC && (1..=VERSION).contains(version);
            (is_known && *stored_wal == wal && blake3::hash(checked) == *sum)
                .then_some((*version, *id, mark))
        })();
        let (version, id, mark) = head.ok_or_else(damaged)?;
        let (seal, chunk, root) = (seal.clone(), Vec::new(), blake3::Hasher::new());
        Ok(Self {
            file,
            seal,
            version,
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

    /// Verifies the snapshot to its end: seals, order of rows, their number and root. Returns the
    /// number of rows. `check` is called for every row.
    pub(in crate::store) fn verify(mut self, check: ContinueCheck<'_>) -> Result<u64, StoreError> {
        let mut previous = None;
        for row in &mut self {
            check()?;
            let (key, _) = row?;
            if previous.is_some_and(|previous| previous >= key) {
                return Err(damaged());
            }
            previous = Some(key);
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
            .open(&associated_data(&self.id, self.number, last == 1), &sealed)
            .ok_or_else(damaged)?;
        self.offset += 5 + len as u64;
        self.number += 1;
        if last == 1 {
            let expected = [&self.rows.to_le_bytes()[..], self.root.finalize().as_bytes()].concat();
            self.done = true;
            return if *opened == expected { Ok(()) } else { Err(damaged()) };
        }
        self.chunk = match self.version {
            1 => opened.to_vec(),
            _ => unpack(&opened).ok_or_else(damaged)?,
        };
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

/// The rows of a chunk.
fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (len, block) = lz4_flex::block::uncompressed_size(packed).ok()?;
    (len <= CHUNK_LEN_MAX).then_some(())?;
    lz4_flex::block::decompress(block, len).ok()
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
