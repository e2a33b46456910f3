//! Durable rows and blobs for one process.
//!
//! An append-only, sealed write-ahead log is the truth. Engines and blob files are derived from it
//! and can be rebuilt from a snapshot and the log. This crate knows no person, post or message; the
//! crate above chooses the type of the hints that report a change.

// Each module imports only from earlier floors of this list, and within its own floor only in one
// direction. A test in node/tests/tidy reads the list.

// Floor 1: types of every layer, the file system, hints.
mod backoff;
pub mod fs;
pub mod hints;
pub mod types;

// Floor 2: seals, free space, the vault.
pub mod seal;
pub mod space;
pub mod vault;

// Floor 3: blobs.
pub mod blobs;

// Floor 4: the write-ahead log.
mod wal;

// Floor 5: engines.
pub mod engine;

// Floor 6: commits, checkpoints, snapshots, recovery.
pub mod store;

// Floor 7: typed rows.
pub mod row;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
