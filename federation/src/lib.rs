//! A Freehold node's friends, over libp2p: what the owner publishes goes out, what friends publish
//! comes in.
//!
//! `network` is the only module that knows libp2p; `wire` is what the streams carry; `sync` is one exchange of feeds without
//! IO. `outbox` reads the outbox, `inbox` hands what arrives to core, which verifies it; nothing
//! here decides who may see what.

mod aside;
mod blobs;
mod config;
mod dial;
mod follow;
mod hello;
mod inbox;
#[cfg(test)]
mod liar;
mod limits;
mod network;
mod peers;
mod push;
mod rate;
mod refresh;
mod serve;
#[cfg(test)]
mod simulation;
mod standing;
mod sync;
mod wire;

use std::sync::Arc;

use freehold_core::node::Node;
use tokio::task::JoinHandle;

pub use config::{FederationConfig, WebAddress};
pub use network::StartError;
use peers::Shared;

/// The running federation of one node.
pub struct Federation {
    shared: Arc<Shared>,
    swarm: JoinHandle<()>,
}

impl Federation {
    /// Starts listening and calling friends; returns once the addresses are known.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the network cannot be set up.
    pub async fn start(node: Node, config: FederationConfig) -> Result<Self, StartError> {
        let (network, events, swarm) =
            network::Network::start(node.identity.libp2p_secret(), &config, &wire::PROTOCOLS)
                .await?;
        let shared = Arc::new(Shared::new(node, network, &config));
        shared.tasks.spawn(peers::run(Arc::clone(&shared), events));
        let push = push::run(Arc::clone(&shared));
        shared.tasks.spawn(shared.stop.clone().run_until_cancelled_owned(push));
        Ok(Self { shared, swarm })
    }

    /// Where friends find this node: multiaddrs that end in its `PeerId`.
    pub fn addresses(&self) -> Vec<String> {
        self.shared.network.addresses()
    }

    /// Takes leave of every friend and stops; what was not sent waits for the next start.
    pub async fn shutdown(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.network.stop().await;
        // The task ends by itself once the swarm is stopped; a panic in it has been reported
        // already.
        let _ = self.swarm.await;
    }
}
