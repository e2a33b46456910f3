//! Denies connections while the process uses too much memory: without this limit a flood of
//! connections could make the system kill the node.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm, dummy,
};
use libp2p::{Multiaddr, PeerId};

/// How long one measurement is used: a flood must not cause a system call per connection.
const MEASUREMENT_TTL: Duration = Duration::from_millis(100);

/// The process uses more memory than it may.
#[derive(Debug, thiserror::Error)]
#[error(
    "the process uses {resident_bytes} bytes of memory; above {bytes_max} it takes no connection"
)]
struct MemoryExceeded {
    resident_bytes: usize,
    bytes_max: usize,
}

/// Denies connections, incoming and outgoing, above a limit of resident memory.
pub(super) struct Behaviour {
    bytes_max: usize,
    /// The last measurement: when, and how many bytes were resident.
    measured: Option<(Instant, usize)>,
}

impl Behaviour {
    /// A limit of `bytes_max` bytes of resident memory.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, measured: None }
    }

    fn check(&mut self) -> Result<(), ConnectionDenied> {
        let resident_bytes = self.resident_bytes(Instant::now());
        if resident_bytes > self.bytes_max {
            let exceeded = MemoryExceeded { resident_bytes, bytes_max: self.bytes_max };
            return Err(ConnectionDenied::new(exceeded));
        }
        Ok(())
    }

    fn resident_bytes(&mut self, now: Instant) -> usize {
        match self.measured {
            Some((at, bytes)) if now.duration_since(at) < MEASUREMENT_TTL => bytes,
            _ => match memory_stats::memory_stats() {
                Some(stats) => {
                    self.measured = Some((now, stats.physical_mem));
                    stats.physical_mem
                }
                None => {
                    tracing::warn!("cannot measure the memory of the process");
                    self.measured.map_or(0, |(_, bytes)| bytes)
                }
            },
        }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.check()
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        self.check().map(|()| Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(
        &mut self,
        _: PeerId,
        _: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_allowed(behaviour: &mut Behaviour) -> (bool, bool) {
        let (id, address) = (ConnectionId::new_unchecked(1), Multiaddr::empty());
        let incoming = behaviour.handle_pending_inbound_connection(id, &address, &address);
        let outgoing =
            behaviour.handle_pending_outbound_connection(id, None, &[], Endpoint::Dialer);
        (incoming.is_ok(), outgoing.is_ok())
    }

    #[test]
    fn connections_above_the_memory_limit_are_denied() {
        assert_eq!(is_allowed(&mut Behaviour::new(1)), (false, false));
        assert_eq!(is_allowed(&mut Behaviour::new(usize::MAX)), (true, true));
    }

    #[test]
    fn memory_is_measured_again_after_the_ttl() {
        let mut behaviour = Behaviour::new(1);
        let start = Instant::now();
        behaviour.measured = Some((start, 7));
        assert_eq!(behaviour.resident_bytes(start + MEASUREMENT_TTL / 2), 7);
        assert!(behaviour.resident_bytes(start + MEASUREMENT_TTL) > 7);
    }
}
