//! Test support for this crate and the crates above it.

pub mod fuzz;
pub mod identity;
pub mod vectors;
