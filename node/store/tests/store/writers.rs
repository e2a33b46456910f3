//! Writers whose changes can be compared with the acknowledged ones after a kill or a power cut.
//!
//! The `n`-th change of a writer writes row `n` with a blob, deletes row `n - 8` and increments the
//! writer's count, in one change. So at any time the store holds exactly the last eight rows of
//! each writer. The blobs of deleted rows are removed; packs are rewritten and the engine is
//! compacted now and then.

use std::path::Path;
use std::sync::Arc;

use freehold_proto::random::Random;
use freehold_store::blobs::Blobs;
use freehold_store::engine::{CACHE_LEN_DEFAULT, EngineKind};
use freehold_store::fs::OsFs;
use freehold_store::space::{FreeSpace, Margins};
use freehold_store::store::{
    BlobId, EngineSource, FolderLock, OpenError, Scan, Store, StoreError, StoreOptions, Table,
};
use freehold_store::vault::{Unlock, Vault};

const ROWS: Table = Table::referring("rows");
const LAST: Table = Table::new("last");
/// The number of writers.
pub(crate) const WRITERS: u8 = 4;
/// The number of rows that each writer keeps.
pub(crate) const ROWS_KEPT: u64 = 8;
/// The length of a blob that is too large for the log, in bytes.
const LARGE_LEN: usize = 150_000;

/// A difference between the store and the acknowledged changes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// An acknowledged change is missing.
    Lost(String),
    /// A change is partial, or was never made.
    Partial(String),
}

/// Opens the store in `folder`, with the id `boot` of the machine's boot if given.
pub(crate) fn open(
    folder: &Path,
    kind: EngineKind,
    boot: Option<[u8; 32]>,
) -> Result<(Store<()>, Blobs), OpenError> {
    let (fs, random) = (Arc::new(OsFs), Random::from_os().unwrap());
    let data = folder.join("data");
    let folder_lock = FolderLock::acquire(&OsFs, &data)?;
    let unlock = Unlock::KeyFile(folder.join("key"));
    let vault = if Vault::exists(&OsFs, &data).map_err(std::io::Error::other)? {
        Vault::open(fs.clone(), &data, &unlock).map_err(std::io::Error::other)?
    } else {
        Vault::create(fs.clone(), &data, &unlock, &random).map_err(std::io::Error::other)?
    };
    let space = FreeSpace::new(fs.clone(), &data, Margins::NONE);
    let blobs = Blobs::new(fs.clone(), &data, vault.keys(), random.clone(), space)?;
    let keys = vault.keys();
    let engine = EngineSource::Kind(kind, CACHE_LEN_DEFAULT);
    let mut options =
        StoreOptions::new(data, fs, engine, keys.store().clone(), keys.log_id(), random);
    options.boot = boot.unwrap_or(options.boot);
    options.folder_lock = Some(folder_lock);
    options.blobs = Some(blobs.clone());
    // Short, so that there are several segments, checkpoints and snapshots.
    options.segment_len = 64 * 1024;
    options.snapshot_after = 512 * 1024;
    let store = Store::open(options)?;
    // The index of blobs of a new store is complete from the first row on.
    blobs.turn_over(&store, &|| true)?;
    Ok((store, blobs))
}

/// Makes `changes` changes with each writer, and calls `acknowledged` with writer and number after
/// each.
pub(crate) fn write(
    store: &Store<()>,
    blobs: &Blobs,
    changes: u64,
    acknowledged: &(dyn Fn(u8, u64) + Sync),
) {
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                let last = last(store, writer).unwrap();
                for n in last + 1..=last.saturating_add(changes) {
                    let content = content(writer, n);
                    let pinned = blobs.put(&content).unwrap();
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
                    acknowledged(writer, n);
                    tidy(store, blobs, writer, n);
                }
            });
        }
    });
}

/// Removes the blob of a deleted row; rewrites packs and compacts the engine now and then.
fn tidy(store: &Store<()>, blobs: &Blobs, writer: u8, n: u64) {
    if let Some(old) = n.checked_sub(ROWS_KEPT).filter(|old| old.is_multiple_of(5)) {
        let id = BlobId(*blake3::hash(&content(writer, old)).as_bytes());
        blobs.unlink_now(store, &[id]).unwrap();
    }
    if writer == 0 && n.is_multiple_of(60) {
        store.compact_engine(&|| true).unwrap();
    }
    if n.is_multiple_of(150) {
        blobs.rewrite_packs(store, 40).unwrap();
    }
}

/// The key of the row of a change.
pub(crate) fn key(writer: u8, n: u64) -> Vec<u8> {
    [&[writer][..], &n.to_be_bytes()].concat()
}

/// The blob of a change; one in 37 is too large for the log.
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

/// Checks that the last change of each writer is its last acknowledged one or the one after that,
/// and complete. Returns the last changes.
pub(crate) fn check(
    store: &Store<()>,
    blobs: &Blobs,
    acknowledged: &[u64],
) -> Result<Vec<u64>, Problem> {
    let mut last_changes = Vec::new();
    let lost = |what: &dyn std::fmt::Display| Problem::Lost(what.to_string());
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
                    "writer {writer}: the blob of change {n} has another content"
                )));
            }
        }
        last_changes.push(last);
    }
    let problems = blobs.check_index(store, &|_| Ok(())).map_err(|e| lost(&e))?;
    if !problems.is_empty() {
        return Err(Problem::Partial(problems.join("; ")));
    }
    Ok(last_changes)
}

/// Compares a writer's count and rows with its last acknowledged change.
pub(crate) fn check_numbers(
    writer: u8,
    acknowledged: u64,
    last: u64,
    rows: &[u64],
) -> Result<(), Problem> {
    if last < acknowledged {
        return Err(Problem::Lost(format!(
            "writer {writer}: the last change is {last}, but {acknowledged} was acknowledged"
        )));
    }
    // A writer waits for each acknowledgement, so at most one later change is stored.
    let first = last.saturating_sub(ROWS_KEPT) + 1;
    if last > acknowledged + 1 || rows != (first..=last).collect::<Vec<_>>() {
        let is_lost = (first..=acknowledged).any(|n| !rows.contains(&n));
        let problem = format!(
            "writer {writer}: rows {rows:?}, last change {last}, acknowledged {acknowledged}"
        );
        return Err(if is_lost { Problem::Lost(problem) } else { Problem::Partial(problem) });
    }
    Ok(())
}
