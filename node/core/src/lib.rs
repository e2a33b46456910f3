//! The nouns of a Freehold node and their rules: who, what, who may see; and the store beneath
//! them.
//!
//! This crate opens no socket, renders no page and parses no protocol line.

pub mod arrivals;
pub mod audience;
pub mod blobs;
pub mod check;
pub mod engine;
pub mod events;
pub mod feed;
pub mod friends;
pub mod fs;
pub mod history;
pub mod identity;
pub mod journal;
pub(crate) mod log;
pub mod logins;
pub mod mailbox;
pub mod markdown;
pub mod names;
pub mod node;
pub mod photos;
pub mod posts;
pub mod profile;
pub mod row;
pub mod seal;
pub mod space;
pub mod store;
pub mod testing;
pub mod timeline;
pub mod vault;

pub use freehold_proto::{cbor, clock, domains, hlc, keys, mnemonic, random};

#[cfg(test)]
mod fuzz;
