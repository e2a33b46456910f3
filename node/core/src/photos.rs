//! The owner's photos.

pub mod develop;
