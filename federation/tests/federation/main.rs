//! Two nodes and more, over real TCP and QUIC on loopback.

mod befriending;
mod network;
mod travelling;
