//! The state that every task of the federation works with.

use std::time::Duration;

use freehold_core::node::Node;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::FederationConfig;
use crate::network::Network;
use crate::partial_blobs::PartialBlobs;
use crate::peers::{Peer, Peers};
use crate::quotas::Quotas;

/// The state of one node's federation.
pub(crate) struct FederationState {
    pub(crate) node: Node,
    pub(crate) network: Network,
    pub(crate) config: FederationConfig,
    pub(crate) run: Run,
    pub(crate) peers: Peers,
    pub(crate) quotas: Quotas,
    pub(crate) partial_blobs: PartialBlobs,
    pub(crate) refresh: RefreshSignals,
}

/// One run of the federation, from its start to its stop.
pub(crate) struct Run {
    /// Random, drawn at the start; see `wire::hello`.
    pub(crate) id: u64,
    /// Cancelled when the node stops.
    pub(crate) stop: CancellationToken,
    /// Every task that must end before the network stops.
    pub(crate) tasks: TaskTracker,
}

/// Signals to the tasks of `refresh` and to that of `mail`.
#[derive(Default)]
pub(crate) struct RefreshSignals {
    /// Friends or identity logs may have changed.
    pub(crate) friends: Notify,
    /// This node's addresses, or its owner's, may have changed.
    pub(crate) homes: Notify,
    /// A friend's node may have connected: mail may wait for it.
    pub(crate) mail: Notify,
}

impl Run {
    /// Runs a task that is dropped when the node stops.
    pub(crate) fn spawn_until_stop(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(self.stop.clone().run_until_cancelled_owned(task));
    }

    /// Stops every task; returns once all have ended.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl FederationState {
    pub(crate) fn new(node: Node, network: Network, config: FederationConfig) -> Self {
        let (id, now) = (node.random.u64(), node.clock.now());
        let run = Run { id, stop: CancellationToken::new(), tasks: TaskTracker::new() };
        Self {
            peers: Peers::new(run.stop.clone()),
            quotas: Quotas::new(config.photos_mib_per_friend_day, now),
            node,
            network,
            config,
            run,
            partial_blobs: PartialBlobs::default(),
            refresh: RefreshSignals::default(),
        }
    }

    /// Takes `cost` short requests from the peer's rate, and unless the peer is expected, from the
    /// rate of its network and from that of all strangers.
    pub(crate) fn may_request(&self, peer: &Peer, cost: usize) -> bool {
        peer.take_requests(cost, self.node.clock.now()) && self.may_share(peer, cost)
    }

    /// Takes `cost` short requests from the rates that strangers share, unless the peer is
    /// expected.
    pub(crate) fn may_share(&self, peer: &Peer, cost: usize) -> bool {
        let (now, net) = (self.node.clock.now(), self.network.net_of(peer.key));
        self.peers.is_expected(peer) || self.quotas.take_stranger_requests(net, cost, now)
    }

    /// Exempts a peer from the limits on strangers that has shown the token of an open invite.
    pub(crate) fn expect_invited(&self, peer: &Peer) {
        if !peer.invited.is_cancelled() {
            peer.invited.cancel();
            self.network.exempt(peer.key);
        }
    }

    /// Takes `len` bytes of blobs, to be sent or hashed, from the peer's rate, and from the
    /// strangers' rate unless the peer is a friend.
    pub(crate) fn may_take_blob(&self, peer: &Peer, len: u64) -> bool {
        let kib = usize::try_from(len / 1024 + 1).unwrap_or(usize::MAX);
        let (now, is_friend) = (self.node.clock.now(), peer.is_friend());
        peer.take_blob_kib(kib, is_friend, now)
            && (is_friend || self.quotas.take_stranger_blob_kib(kib, now))
    }

    /// A random pause before a retry on an open connection: 50 to 100 ms between nodes on one
    /// machine, 1 to 2 s otherwise.
    pub(crate) fn retry_pause(&self) -> Duration {
        let base_millis = if self.config.is_local() { 50 } else { 1000 };
        Duration::from_millis(base_millis + self.node.random.u64() % base_millis)
    }
}
