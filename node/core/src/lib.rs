//! The nouns of a Freehold node and their rules: posts, photos, mailbox, friends, timeline,
//! profile, logins, identity, feed, outbox, erasure and check.
//!
//! This crate opens no socket, renders no page and parses no protocol line. It re-exports the
//! modules of `freehold-proto` and `freehold-store` that the crates above need.

// Each module imports only from earlier floors of this list, and within its own floor only in one
// direction. A test in node/tests/tidy reads the list.

// Floor 1: small types and functions.
pub mod audience;
pub mod domain_name;
pub mod events;
pub mod free_memory;
pub mod ids;
pub mod log_budget;
pub mod names;
pub mod slug;
pub mod text;

// Floor 2: freehold-store with the hints of this crate, and work that blocks.
pub mod blocking;
pub mod store;

// Floor 3: the parts of a node that every noun uses.
pub mod node;

// Floor 4: owner, profile, aliases, outbox, erasure, shares, smarthost, DKIM, MTA-STS, OpenPGP.
pub mod aliases;
pub mod dkim;
pub mod erasure;
pub mod identity;
pub mod mta_sts;
pub mod openpgp_key;
pub mod outbox;
pub mod profile;
pub mod shares;
pub mod smarthost;

// Floor 5: the friends whose entries the feed accepts.
mod friendship;

// Floor 6: signed entries: verified, ordered and stored.
pub mod feed;

// Floor 7: nouns below the site and the timeline.
pub mod friends;
pub mod identity_log;
pub mod logins;
pub mod mailbox;
pub mod photos;

// Floor 8: nouns that show entries.
pub mod delivery_status;
pub mod notices;
pub mod posts;
pub mod timeline;

// Floor 9: the one path from entries to the rows of nouns.
pub mod apply;

// Floor 10: calls that write an entry, each in one commit.
pub mod publish;

// Floor 11: checks of everything stored.
pub mod check;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use freehold_proto::{
    IpScope, cbor, clock, domains, hlc, keys, mnemonic, random, sealed_stream,
};
pub use freehold_store::{blobs, engine, fs, row, seal, space, vault};

#[cfg(test)]
mod fuzz;
