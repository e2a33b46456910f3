//! A Freehold node's friends, over libp2p.
mod blobs;
mod config;
mod limits;
mod network;
mod rate;
mod sync;
mod wire;
pub use config::FederationConfig;
pub use network::StartError;
