//! Mail as its clients see it: transcripts of sessions, and real connections.
#![allow(unreachable_pub, reason = "this binary is its own only user")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

mod aliases;
mod authentication;
mod clients;
mod compression;
mod connection_reuse;
mod dns;
mod endless_import;
mod imap;
mod imap_import;
mod limits;
mod link;
mod next_hop;
mod object_ids;
mod queue;
mod refused;
mod relay;
mod sasl;
mod server;
mod sessions;
mod smarthost;
mod smtp;
mod text_search;
mod threads;
mod transcript;
mod unavailable;
mod workers;
