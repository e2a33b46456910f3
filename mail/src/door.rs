//! Who may come in: how many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::stream::is_loopback;

/// Counts the connections of one kind of session. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Door {
    inside: Arc<Mutex<Inside>>,
    total_max: usize,
    per_address_max: usize,
}

#[derive(Debug, Default)]
struct Inside {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place inside, given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    inside: Arc<Mutex<Inside>>,
    address: IpAddr,
}

impl Door {
    /// A door that lets `total_max` in at one time, and `per_address_max` from one address that is not this machine's own.
    pub fn new(total_max: usize, per_address_max: usize) -> Self {
        Self { inside: Arc::default(), total_max, per_address_max }
    }

    /// Lets a client in, or not when the house is full. An IPv6 client is known by its /64, the least a customer is given.
    pub fn enter(&self, address: IpAddr) -> Option<Ticket> {
        let key = network(address);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let here = inside.by_address.get(&key).copied().unwrap_or(0);
        if inside.total >= self.total_max || (here >= self.per_address_max && !is_loopback(address)) {
            return None;
        }
        inside.total += 1;
        inside.by_address.insert(key, here + 1);
        Some(Ticket { inside: Arc::clone(&self.inside), address: key })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.total = inside.total.saturating_sub(1);
        match inside.by_address.get(&self.address).copied() {
            Some(here) if here > 1 => drop(inside.by_address.insert(self.address, here - 1)),
            _ => drop(inside.by_address.remove(&self.address)),
        }
    }
}

/// The network that limits are counted by.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !u128::from(u64::MAX)).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let door = Door::new(4, 2);
        let first = door.enter(address("192.0.2.1")).unwrap();
        let _second = door.enter(address("192.0.2.1")).unwrap();
        assert!(door.enter(address("192.0.2.1")).is_none());
        assert!(door.enter(address("::ffff:192.0.2.1")).is_none(), "the same address in another spelling");
        let _other = door.enter(address("192.0.2.2")).unwrap();
        drop(first);
        assert!(door.enter(address("192.0.2.1")).is_some());
    }

    #[test]
    fn an_ipv6_customer_is_one_client() {
        let door = Door::new(9, 1);
        let _first = door.enter(address("2001:db8::1")).unwrap();
        assert!(door.enter(address("2001:db8::2:3")).is_none());
        assert!(door.enter(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn this_machine_is_held_to_the_total_only() {
        let door = Door::new(3, 1);
        let inside: Vec<_> = (0..3).map(|_| door.enter(address("127.0.0.1")).unwrap()).collect();
        assert!(door.enter(address("127.0.0.1")).is_none());
        drop(inside);
        assert!(door.enter(address("127.0.0.1")).is_some());
    }
}
