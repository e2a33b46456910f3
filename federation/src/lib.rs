//! A Freehold node's friends, over libp2p: sends the owner's new entries to friends, receives
//! theirs.
//!
//! Layers, each of which imports only those before it: `network` (the only module that knows
//! libp2p), `wire` (the messages) and `sync` (the exchange of feeds, without IO); `peers`, `quotas`
//! and `state` (the peers that are connected, and the costs they may cause); one module per
//! protocol (`hello`, `follow`, `sync_stream`, `blobs`, `mail`); `serve`, `maintain` and
//! `dispatch`, which decide what runs on a connection. `push` reads core's outbox; `receive` hands
//! received entries to core, which verifies them. No module here decides who may see a post.

mod acks;
mod blob_parts;
mod blobs;
mod config;
mod dial;
mod dispatch;
mod follow;
mod held;
mod hello;
#[cfg(test)]
mod hostile_peer;
mod identity_logs;
mod limits;
mod mail;
mod maintain;
mod network;
mod own_feeds;
mod partial_blobs;
mod peer_identity;
mod peers;
mod push;
mod quotas;
mod rate;
mod receive;
mod refresh;
mod runs;
mod serve;
#[cfg(test)]
mod simulation;
mod state;
mod sync;
mod sync_stream;
mod wire;

use std::sync::Arc;

use freehold_core::node::Node;
use tokio::task::JoinHandle;

pub use config::{FederationConfig, FederationConfigError, WebAddress};
pub use network::StartError;
use state::FederationState;

/// The running federation of one node.
pub struct Federation {
    state: Arc<FederationState>,
    swarm: JoinHandle<()>,
}

impl Federation {
    /// Starts to listen and to dial friends; returns once the listen addresses are known.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the network cannot be set up.
    pub async fn start(node: Node, config: FederationConfig) -> Result<Self, StartError> {
        let (network, events, swarm) =
            network::Network::start(node.identity.libp2p_secret(), &config, &wire::PROTOCOLS)
                .await?;
        let state = Arc::new(FederationState::new(node, network, config));
        state.run.tasks.spawn(dispatch::run(Arc::clone(&state), events));
        state.run.spawn_until_stop(push::run(Arc::clone(&state)));
        state.run.spawn_until_stop(mail::run(Arc::clone(&state)));
        Ok(Self { state, swarm })
    }

    /// This node's addresses for friends: multiaddrs that end in its `PeerId`.
    pub fn addresses(&self) -> Vec<String> {
        self.state.network.addresses()
    }

    /// The port that friends' nodes connect to; `None` if this node listens on none.
    pub fn port(&self) -> Option<u16> {
        self.state.network.port()
    }

    /// [`Self::addresses`] at any later moment, as long as the value is kept.
    pub fn address_source(&self) -> impl Fn() -> Vec<String> + Send + Sync + use<> {
        self.state.network.address_source()
    }

    /// Closes every connection and stops. Entries that were not sent yet are sent after the next
    /// start.
    pub async fn shutdown(self) {
        self.state.run.end().await;
        self.state.network.stop().await;
        // The task ends once the swarm is stopped; a panic in it was reported when it happened.
        let _ = self.swarm.await;
    }
}
