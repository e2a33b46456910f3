//! Durable rows and blobs for one process.
//!
//! An append-only, sealed write-ahead log is the truth. Engines and blob files are derived from it
//! and can be rebuilt from a snapshot and the log. Nothing here knows a person, a post or a
//! message: what changed is told by hints of a type the crate above chooses.

pub mod blobs;
pub mod engine;
pub mod fs;
pub mod hints;
pub mod row;
pub mod seal;
pub mod space;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod types;
pub mod vault;
mod wal;
