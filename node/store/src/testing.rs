//! For tests, of this crate and of those above it.

pub mod hooked_fs;

pub use crate::store::traces::traces;
