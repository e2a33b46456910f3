//! The nouns of a Freehold node and their rules: who, what, who may see; and the store beneath
//! them.
//!
//! This crate opens no socket, renders no page and parses no protocol line.

pub mod audience;
pub mod blocking;
pub mod check;
pub mod crowd;
pub mod delivery_status;
pub mod erasure;
pub mod events;
pub mod feed;
pub mod friends;
pub mod identity;
pub mod ids;
pub mod logins;
pub mod mailbox;
pub mod markdown;
pub mod names;
pub mod node;
pub mod outbox;
pub mod photos;
pub mod posts;
pub mod profile;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timeline;

pub use freehold_proto::{cbor, clock, domains, hlc, keys, mnemonic, random};
pub use freehold_store::{blobs, engine, fs, row, seal, space, vault};

#[cfg(test)]
mod fuzz;
