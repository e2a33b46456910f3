//! Making a snapshot: the snapshot before it, merged with the log since.

use std::io;
use std::path::Path;

use super::super::{Stop, StoreError};
use super::layers::{self, Batch, Layers};
use super::{Snapshot, folder, list, newest_intact, path};
use crate::fs::{self, Fs};
use crate::space::FreeSpace;
use crate::wal::recover::{Group, Reader, WalError};
use crate::wal::{Mark, WalId};
use freehold_proto::random::Random;

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
    /// So many bytes of rows are held in memory.
    pub(in crate::store) batch_len: usize,
}

impl SnapshotMaker<'_> {
    /// Makes the snapshot of `mark` from the newest intact snapshot and the log since. `None` if
    /// that snapshot exists already. Removes its temporary files if it fails or is stopped.
    pub(in crate::store) fn make(&self, mark: &Mark) -> Result<Option<LastTwo>, StoreError> {
        let (fs, folder) = (&*self.reader.fs, folder(self.data));
        fs::create_folder_durably(fs, &folder)?;
        remove_left_over(fs, &folder)?;
        let mut layers = Layers::new(self, mark);
        let result = self.merge(mark, &mut layers);
        let removed = layers.remove_files();
        if let Ok(Some(snapshots)) = &result {
            removed?;
            fs.sync_folder(&folder)?;
            tracing::info!(position = snapshots.position, "a snapshot was made");
        }
        result
    }

    fn merge(&self, mark: &Mark, layers: &mut Layers<'_>) -> Result<Option<LastTwo>, StoreError> {
        let Self { reader, data, wal, stop, .. } = *self;
        let base = newest_intact(reader, data, wal, stop)?.map(|intact| intact.snapshot);
        let from = base.as_ref().map(|base| base.mark.clone());
        if mark.position == 0 || from.as_ref().is_some_and(|from| from.position >= mark.position) {
            return Ok(None);
        }
        if let (Some(space), Some(base)) = (self.space, &base) {
            // The new snapshot is about as long as the last one. The growth by the log is checked
            // while it is written.
            space.check_space_to_compact(base.file.len()?)?;
        }
        layers.set_base(base);
        let mut batch = Batch::default();
        let mut consume = |group: Group| -> Result<(), WalError> {
            stop.check()?;
            for row in group.changes.into_iter().flat_map(|change| change.rows) {
                batch.insert((row.table.into_owned(), row.key), row.value);
            }
            if batch.len > self.batch_len {
                layers.push(std::mem::take(&mut batch))?;
            }
            Ok(())
        };
        reader.read_until(from.as_ref(), mark.position, &mut consume)?;
        let merged = layers.merge(batch)?;
        // Verified before the rename, so that no damaged file gets the name of a snapshot.
        Snapshot::open(&*reader.fs, &reader.seal, &merged, wal)?.verify(&|| stop.check())?;
        reader.fs.rename(&merged, &path(data, mark.position))?;
        Ok(Some(LastTwo { position: mark.position, from: from.map(|from| from.position) }))
    }
}

/// Removes the temporary files of a process that was killed.
fn remove_left_over(fs: &dyn Fs, folder: &Path) -> Result<(), StoreError> {
    for entry in fs.list(folder)? {
        if entry.name.starts_with(layers::PREFIX) {
            fs.remove(&folder.join(&entry.name))?;
        }
    }
    Ok(())
}
