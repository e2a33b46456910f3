//! Two nodes or more over real TCP and QUIC on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "an unexpected result must fail the test"
)]

mod feeds;
mod friends;
mod mail;
mod person;
mod relay;
