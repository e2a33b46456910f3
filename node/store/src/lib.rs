//! Durable rows and blobs for one process.
//!
//! An append-only, sealed write-ahead log is the truth. Engines and blob files are derived from it
//! and can be rebuilt from a snapshot and the log. This crate knows no person, post or message; the
//! crate above chooses the type of the hints that report a change.
//!
//! Modules import only from floors below theirs (a test in `tests/store` checks it): [`types`],
//! [`fs`], [`hints`] ← [`seal`], [`space`], [`vault`] ← [`blobs`] ← the write-ahead log ←
//! [`engine`] ← [`store`] ← [`row`].

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
