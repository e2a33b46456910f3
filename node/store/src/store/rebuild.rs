//! Rebuilds the engine's rows from the newest snapshot and the log since.
//!
//! The new engine is written to a new folder, which replaces the old one when it is complete and
//! durable. No row is readable before, because deleted rows and ended sessions would be visible
//! again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::engine_folder::{engine_folder, open_engine};
use super::options::{OpenError, Stage, StoreOptions};
use super::replay::{Replay, Replayed};
use super::sealed_rows::SealedRows;
use super::snapshot::{self, IntactSnapshot};
use crate::engine::{Engine, Write};
use crate::fs::Fs;
use crate::hints::Hint;
use crate::seal::RowSeal;
use crate::wal::recover::Reader;

/// The number of rows of a snapshot applied at a time.
const PAGE_ROWS: usize = 500;

/// Rebuilds the rows. Small blobs of groups up to the position `flushed` have files already. The
/// caller applies the unconfirmed last group.
pub(super) fn rebuild(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    seal: &RowSeal,
    flushed: u64,
) -> Result<Replayed, OpenError> {
    let fs = &*options.fs;
    let folder = engine_folder(&options.data, &options.engine);
    let new = folder.with_extension("new");
    if !options.engine.is_persistent() {
        return fill(reader, options, seal, open_engine(fs, &options.engine, &folder)?, flushed);
    }
    remove(fs, &new)?;
    let Replayed { rows, end, flushed_early, encodings } =
        fill(reader, options, seal, open_engine(fs, &options.engine, &new)?, flushed)?;
    rows.engine().flush()?;
    // Close the engine before the rename: it may keep the paths of its files.
    drop(rows);
    remove(fs, &folder)?;
    fs.rename(&new, &folder)?;
    fs.sync_folder(&options.data)?;
    let rows = SealedRows::new(
        open_engine(fs, &options.engine, &folder)?,
        seal.clone(),
        options.blobs.clone(),
    );
    remove_other_engines(options)?;
    Ok(Replayed { rows, end, flushed_early, encodings })
}

fn fill(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    seal: &RowSeal,
    engine: Arc<dyn Engine>,
    flushed: u64,
) -> Result<Replayed, OpenError> {
    let snapshot = snapshot::newest_intact(reader, &options.data, options.log, &options.stop)?;
    let from = snapshot.as_ref().map(|intact| intact.snapshot.mark.clone());
    if let Some(intact) = snapshot {
        fill_from_snapshot(intact, &*engine, options)?;
    }
    let rows = SealedRows::new(engine, seal.clone(), options.blobs.clone());
    Replay::new(rows, flushed, options).run(reader, from.as_ref())
}

fn fill_from_snapshot(
    intact: IntactSnapshot,
    engine: &dyn Engine,
    options: &StoreOptions<impl Hint>,
) -> Result<(), OpenError> {
    let mut done = 0;
    let mut page = Vec::with_capacity(PAGE_ROWS);
    for row in intact.snapshot {
        page.push(row?);
        if page.len() == PAGE_ROWS {
            options.stop.check()?;
            done += PAGE_ROWS as u64;
            apply(engine, &mut page)?;
            options.report(Stage::Rebuilding, done, intact.rows);
        }
    }
    apply(engine, &mut page)?;
    options.report(Stage::Rebuilding, intact.rows, intact.rows);
    Ok(())
}

fn apply(engine: &dyn Engine, page: &mut Vec<snapshot::SnapshotRow>) -> Result<(), OpenError> {
    let writes: Vec<_> =
        page.iter().map(|((table, key), value)| Write { table, key, value: Some(value) }).collect();
    engine.apply(&writes)?;
    page.clear();
    Ok(())
}

fn remove(fs: &dyn Fs, folder: &Path) -> io::Result<()> {
    match fs.remove_folder(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Removes the folders of other engines.
fn remove_other_engines(options: &StoreOptions<impl Hint>) -> io::Result<()> {
    let current = engine_folder(&options.data, &options.engine);
    for entry in options.fs.list(&options.data)? {
        let path = options.data.join(&entry.name);
        if entry.folder && entry.name.starts_with("rows-") && path != current {
            options.fs.remove_folder(&path)?;
        }
    }
    Ok(())
}
