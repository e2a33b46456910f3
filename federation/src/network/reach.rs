//! Where this node is reached, and so which addresses that others name it dials: an address inside
//! a machine or a private network is dialed only by a node that is itself there. Otherwise a
//! stranger's invite or a friend's addresses could make it connect to services behind its firewall.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use freehold_core::IpScope;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;

/// The farthest from where this node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Programs on this machine.
    Machine,
    /// Machines of a private network.
    Private,
    /// The Internet.
    Public,
}

/// The present reach, which changes with the machine's addresses.
#[derive(Clone, Debug)]
pub(super) struct SharedReach(Arc<RwLock<Reach>>);

impl SharedReach {
    pub(super) fn new(reach: Reach) -> Self {
        Self(Arc::new(RwLock::new(reach)))
    }

    pub(super) fn get(&self) -> Reach {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, reach: Reach) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = reach;
    }
}

impl Reach {
    /// The reach of a node with these configured external addresses, which listens on these.
    pub(super) fn of<'a>(
        external: impl Iterator<Item = &'a Multiaddr>,
        listeners: impl Iterator<Item = &'a Multiaddr>,
    ) -> Self {
        // A name is configured for friends elsewhere.
        let named = external.map(|address| ip(address).map_or(Self::Public, Self::of_ip));
        let bound = listeners.filter_map(ip).map(Self::of_ip);
        named.chain(bound).max().unwrap_or(Self::Machine)
    }

    fn of_ip(ip: IpAddr) -> Self {
        match IpScope::of(ip) {
            IpScope::Global => Self::Public,
            IpScope::Private => Self::Private,
            IpScope::Machine | IpScope::Unusable => Self::Machine,
        }
    }

    /// True if a node of this reach dials the address because another node has named it.
    pub(super) fn may_dial(self, ip: IpAddr) -> bool {
        match IpScope::of(ip) {
            IpScope::Global => true,
            IpScope::Private => self != Self::Public,
            IpScope::Machine => self == Self::Machine,
            IpScope::Unusable => false,
        }
    }

    /// True if friends of a node of this reach can use its listen address.
    pub(super) fn is_useful(self, listener: &Multiaddr) -> bool {
        match ip(listener).map(IpScope::of) {
            Some(IpScope::Global) => true,
            Some(IpScope::Private) => self == Self::Private,
            Some(IpScope::Machine) => self == Self::Machine,
            Some(IpScope::Unusable) | None => false,
        }
    }
}

/// The IP address in a multiaddr; `None` if it has a name instead.
pub(super) fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(external: &[&str], listeners: &[&str]) -> Reach {
        let parse = |all: &[&str]| -> Vec<Multiaddr> {
            all.iter().map(|address| address.parse().unwrap()).collect()
        };
        Reach::of(parse(external).iter(), parse(listeners).iter())
    }

    #[test]
    fn public_node_dials_global_addresses_only() {
        let public =
            reach(&[], &["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1", "/ip4/11.1.5.2/tcp/1"]);
        assert_eq!(public, reach(&["/dns4/alice.example/tcp/443"], &["/ip4/10.0.0.2/tcp/1"]));
        for (address, allowed) in [
            ("11.1.5.3", true),
            ("127.0.0.1", false),
            ("192.168.77.1", false),
            ("169.254.169.254", false),
            ("::ffff:127.0.0.1", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(public.may_dial(address.parse().unwrap()), allowed, "{address}");
        }
    }

    #[test]
    fn local_node_dials_its_own_neighbours() {
        let machine = reach(&[], &["/ip4/127.0.0.1/tcp/1"]);
        let private = reach(&[], &["/ip4/127.0.0.1/tcp/1", "/ip4/10.0.0.2/tcp/1"]);
        let [loopback, neighbour, link] =
            ["127.0.0.1", "10.0.0.3", "169.254.169.254"].map(|ip| ip.parse().unwrap());
        assert!(machine.may_dial(loopback) && private.may_dial(neighbour));
        assert!(!private.may_dial(loopback) && !machine.may_dial(link) && !private.may_dial(link));
    }
}
