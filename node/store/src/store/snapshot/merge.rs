//! Making a snapshot: the snapshot before it, merged with the log since.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::super::{Stop, StoreError};
use super::write::Writer;
use super::{IntactSnapshot, Snapshot, folder, list, newest_intact, path};
use crate::fs::{self, Fs};
use crate::space::FreeSpace;
use crate::wal::recover::{Group, Reader, WalError};
use crate::wal::{Mark, WalId};
use freehold_proto::random::Random;

/// Rows of the log are merged into the snapshot when this many bytes of them are in memory.
const BATCH_LEN: usize = 16 * 1024 * 1024;

/// Rows of the log by table and key; `None` for a deleted row.
type Batch = BTreeMap<(String, Vec<u8>), Option<Vec<u8>>>;

/// The positions of a new snapshot and of the snapshot it was made from. Both were verified, so
/// these two are kept.
pub(in crate::store) struct LastTwo {
    position: u64,
    from: Option<u64>,
}

impl LastTwo {
    /// Removes all other snapshots, also damaged ones. Returns the position of the older of the
    /// two; the log after it is still needed.
    pub(in crate::store) fn remove_others(
        &self,
        fs: &dyn Fs,
        data: &Path,
    ) -> io::Result<Option<u64>> {
        let is_kept = |position: &u64| *position == self.position || Some(*position) == self.from;
        let others: Vec<u64> =
            list(fs, data)?.into_iter().filter(|position| !is_kept(position)).collect();
        for position in &others {
            fs.remove(&path(data, *position))?;
        }
        if !others.is_empty() {
            fs.sync_folder(&folder(data))?;
        }
        Ok(self.from)
    }
}

/// Makes snapshots.
pub(in crate::store) struct SnapshotMaker<'a> {
    pub(in crate::store) reader: &'a Reader,
    pub(in crate::store) data: &'a Path,
    pub(in crate::store) random: &'a Random,
    pub(in crate::store) wal: WalId,
    pub(in crate::store) stop: &'a Stop,
    pub(in crate::store) space: Option<&'a FreeSpace>,
}

impl SnapshotMaker<'_> {
    /// Makes the snapshot of `mark` from the newest intact snapshot and the log since. `None` if
    /// that snapshot exists already. Removes its temporary files if it fails or is stopped.
    pub(in crate::store) fn make(&self, mark: &Mark) -> Result<Option<LastTwo>, StoreError> {
        let (fs, folder) = (&*self.reader.fs, folder(self.data));
        fs::create_folder_durably(fs, &folder)?;
        // Each batch is merged into a new file, under these two names in turn.
        let scratch = [folder.join("merge-a"), folder.join("merge-b")];
        let result = self.merge(mark, &scratch);
        for temporary in &scratch {
            match fs.remove(temporary) {
                Err(e) if e.kind() != io::ErrorKind::NotFound && result.is_ok() => {
                    return Err(e.into());
                }
                _ => {}
            }
        }
        if let Ok(Some(snapshots)) = &result {
            fs.sync_folder(&folder)?;
            tracing::info!(position = snapshots.position, "a snapshot was made");
        }
        result
    }

    fn merge(&self, mark: &Mark, scratch: &[PathBuf; 2]) -> Result<Option<LastTwo>, StoreError> {
        let Self { reader, data, wal, stop, .. } = *self;
        let mut base = newest_intact(reader, data, wal, stop)?
            .map(|IntactSnapshot { snapshot, path, .. }| (snapshot, path));
        if mark.position == 0
            || base.as_ref().is_some_and(|(base, _)| base.mark.position >= mark.position)
        {
            return Ok(None);
        }
        let from = base.as_ref().map(|(base, _)| base.mark.clone());
        if let (Some(space), Some((base, _))) = (self.space, &base) {
            // The new snapshot is about as long as the last one. The growth by the log is checked
            // while it is written.
            space.check_space_to_compact(base.file.len()?)?;
        }
        let mut names = scratch.iter().cycle();
        let mut batch = Batch::new();
        let mut len = 0;
        let mut merge =
            |base: &mut Option<(Snapshot, PathBuf)>, batch: &mut Batch| -> Result<(), StoreError> {
                let to = names.next().cloned().unwrap_or_default();
                let old = base.take().map(|(old, _)| old);
                self.write(mark, &to, old, std::mem::take(batch))?;
                *base = Some((Snapshot::open(&*reader.fs, &reader.seal, &to, wal)?, to));
                Ok(())
            };
        let mut consume = |group: Group| -> Result<(), WalError> {
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
        reader.read_until(from.as_ref(), mark.position, &mut consume)?;
        merge(&mut base, &mut batch)?;
        let Some((snapshot, merged)) = base else { return Ok(None) };
        // Verified before the rename, so that no damaged file gets the name of a snapshot.
        snapshot.verify(&|| stop.check())?;
        reader.fs.rename(&merged, &path(data, mark.position))?;
        Ok(Some(LastTwo { position: mark.position, from: from.map(|from| from.position) }))
    }

    /// Writes the rows of `old` with `batch` over them to the file `to`.
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
        // Writes the new rows up to `last`; true if there was a new one for `last` itself.
        let mut put_new = |writer: &mut Writer<'_>,
                           last: Option<&(String, Vec<u8>)>|
         -> Result<bool, StoreError> {
            while let Some((row, value)) =
                new.next_if(|(row, _)| last.is_none_or(|last| row <= last))
            {
                self.stop.check()?;
                if let Some(value) = &value {
                    writer.put(&row, value)?;
                }
                if last == Some(&row) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        for old_row in old.into_iter().flatten() {
            self.stop.check()?;
            let (row, value) = old_row?;
            if !put_new(&mut writer, Some(&row))? {
                writer.put(&row, &value)?;
            }
        }
        put_new(&mut writer, None)?;
        writer.finish()
    }
}
