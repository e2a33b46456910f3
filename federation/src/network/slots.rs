//! Slots for connections of strangers and for handshakes: a total, a share per network, and which
//! holder makes room for a newcomer. A newcomer always gets a slot: anyone who waits with an invite
//! must get in, however many idle connections there are.

use std::collections::HashMap;
use std::net::IpAddr;

use freehold_core::logins::ClientNet;

/// The holders of a slot, oldest first.
pub(super) struct Slots<K> {
    total_max: usize,
    per_net_max: usize,
    held: Vec<(K, ClientNet)>,
}

impl<K: Copy + PartialEq> Slots<K> {
    /// `total_max` slots, `per_net_max` of them for one network (an IPv4 address, an IPv6 /64). At
    /// least one of each.
    pub(super) fn new(total_max: usize, per_net_max: usize) -> Self {
        Self { total_max: total_max.max(1), per_net_max: per_net_max.max(1), held: Vec::new() }
    }

    /// Gives a slot to a newcomer from `address`. An address that `is_shared` by many callers is
    /// held to the total alone.
    ///
    /// Returns the holder that loses its slot and must be closed: the network's oldest one when its
    /// share is used up; when the total is used up, the oldest one of the customer (IPv4 address,
    /// IPv6 /48) with the most slots, the newcomer included.
    pub(super) fn admit(&mut self, newcomer: K, address: IpAddr, is_shared: bool) -> Option<K> {
        let net = ClientNet::from(address);
        let share = self.held.iter().filter(|(_, held)| *held == net).count();
        let evicted = if !is_shared && share >= self.per_net_max {
            self.held.iter().position(|(_, held)| *held == net)
        } else if self.held.len() >= self.total_max {
            self.oldest_of_largest_customer(net)
        } else {
            None
        };
        let evicted = evicted.map(|at| self.held.remove(at).0);
        self.held.push((newcomer, net));
        evicted
    }

    /// Gives a holder's slot back, if it has one.
    pub(super) fn release(&mut self, holder: K) {
        self.held.retain(|(held, _)| *held != holder);
    }

    fn oldest_of_largest_customer(&self, newcomer: ClientNet) -> Option<usize> {
        let mut by_customer: HashMap<ClientNet, usize> = HashMap::new();
        for (_, net) in &self.held {
            *by_customer.entry(net.customer()).or_default() += 1;
        }
        let slots = |net: ClientNet| by_customer.get(&net.customer()).copied().unwrap_or(0);
        let most = self.held.iter().map(|(_, net)| slots(*net)).max()?;
        let is_of_newcomer = |net: ClientNet| net.customer() == newcomer.customer();
        if slots(newcomer) >= most {
            return self.held.iter().position(|(_, net)| is_of_newcomer(*net));
        }
        self.held.iter().position(|(_, net)| slots(*net) == most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(slots: &mut Slots<u32>, number: u32, address: &str) -> Option<u32> {
        slots.admit(number, address.parse().unwrap(), false)
    }

    #[test]
    fn network_is_held_to_its_share_of_slots() {
        let mut slots = Slots::new(9, 2);
        assert_eq!(admit(&mut slots, 1, "192.0.2.1"), None);
        assert_eq!(admit(&mut slots, 2, "192.0.2.1"), None);
        assert_eq!(admit(&mut slots, 3, "::ffff:192.0.2.1"), Some(1), "its own oldest");
        assert_eq!(admit(&mut slots, 4, "192.0.2.2"), None);
        slots.release(2);
        assert_eq!(admit(&mut slots, 5, "192.0.2.1"), None);
    }

    #[test]
    fn largest_customer_loses_its_oldest_slot() {
        let mut slots = Slots::new(3, 2);
        assert_eq!(admit(&mut slots, 1, "192.0.2.1"), None);
        assert_eq!(admit(&mut slots, 2, "2001:db8:1:1::1"), None);
        assert_eq!(admit(&mut slots, 3, "2001:db8:1:2::1"), None);
        assert_eq!(admit(&mut slots, 4, "192.0.2.2"), Some(2), "two /64 of one /48");
        assert_eq!(
            admit(&mut slots, 5, "192.0.2.2"),
            Some(4),
            "no customer has more than this one"
        );
    }

    #[test]
    fn shared_address_is_held_to_the_total_of_slots() {
        let mut slots = Slots::new(2, 1);
        let admit =
            |slots: &mut Slots<u32>, number| slots.admit(number, [127, 0, 0, 1].into(), true);
        assert_eq!([admit(&mut slots, 1), admit(&mut slots, 2)], [None, None]);
        assert_eq!(admit(&mut slots, 3), Some(1));
    }
}
