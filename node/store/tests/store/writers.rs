//! Writers whose every change can be held against what was acknowledged, whatever became of the
//! process or the power meanwhile.
//!
//! A writer's `n`-th change writes row `n` with a blob of its own, deletes row `n - 8` and raises
//! the writer's count, all in one; so after any end each writer's eight last rows are there and no
//! other.

use std::path::Path;
use std::sync::Arc;

use freehold_proto::random::Random;
use freehold_store::blobs::{AtRest, Blobs};
use freehold_store::engine::{CACHE_LEN_DEFAULT, EngineKind};
use freehold_store::fs::OsFs;
use freehold_store::space::{FreeSpace, Margins};
use freehold_store::store::{
    EngineSource, FolderLock, OpenError, Scan, Store, StoreError, StoreOptions, Table,
};
use freehold_store::vault::{Unlock, Vault};

const ROWS: Table = Table::new("rows");
const LAST: Table = Table::new("last");
/// How many writers there are.
pub(crate) const WRITERS: u8 = 4;
/// How many rows each leaves.
pub(crate) const ROWS_KEPT: u64 = 8;
/// More than the log takes with a row.
const LARGE_LEN: usize = 150_000;

/// What went wrong with what was acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// A change that was acknowledged is not there.
    Lost(String),
    /// Part of a change is there, or one that nobody made.
    Partial(String),
}

/// Opens the store in `folder`, as on another boot of the machine if one is given.
pub(crate) fn open(
    folder: &Path,
    kind: EngineKind,
    boot: Option<[u8; 32]>,
) -> Result<(Store<()>, Blobs), OpenError> {
    let (fs, random) = (Arc::new(OsFs), Random::from_os().unwrap());
    let data = folder.join("data");
    let claim = FolderLock::acquire(&OsFs, &data)?;
    let unlock = Unlock::KeyFile(folder.join("key"));
    let vault = if Vault::exists(&OsFs, &data).map_err(std::io::Error::other)? {
        Vault::open(fs.clone(), &data, &unlock).map_err(std::io::Error::other)?
    } else {
        Vault::create(fs.clone(), &data, &unlock, &random).map_err(std::io::Error::other)?
    };
    let space = FreeSpace::new(fs.clone(), &data, Margins { watermark: 0, reserve: 0 });
    let blobs = Blobs::new(fs.clone(), &data, vault.keys(), random.clone(), space)?;
    let keys = vault.keys();
    let engine = EngineSource::Kind(kind, CACHE_LEN_DEFAULT);
    let mut options =
        StoreOptions::new(data, fs, engine, keys.store().clone(), keys.log_id(), random);
    options.boot = boot.unwrap_or(options.boot);
    options.folder_lock = Some(claim);
    options.blobs = Some(blobs.clone());
    // Short, so that several are begun and checkpoints and snapshots made.
    options.segment_len = 64 * 1024;
    options.snapshot_after = 512 * 1024;
    Ok((Store::open(options)?, blobs))
}

/// Lets each writer make so many changes more, and calls `said` with writer and number once one is
/// acknowledged.
pub(crate) fn write(
    store: &Store<()>,
    blobs: &Blobs,
    changes: u64,
    said: &(dyn Fn(u8, u64) + Sync),
) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                let last = last(store, writer).unwrap();
                for n in last + 1..=last.saturating_add(changes) {
                    let content = content(writer, n);
                    let pinned = blobs.put(&content, AtRest::Sealed).unwrap();
                    store
                        .commit_blocking(move |tx| {
                            tx.put(LAST, &[writer], &n.to_be_bytes())?;
                            tx.put_referring(
                                ROWS,
                                &key(writer, n),
                                &n.to_be_bytes(),
                                &[pinned.id],
                            )?;
                            if let Some(old) = n.checked_sub(ROWS_KEPT) {
                                tx.delete(ROWS, &key(writer, old));
                            }
                            Ok::<_, StoreError>(())
                        })
                        .unwrap();
                    said(writer, n);
                }
            });
        }
    });
}

/// The key of a writer's row.
pub(crate) fn key(writer: u8, n: u64) -> Vec<u8> {
    [&[writer][..], &n.to_be_bytes()].concat()
}

/// What a writer's change holds; every so often too large for the log.
pub(crate) fn content(writer: u8, n: u64) -> Vec<u8> {
    let len =
        if n.is_multiple_of(37) { LARGE_LEN } else { usize::try_from(n * 37 % 1000).unwrap() };
    [&[writer][..], &n.to_be_bytes(), &vec![7; len]].concat()
}

fn last(store: &Store<()>, writer: u8) -> Result<u64, StoreError> {
    Ok(store
        .get(LAST, &[writer])?
        .map_or(0, |row| u64::from_be_bytes(row.value.try_into().unwrap())))
}

/// Each writer's last change is the last that was acknowledged or the one it was at, and whole;
/// gives those last changes.
pub(crate) fn check(
    store: &Store<()>,
    blobs: &Blobs,
    acknowledged: &[u64],
) -> Result<Vec<u64>, Wrong> {
    let mut seen = Vec::new();
    let lost = |what: &dyn std::fmt::Display| Wrong::Lost(what.to_string());
    for (writer, acknowledged) in (0..WRITERS).zip(acknowledged) {
        let last = last(store, writer).map_err(|e| lost(&e))?;
        let rows = store.scan(ROWS, &Scan::prefix(&[writer], 100)).map_err(|e| lost(&e))?;
        let numbers: Vec<u64> = rows
            .iter()
            .map(|(_, row)| u64::from_be_bytes(row.value.clone().try_into().unwrap()))
            .collect();
        check_numbers(writer, *acknowledged, last, &numbers)?;
        for ((_, row), n) in rows.iter().zip(numbers) {
            let bytes = blobs
                .open(&row.blobs[0])
                .and_then(|blob| blob.read_all(1 << 20))
                .map_err(|e| lost(&e))?;
            if bytes != content(writer, n) {
                return Err(lost(&format!(
                    "writer {writer}: the blob of change {n} holds something else"
                )));
            }
        }
        seen.push(last);
    }
    Ok(seen)
}

/// Holds a writer's count and the rows it left against what was acknowledged.
pub(crate) fn check_numbers(
    writer: u8,
    acknowledged: u64,
    last: u64,
    rows: &[u64],
) -> Result<(), Wrong> {
    if last < acknowledged {
        return Err(Wrong::Lost(format!(
            "writer {writer}: {last} is there, {acknowledged} was acknowledged"
        )));
    }
    // A writer waits for its answer, so at most one change is under way.
    let first = last.saturating_sub(ROWS_KEPT) + 1;
    if last > acknowledged + 1 || rows != (first..=last).collect::<Vec<_>>() {
        let gone = (first..=acknowledged).any(|n| !rows.contains(&n));
        let said = format!(
            "writer {writer}: rows {rows:?} are there, the last is {last}, {acknowledged} was acknowledged"
        );
        return Err(if gone { Wrong::Lost(said) } else { Wrong::Partial(said) });
    }
    Ok(())
}
