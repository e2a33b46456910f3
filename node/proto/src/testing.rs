//! For tests, of this crate and of those above it.

pub mod fuzz;
pub mod identity;
pub mod vectors;
