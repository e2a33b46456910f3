//! Makes the engine's rows anew from the newest snapshot and the log since.
//!
//! It goes into a new folder that takes the old one's place only when it is whole and durable;
//! nothing reads meanwhile, or deleted posts and ended sessions would rise from the dead.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::options::{OpenError, Stage, StoreOptions};
use super::rows::Rows;
use super::snapshot::{self, Whole};
use super::start::{Replay, Replayed, engine_folder, open_engine};
use crate::engine::{Engine, Write};
use crate::fs::Fs;
use crate::hints::Hint;
use crate::seal::RowSeal;
use crate::wal::recover::Reader;

/// So many rows of a snapshot are applied at once.
const PAGE_ROWS: usize = 500;

/// Rebuilds; small blobs of groups up to `filed` are files already. The end's doubtful group is
/// left to the caller.
pub(super) fn rebuild(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    seal: &RowSeal,
    filed: u64,
) -> Result<Replayed, OpenError> {
    let fs = &*options.fs;
    let folder = engine_folder(&options.data, &options.engine);
    let new = folder.with_extension("new");
    if !options.engine.is_persistent() {
        return fill(reader, options, seal, open_engine(fs, &options.engine, &folder)?, filed);
    }
    remove(fs, &new)?;
    let Replayed { rows, end, filed_early, forms } =
        fill(reader, options, seal, open_engine(fs, &options.engine, &new)?, filed)?;
    rows.engine().flush()?;
    // Closed before it is moved: an engine may remember where its files are.
    drop(rows);
    remove(fs, &folder)?;
    fs.rename(&new, &folder)?;
    fs.sync_folder(&options.data)?;
    let rows =
        Rows::new(open_engine(fs, &options.engine, &folder)?, seal.clone(), options.blobs.clone());
    remove_others(options)?;
    Ok(Replayed { rows, end, filed_early, forms })
}

fn fill(
    reader: &Reader,
    options: &StoreOptions<impl Hint>,
    seal: &RowSeal,
    engine: Arc<dyn Engine>,
    filed: u64,
) -> Result<Replayed, OpenError> {
    let whole = snapshot::newest(reader, &options.data, options.log, &options.stop)?;
    let from = whole.as_ref().map(|whole| whole.snapshot.mark.clone());
    if let Some(whole) = whole {
        fill_from(whole, &*engine, options)?;
    }
    let rows = Rows::new(engine, seal.clone(), options.blobs.clone());
    Replay::new(rows, filed, options).run(reader, from.as_ref())
}

fn fill_from(
    whole: Whole,
    engine: &dyn Engine,
    options: &StoreOptions<impl Hint>,
) -> Result<(), OpenError> {
    let mut done = 0;
    let mut page = Vec::with_capacity(PAGE_ROWS);
    for row in whole.snapshot {
        page.push(row?);
        if page.len() == PAGE_ROWS {
            options.stop.check()?;
            done += PAGE_ROWS as u64;
            apply(engine, &mut page)?;
            options.report(Stage::Rebuilding, done, whole.rows);
        }
    }
    apply(engine, &mut page)?;
    options.report(Stage::Rebuilding, whole.rows, whole.rows);
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

/// Removes the rows of engines used before this one.
fn remove_others(options: &StoreOptions<impl Hint>) -> io::Result<()> {
    let kept = engine_folder(&options.data, &options.engine);
    for entry in options.fs.list(&options.data)? {
        let path = options.data.join(&entry.name);
        if entry.folder && entry.name.starts_with("rows-") && path != kept {
            options.fs.remove_folder(&path)?;
        }
    }
    Ok(())
}
