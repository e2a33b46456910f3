//! The libp2p protocols that run, with their limits. There is no Kademlia, gossipsub or rendezvous:
//! a public table would publish every node's address, topics would leak who reads whom, and for one
//! person's friends direct streams are simpler. Nor is there relay, DCUtR, AutoNAT, mDNS or UPnP: a
//! node on a public address needs none of them, and an AutoNAT server dials addresses that
//! strangers choose.

use std::convert::Infallible;
use std::time::Duration;

use libp2p::connection_limits::ConnectionLimits;
use libp2p::identity::Keypair;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    Swarm, SwarmBuilder, allow_block_list, connection_limits, identify, ping, quic, yamux,
};

use crate::config::FederationConfig;
use crate::network::reach::SharedReach;
use crate::network::{StartError, memory, strangers, transport};

/// Interval between public hosts, where a ping only detects that a peer is gone.
const PING_INTERVAL_PUBLIC: Duration = Duration::from_secs(300);
/// Interval behind a router, where a ping also keeps the router's mapping of the connection.
const PING_INTERVAL_HOME: Duration = Duration::from_secs(60);
/// A connection without streams is closed after this; a friend's always has its sync stream.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Streams a peer may have open at once: sync, four blobs, and short requests.
const STREAMS_MAX: usize = 32;
/// Bytes in flight from a peer on one QUIC stream.
const QUIC_STREAM_WINDOW: u32 = 1 << 20;
/// Bytes in flight from a peer on one QUIC connection.
const QUIC_CONNECTION_WINDOW: u32 = 4 << 20;
/// Pending outgoing handshakes.
const PENDING_OUTGOING_MAX: u32 = 32;
/// Connections of one stranger: one, and for a moment another, since a dialing node tries TCP and
/// QUIC at once and drops the slower. Friends are exempt: otherwise two nodes that dial each other
/// at once could both close both connections.
const PER_STRANGER_MAX: u32 = 2;
/// The protocol version for identify: the family of protocols, without a release number that an
/// attacker could look up.
const PROTOCOL_VERSION: &str = "freehold/1";

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p::swarm::derive_prelude")]
pub(super) struct Behaviour {
    // The limits come first: the behaviours after them never see a connection that is denied.
    pub(super) blocked: allow_block_list::Behaviour<allow_block_list::BlockedPeers>,
    pub(super) limits: connection_limits::Behaviour,
    pub(super) strangers: strangers::Behaviour,
    memory: memory::Behaviour,
    pub(super) streams: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(STREAMS_MAX);
    config
}

fn quic(keypair: &Keypair) -> quic::Config {
    let mut config = quic::Config::new(keypair);
    config.max_concurrent_stream_limit = u32::try_from(STREAMS_MAX).unwrap_or(u32::MAX);
    config.max_stream_data = QUIC_STREAM_WINDOW;
    config.max_connection_data = QUIC_CONNECTION_WINDOW;
    config
}

/// Builds the swarm. Nothing listens yet.
pub(super) fn swarm(
    keypair: Keypair,
    config: &FederationConfig,
    reach: SharedReach,
    nets: strangers::Nets,
) -> Result<Swarm<Behaviour>, StartError> {
    let transport = transport::transport(&keypair, muxer(), quic(&keypair), reach)
        .map_err(|error| StartError::Transport(error.to_string()))?;
    Ok(SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .map_err(|error: Infallible| -> StartError { match error {} })?
        .with_dns()
        .map_err(|error| StartError::Transport(error.to_string()))?
        .with_behaviour(|keypair| behaviour(keypair, config, nets))
        .map_err(|error| StartError::Transport(error.to_string()))?
        .with_swarm_config(|swarm| {
            swarm
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_max_negotiating_inbound_streams(STREAMS_MAX)
        })
        .build())
}

fn behaviour(keypair: &Keypair, config: &FederationConfig, nets: strangers::Nets) -> Behaviour {
    let identify = identify::Config::new(PROTOCOL_VERSION.to_owned(), keypair.public())
        .with_agent_version("freehold".to_owned())
        .with_hide_listen_addrs(true)
        .with_cache_size(0);
    let ping = if config.behind_router { PING_INTERVAL_HOME } else { PING_INTERVAL_PUBLIC };
    let limits = ConnectionLimits::default()
        .with_max_pending_outgoing(Some(PENDING_OUTGOING_MAX))
        .with_max_established_per_peer(Some(PER_STRANGER_MAX));
    Behaviour {
        blocked: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        strangers: strangers::Behaviour::new(config.strangers_max, nets),
        memory: memory::Behaviour::new(config.memory_bytes_max),
        streams: libp2p_stream::Behaviour::new(),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(ping)),
    }
}
