//! How many connections strangers may have: a total, a share per network, and which connection is
//! closed for a newcomer.

use std::collections::HashMap;
use std::net::IpAddr;

use freehold_core::logins::ClientNet;
use libp2p::swarm::ConnectionId;

/// The connections that hold a slot, oldest first.
pub(super) struct Slots {
    total_max: usize,
    per_net_max: usize,
    held: Vec<(ConnectionId, ClientNet)>,
}

/// No slot is free for this caller.
#[derive(Debug, thiserror::Error)]
#[error("no connection slot is free for a stranger from this network")]
pub(super) struct NoSlot;

impl Slots {
    /// `total_max` slots, `per_net_max` of them for one network (an IPv4 address, an IPv6 /64). At
    /// least one of each.
    pub(super) fn new(total_max: usize, per_net_max: usize) -> Self {
        Self { total_max: total_max.max(1), per_net_max: per_net_max.max(1), held: Vec::new() }
    }

    /// Gives a slot to a connection from `address`. An address that `is_shared` by many callers is
    /// held to the total alone. When the total is used up, the customer (IPv4 address, IPv6 /48)
    /// with the most slots loses its oldest one, if it has more than the newcomer; that connection
    /// is returned and must be closed.
    ///
    /// # Errors
    /// When the network's share is used up, or no other customer has more slots.
    pub(super) fn admit(
        &mut self,
        connection: ConnectionId,
        address: IpAddr,
        is_shared: bool,
    ) -> Result<Option<ConnectionId>, NoSlot> {
        let net = ClientNet::from(address);
        let share = self.held.iter().filter(|(_, held)| *held == net).count();
        if !is_shared && share >= self.per_net_max {
            return Err(NoSlot);
        }
        let evicted = if self.held.len() < self.total_max {
            None
        } else {
            Some(self.evict(net).ok_or(NoSlot)?)
        };
        self.held.push((connection, net));
        Ok(evicted)
    }

    /// Gives a connection's slot back, if it has one.
    pub(super) fn release(&mut self, connection: ConnectionId) {
        self.held.retain(|(held, _)| *held != connection);
    }

    fn evict(&mut self, newcomer: ClientNet) -> Option<ConnectionId> {
        let mut by_customer: HashMap<ClientNet, usize> = HashMap::new();
        for (_, net) in &self.held {
            *by_customer.entry(net.customer()).or_default() += 1;
        }
        let slots = |net: ClientNet| by_customer.get(&net.customer()).copied().unwrap_or(0);
        let most = self.held.iter().map(|(_, net)| slots(*net)).max()?;
        if most <= slots(newcomer) {
            return None;
        }
        let oldest = self.held.iter().position(|(_, net)| slots(*net) == most)?;
        Some(self.held.remove(oldest).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(slots: &mut Slots, number: usize, address: &str) -> Result<Option<usize>, ()> {
        let connection = ConnectionId::new_unchecked(number);
        let evicted = slots.admit(connection, address.parse().unwrap(), false);
        let number = |id| (0..100).find(|n| ConnectionId::new_unchecked(*n) == id).unwrap();
        evicted.map(|evicted| evicted.map(number)).map_err(|_| ())
    }

    #[test]
    fn network_is_held_to_its_share_of_slots() {
        let mut slots = Slots::new(9, 2);
        assert_eq!(admit(&mut slots, 1, "192.0.2.1"), Ok(None));
        assert_eq!(admit(&mut slots, 2, "192.0.2.1"), Ok(None));
        assert_eq!(admit(&mut slots, 3, "::ffff:192.0.2.1"), Err(()));
        assert_eq!(admit(&mut slots, 4, "192.0.2.2"), Ok(None));
        slots.release(ConnectionId::new_unchecked(1));
        assert_eq!(admit(&mut slots, 5, "192.0.2.1"), Ok(None));
    }

    #[test]
    fn largest_customer_loses_its_oldest_slot() {
        let mut slots = Slots::new(3, 2);
        assert_eq!(admit(&mut slots, 1, "192.0.2.1"), Ok(None));
        assert_eq!(admit(&mut slots, 2, "2001:db8:1:1::1"), Ok(None));
        assert_eq!(admit(&mut slots, 3, "2001:db8:1:2::1"), Ok(None));
        assert_eq!(admit(&mut slots, 4, "192.0.2.2"), Ok(Some(2)), "two /64 of one /48");
        assert_eq!(admit(&mut slots, 5, "192.0.2.2"), Err(()), "no customer has more");
    }

    #[test]
    fn shared_address_is_held_to_the_total_of_slots() {
        let mut slots = Slots::new(2, 1);
        for number in 0..2 {
            let id = ConnectionId::new_unchecked(number);
            assert!(slots.admit(id, [127, 0, 0, 1].into(), true).is_ok());
        }
        let third = ConnectionId::new_unchecked(2);
        assert!(slots.admit(third, [127, 0, 0, 1].into(), true).is_err());
    }
}
