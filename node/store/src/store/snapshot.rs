//! Snapshots: all rows up to one position, in one sorted file that does not depend on the engine. A
//! new snapshot is the snapshot before it, merged with the log since.
//!
//! `snapshots/<position>.snap`: magic (7), version (1), log id (16), file id (16), generation (8),
//! position (8), hash (32), BLAKE3 of these (32); then chunks: last? (1), length (4), sealed rows,
//! bound to the file id and their number. A row: table (1 + n), key (2 + n), sealed value (4 + n).
//! The last chunk holds the number of rows (8) and their root: BLAKE3 over all of them. Integers
//! little-endian. Since version 2 the rows of a chunk are a block of LZ4 after its length (4): keys
//! that follow one another, and the names of tables, are much alike. A new snapshot is renamed to
//! this name after it is durable and was read back. The last two are kept, and the log since the
//! older one.

use std::io;
use std::path::{Path, PathBuf};

use super::{Stop, StoreError};
use crate::fs::{self, Fs};
use crate::wal::WalId;
use crate::wal::recover::Reader;

mod layers;
mod merge;
mod read;
mod write;

pub(super) use merge::SnapshotMaker;
pub(super) use read::{ContinueCheck, Snapshot, SnapshotRow};

const MAGIC: [u8; 7] = *b"FHsnap\0";
/// The version of new snapshots.
const VERSION: u8 = 2;
const HEAD_LEN: usize = 8 + 16 + 16 + 8 + 8 + 32 + 32;
const AAD_LABEL: &[u8] = b"freehold snapshot 1";

fn folder(data: &Path) -> PathBuf {
    data.join("snapshots")
}

/// The file of the snapshot of `position`.
pub(super) fn path(data: &Path, position: u64) -> PathBuf {
    folder(data).join(format!("{position:016x}.snap"))
}

/// The positions of the existing snapshots, oldest first.
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

/// A snapshot that was verified to its end, opened again for reading.
pub(super) struct IntactSnapshot {
    pub(super) snapshot: Snapshot,
    /// The number of rows.
    pub(super) rows: u64,
}

/// The newest intact snapshot.
pub(super) fn newest_intact(
    reader: &Reader,
    data: &Path,
    wal: WalId,
    stop: &Stop,
) -> Result<Option<IntactSnapshot>, StoreError> {
    for position in list(&*reader.fs, data)?.into_iter().rev() {
        let path = path(data, position);
        let open = || Snapshot::open(&*reader.fs, &reader.seal, &path, wal);
        let verified = open()
            .and_then(|snapshot| snapshot.verify(&|| stop.check()))
            .and_then(|rows| Ok((open()?, rows)));
        stop.check()?;
        match verified {
            Ok((snapshot, rows)) => return Ok(Some(IntactSnapshot { snapshot, rows })),
            Err(error) => {
                tracing::error!(%error, position, "a snapshot is damaged; an older one is used")
            }
        }
    }
    Ok(None)
}

/// The associated data of a chunk.
fn associated_data(id: &[u8; 16], number: u64, last: bool) -> Vec<u8> {
    [AAD_LABEL, id, &number.to_le_bytes(), &[u8::from(last)]].concat()
}

fn damaged() -> StoreError {
    StoreError::Unavailable("a snapshot is damaged".into())
}
