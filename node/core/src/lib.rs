//! The nouns of a Freehold node and their rules: posts, photos, mailbox, friends, timeline,
//! profile, logins, identity, feed, outbox, erasure and check.
//!
//! This crate opens no socket, renders no page and parses no protocol line. It re-exports the
//! modules of `freehold-proto` and `freehold-store` that the crates above need.

pub mod apply;
pub mod audience;
pub mod blocking;
pub mod check;
pub mod delivery_status;
pub mod erasure;
pub mod events;
pub mod feed;
pub mod friends;
mod friendship;
pub mod identity;
pub mod identity_log;
pub mod ids;
pub mod logins;
pub mod mailbox;
pub mod names;
pub mod node;
pub mod outbox;
pub mod photos;
pub mod posts;
pub mod profile;
pub mod publish;
pub mod slug;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod text;
pub mod timeline;

pub use freehold_proto::{cbor, clock, domains, hlc, keys, mnemonic, random};
pub use freehold_store::{blobs, engine, fs, row, seal, space, vault};

#[cfg(test)]
mod fuzz;
