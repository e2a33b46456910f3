//! Rebuilds the engine's rows from the newest snapshot and the log since: at the start, and in a
//! running store whose engine does not open any more (recovery.rs).
//!
//! The new engine is written to a new folder, which replaces the old one when it is complete and
//! durable. No row is readable before, because deleted rows and ended sessions would be visible
//! again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::engine_folder::{engine_folder, open_engine, remove_folder};
use super::options::{EngineSource, OpenError, Stage, StoreOptions};
use super::replay::{Replay, Replayed};
use super::sealed_rows::SealedRows;
use super::snapshot::{self, IntactSnapshot, Snapshot};
use super::{Stop, StoreError};
use crate::engine::{Engine, Write};
use crate::hints::Hint;
use crate::seal::RowSeal;
use crate::space::FreeSpace;
use crate::wal::recover::Reader;
use crate::wal::{Mark, WalId};

/// The number of rows of a snapshot applied at a time.
pub(super) const PAGE_ROWS: usize = 500;

/// The sources of a rebuild, and the folder of the new engine.
pub(super) struct Rebuild<'a> {
    pub(super) reader: &'a Reader,
    pub(super) data: &'a Path,
    pub(super) engine: &'a EngineSource,
    pub(super) wal: WalId,
    pub(super) stop: &'a Stop,
    /// Receives the stage, the number of rows done, and the total number.
    pub(super) report: &'a dyn Fn(Stage, u64, u64),
}

impl Rebuild<'_> {
    /// [`Rebuild::replace`] on a disk that may be full: releases the reserve, and if that is not
    /// enough, removes the folder of the old engine. Before that, snapshot and log are read once up
    /// to the position `until`: they must not be the only copies that remain and be damaged.
    pub(super) fn replace_on_full_disk<T>(
        &self,
        space: Option<&FreeSpace>,
        until: u64,
        fill: impl Fn(&Arc<dyn Engine>) -> Result<T, OpenError>,
    ) -> Result<(Arc<dyn Engine>, T), OpenError> {
        let mut replaced = self.replace(&fill);
        let is_full =
            |replaced: &Result<_, OpenError>| replaced.as_ref().is_err_and(OpenError::is_full);
        if is_full(&replaced) && space.is_some_and(FreeSpace::release_reserve) {
            replaced = self.replace(&fill);
        }
        if is_full(&replaced) {
            let from = snapshot::newest_intact(self.reader, self.data, self.wal, self.stop)?
                .map(|intact| intact.snapshot.mark);
            let mut discard = |_| Ok(self.stop.check()?);
            self.reader.read_until(from.as_ref(), until, &mut discard)?;
            remove_folder(&*self.reader.fs, &engine_folder(self.data, self.engine))?;
            replaced = self.replace(&fill);
        }
        replaced
    }

    /// Fills a new engine by `fill`, which must not keep it, and replaces the old engine, which
    /// must be closed. After an error the old engine's folder is unchanged, and the new one's
    /// removed.
    fn replace<T>(
        &self,
        fill: impl Fn(&Arc<dyn Engine>) -> Result<T, OpenError>,
    ) -> Result<(Arc<dyn Engine>, T), OpenError> {
        let fs = &*self.reader.fs;
        let folder = engine_folder(self.data, self.engine);
        if !self.engine.is_persistent() {
            // In memory: the disk may be read-only.
            let engine = self.engine.open(&folder)?;
            let filled = fill(&engine)?;
            return Ok((engine, filled));
        }
        let new = folder.with_extension("new");
        remove_folder(fs, &new)?;
        let filled = open_engine(fs, self.engine, &new).and_then(|engine| {
            let filled = fill(&engine)?;
            engine.flush()?;
            // The engine is closed before the rename: it may keep the paths of its files.
            Ok(filled)
        });
        let filled = filled.inspect_err(|_| {
            // A partial engine must not take the space that the next attempt needs.
            let _ = remove_folder(fs, &new);
        })?;
        remove_folder(fs, &folder)?;
        fs.rename(&new, &folder)?;
        fs.sync_folder(self.data)?;
        let engine = open_engine(fs, self.engine, &folder)?;
        self.remove_other_engines()?;
        Ok((engine, filled))
    }

    /// Writes the rows of the newest intact snapshot to an empty engine, and returns its mark.
    pub(super) fn fill_from_snapshot(
        &self,
        engine: &dyn Engine,
    ) -> Result<Option<Mark>, OpenError> {
        let Some(IntactSnapshot { snapshot, rows: total, .. }) =
            snapshot::newest_intact(self.reader, self.data, self.wal, self.stop)?
        else {
            return Ok(None);
        };
        let mark = snapshot.mark.clone();
        let mut done = 0;
        fill(engine, snapshot, &mut |rows| {
            self.stop.check()?;
            done += rows as u64;
            (self.report)(Stage::Rebuilding, done, total);
            Ok(())
        })?;
        (self.report)(Stage::Rebuilding, total, total);
        Ok(Some(mark))
    }

    /// Removes the folders of other engines.
    fn remove_other_engines(&self) -> io::Result<()> {
        let (fs, current) = (&*self.reader.fs, engine_folder(self.data, self.engine));
        for entry in fs.list(self.data)? {
            let path = self.data.join(&entry.name);
            if entry.folder && entry.name.starts_with("rows-") && path != current {
                fs.remove_folder(&path)?;
            }
        }
        Ok(())
    }
}

/// Rebuilds the rows at the start. Small blobs of groups up to the position `flushed` have files
/// already. The caller applies the unconfirmed last group.
pub(super) fn rebuild(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    seal: &RowSeal,
    flushed: u64,
) -> Result<Replayed, OpenError> {
    let report = |stage, done, total| options.report(stage, done, total);
    let rebuild = Rebuild {
        reader,
        data: &options.data,
        engine: &options.engine,
        wal: options.log,
        stop: &options.stop,
        report: &report,
    };
    let space = options.space.as_ref();
    let (engine, replayed) = rebuild.replace_on_full_disk(space, u64::MAX, |engine| {
        let from = rebuild.fill_from_snapshot(&**engine)?;
        let rows = SealedRows::new(engine.clone(), seal.clone(), options.blobs.clone());
        let Replayed { rows, end, spilled } =
            Replay::new(rows, flushed, options).run(reader, from.as_ref())?;
        drop(rows);
        Ok((end, spilled))
    })?;
    let rows = SealedRows::new(engine, seal.clone(), options.blobs.clone());
    let (end, spilled) = replayed;
    Ok(Replayed { rows, end, spilled })
}

/// Writes the rows of a snapshot to an empty engine; `after_page` is called with the number of rows
/// of each page but the last.
pub(super) fn fill(
    engine: &dyn Engine,
    snapshot: Snapshot,
    after_page: &mut dyn FnMut(usize) -> Result<(), StoreError>,
) -> Result<(), OpenError> {
    let mut page = Vec::with_capacity(PAGE_ROWS);
    for row in snapshot {
        page.push(row?);
        if page.len() == PAGE_ROWS {
            apply(engine, &mut page)?;
            after_page(PAGE_ROWS)?;
        }
    }
    apply(engine, &mut page)
}

fn apply(engine: &dyn Engine, page: &mut Vec<snapshot::SnapshotRow>) -> Result<(), OpenError> {
    let writes: Vec<_> =
        page.iter().map(|((table, key), value)| Write { table, key, value: Some(value) }).collect();
    engine.apply(&writes)?;
    page.clear();
    Ok(())
}
