//! Test support for this crate and the crates above it.

pub mod failing_engine;
pub mod hooked_fs;

pub use crate::store::traces::traces;
