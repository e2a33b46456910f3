//! The formats that Freehold nodes sign and exchange: ids, keys, canonical CBOR, identity logs and
//! feed entries. They never change; the test vectors in `tests/vectors` prove it.
//!
//! This crate does no IO and knows no store.

mod blob_id;
pub mod cbor;
mod client_net;
pub mod clock;
pub mod domains;
pub mod entry;
pub mod hlc;
pub mod identity;
mod ip_scope;
pub mod keys;
pub mod mnemonic;
pub mod random;
pub mod sealed_stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod vectors;

pub use blob_id::BlobId;
pub use client_net::ClientNet;
pub use ip_scope::IpScope;
