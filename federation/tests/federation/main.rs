//! Two nodes and more, over real TCP and QUIC on loopback.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets what it does not expect must stop"
)]

mod befriending;
mod network;
mod travelling;
