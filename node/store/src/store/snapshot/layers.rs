//! The layers of a new snapshot: the snapshot before it, and sorted *runs* of the log since, each
//! over the one before. A merge reads all of them side by side, so the memory depends on neither
//! the length of the snapshot nor that of the log.
//!
//! A run is a file in the form of a snapshot, whose values begin with 1, or are 0 for a deleted
//! row. All files here are temporary; [`Layers::merge`] names the one that becomes the snapshot.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use super::super::StoreError;
use super::write::Writer;
use super::{Snapshot, SnapshotMaker, SnapshotRow, damaged, folder};
use crate::wal::Mark;

/// With so many runs they are merged with the snapshot before; this bounds the open files.
const RUNS_MAX: usize = 16;
/// The memory that a row of a batch takes beside its bytes, about; bytes.
const ROW_OVERHEAD: usize = 160;
/// The first byte of a value in a run.
const DELETED: u8 = 0;
const PRESENT: u8 = 1;

/// Table and key.
type Key = (String, Vec<u8>);
/// A row; `None` for a deleted one.
type Row = (Key, Option<Vec<u8>>);

/// Rows of the log in memory.
#[derive(Default)]
pub(super) struct Batch {
    rows: BTreeMap<Key, Option<Vec<u8>>>,
    /// The memory they take, about; bytes.
    pub(super) len: usize,
}

impl Batch {
    pub(super) fn insert(&mut self, key: Key, value: Option<Vec<u8>>) {
        self.len += key.0.len() + key.1.len() + value.as_ref().map_or(0, Vec::len) + ROW_OVERHEAD;
        self.rows.insert(key, value);
    }
}

/// The layers of a snapshot that is being made.
pub(super) struct Layers<'a> {
    maker: &'a SnapshotMaker<'a>,
    mark: &'a Mark,
    base: Option<Snapshot>,
    /// The files of the runs, oldest first.
    runs: Vec<PathBuf>,
    /// All files that were begun and not removed.
    files: Vec<PathBuf>,
    /// The number of files begun.
    begun: u32,
}

impl<'a> Layers<'a> {
    pub(super) fn new(maker: &'a SnapshotMaker<'a>, mark: &'a Mark) -> Self {
        Self { maker, mark, base: None, runs: Vec::new(), files: Vec::new(), begun: 0 }
    }

    pub(super) fn set_base(&mut self, base: Option<Snapshot>) {
        self.base = base;
    }

    /// Writes a batch to a run.
    pub(super) fn push(&mut self, batch: Batch) -> Result<(), StoreError> {
        if self.runs.len() >= RUNS_MAX {
            let path = self.merge(Batch::default())?;
            self.base = Some(self.open(&path)?);
        }
        let run = self.write(Merged::new(vec![of_batch(batch)])?, |value| {
            let tag = if value.is_some() { PRESENT } else { DELETED };
            Some([&[tag][..], &value.unwrap_or_default()].concat())
        })?;
        self.runs.push(run);
        Ok(())
    }

    /// Merges all layers and `batch`, and removes the runs. Returns the file.
    pub(super) fn merge(&mut self, batch: Batch) -> Result<PathBuf, StoreError> {
        let mut sources: Vec<Rows> = Vec::with_capacity(RUNS_MAX + 2);
        if let Some(base) = self.base.take() {
            sources.push(Box::new(base.map(|row| row.map(|(key, value)| (key, Some(value))))));
        }
        for run in &self.runs {
            sources.push(Box::new(self.open(run)?.map(|row| row.and_then(untagged))));
        }
        sources.push(of_batch(batch));
        let before = self.files.clone();
        let merged = self.write(Merged::new(sources)?, |value| value)?;
        self.runs.clear();
        for file in before {
            self.maker.reader.fs.remove(&file)?;
            self.files.retain(|kept| *kept != file);
        }
        Ok(merged)
    }

    /// Removes all files; of several errors the first is returned.
    pub(super) fn remove_files(self) -> io::Result<()> {
        let remove = |path: &PathBuf| match self.maker.reader.fs.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.files.iter().map(remove).fold(Ok(()), io::Result::and)
    }

    fn open(&self, path: &std::path::Path) -> Result<Snapshot, StoreError> {
        let SnapshotMaker { reader, wal, .. } = *self.maker;
        Snapshot::open(&*reader.fs, &reader.seal, path, wal)
    }

    /// Writes rows to a new file; `encode` returns the value to be written, or `None` to leave the
    /// row out.
    fn write(
        &mut self,
        mut rows: Merged,
        encode: impl Fn(Option<Vec<u8>>) -> Option<Vec<u8>>,
    ) -> Result<PathBuf, StoreError> {
        let path = folder(self.maker.data).join(format!("{PREFIX}{}", self.begun));
        self.begun += 1;
        self.files.push(path.clone());
        let mut writer = Writer::create(self.maker, self.mark, &path)?;
        while let Some((key, value)) = rows.next_row()? {
            self.maker.stop.check()?;
            if let Some(value) = encode(value) {
                writer.put(&key, &value)?;
            }
        }
        writer.finish()?;
        Ok(path)
    }
}

/// The beginning of the names of temporary files.
pub(super) const PREFIX: &str = "merge-";

/// The row of a run.
fn untagged((key, value): SnapshotRow) -> Result<Row, StoreError> {
    match value.split_first() {
        Some((&PRESENT, value)) => Ok((key, Some(value.to_vec()))),
        Some((&DELETED, [])) => Ok((key, None)),
        _ => Err(damaged()),
    }
}

/// Rows in the order of their keys.
type Rows = Box<dyn Iterator<Item = Result<Row, StoreError>>>;

fn of_batch(batch: Batch) -> Rows {
    Box::new(batch.rows.into_iter().map(Ok))
}

/// Rows of several sources in order; of rows with the same key, that of the last source.
struct Merged {
    sources: Vec<Source>,
}

struct Source {
    head: Option<Row>,
    rest: Rows,
}

impl Source {
    /// The head; the next row becomes the head.
    fn advance(&mut self) -> Result<Option<Row>, StoreError> {
        let next = self.rest.next().transpose()?;
        Ok(std::mem::replace(&mut self.head, next))
    }

    fn key(&self) -> Option<&Key> {
        self.head.as_ref().map(|(key, _)| key)
    }
}

impl Merged {
    fn new(sources: Vec<Rows>) -> Result<Self, StoreError> {
        let source = |rest| {
            let mut source = Source { head: None, rest };
            source.advance().map(|_| source)
        };
        Ok(Self { sources: sources.into_iter().map(source).collect::<Result<_, _>>()? })
    }

    fn next_row(&mut self) -> Result<Option<Row>, StoreError> {
        // Of equal keys, `min_by` returns the first.
        let heads = self.sources.iter_mut().rev().filter(|source| source.head.is_some());
        let Some(newest) = heads.min_by(|one, other| one.key().cmp(&other.key())) else {
            return Ok(None);
        };
        let row = newest.advance()?;
        if let Some((key, _)) = &row {
            for source in &mut self.sources {
                if source.key() == Some(key) {
                    source.advance()?;
                }
            }
        }
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_layer_of_a_row_counts() {
        let key = |n: u8| ("t".to_owned(), vec![n]);
        let layer = |rows: &[(u8, Option<u8>)]| -> Rows {
            let rows: Vec<Row> =
                rows.iter().map(|(n, value)| (key(*n), value.map(|v| vec![v]))).collect();
            Box::new(rows.into_iter().map(Ok))
        };
        let mut merged = Merged::new(vec![
            layer(&[(1, Some(1)), (2, Some(1)), (5, Some(1))]),
            layer(&[]),
            layer(&[(2, Some(2)), (3, Some(2)), (5, None)]),
            layer(&[(2, Some(3)), (4, Some(3))]),
        ])
        .unwrap();
        let mut rows = Vec::new();
        while let Some(((_, key), value)) = merged.next_row().unwrap() {
            rows.push((key[0], value.map(|value| value[0])));
        }
        let expected = [(1, Some(1)), (2, Some(3)), (3, Some(2)), (4, Some(3)), (5, None)];
        assert_eq!(rows, expected);
    }

    #[test]
    fn damaged_row_of_a_run_is_refused() {
        let row = |value: &[u8]| (("t".to_owned(), vec![1]), value.to_vec());
        assert_eq!(untagged(row(&[PRESENT, 7])).unwrap().1, Some(vec![7]));
        assert_eq!(untagged(row(&[DELETED])).unwrap().1, None);
        for damaged in [&[][..], &[2, 7], &[DELETED, 7]] {
            assert!(untagged(row(damaged)).is_err());
        }
    }
}
