//! The unknown recipients that each network asked for: one that guesses addresses is closed out for
//! a while, over all its connections. In memory alone.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::mailbox;

/// The unknown recipients of a network (/24 of IPv4, /48 of IPv6) within [`PERIOD_MS`] after which
/// it is closed out.
pub(super) const UNKNOWN_MAX: u32 = 100;
/// The time in which they are counted, in milliseconds: an hour. A network is closed out for as
/// long at first, and for twice as long each time after.
pub(super) const PERIOD_MS: u64 = 60 * 60 * 1000;
/// How often the time is doubled: up to eight hours.
const DOUBLED_MAX: u32 = 3;
/// After so many milliseconds without an unknown recipient a network is forgotten: a day.
const FORGOTTEN_MS: u64 = 24 * 60 * 60 * 1000;
/// The most networks that are remembered; the one whose count began first gives way.
const NETWORKS_MAX: usize = 4096;

/// Cheap to clone; clones share the counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guesses(Arc<Mutex<HashMap<Vec<u8>, Network>>>);

#[derive(Clone, Copy, Debug)]
struct Network {
    /// When the count began.
    since: Timestamp,
    count: u32,
    closed_until: Timestamp,
    /// How often it was closed out.
    closed_count: u32,
}

impl Guesses {
    /// Notes an unknown recipient. A program of this machine is not counted: behind a tunnel that
    /// hides the clients it is everybody.
    pub(super) fn note(&self, address: IpAddr, now: Timestamp) {
        if address.to_canonical().is_loopback() {
            return;
        }
        let mut networks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = mailbox::network_of(address);
        if networks.len() >= NETWORKS_MAX && !networks.contains_key(&key) {
            make_room(&mut networks, now);
        }
        let new = Network { since: now, count: 0, closed_until: Timestamp(0), closed_count: 0 };
        let network = networks.entry(key).or_insert(new);
        if is_over(network.since, PERIOD_MS, now) {
            (network.since, network.count) = (now, 0);
        }
        network.count = network.count.saturating_add(1);
        if network.count >= UNKNOWN_MAX {
            let doubled = network.closed_count.min(DOUBLED_MAX);
            network.closed_until = now.plus_millis(PERIOD_MS << doubled);
            network.closed_count = network.closed_count.saturating_add(1);
            (network.since, network.count) = (now, 0);
        }
    }

    /// Whether the network of an address is closed out.
    pub(super) fn is_closed_out(&self, address: IpAddr, now: Timestamp) -> bool {
        let networks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let network = networks.get(&mailbox::network_of(address));
        // A clock that was set back closes nobody out for longer.
        network.is_some_and(|network| network.since <= now && now < network.closed_until)
    }
}

/// Forgets the networks without a guess for a day, or else the one whose count began first.
fn make_room(networks: &mut HashMap<Vec<u8>, Network>, now: Timestamp) {
    networks.retain(|_, network| !is_over(network.since, FORGOTTEN_MS, now));
    if networks.len() >= NETWORKS_MAX {
        let first = networks.iter().min_by_key(|(_, network)| network.since);
        if let Some(first) = first.map(|(key, _)| key.clone()) {
            networks.remove(&first);
        }
    }
}

fn is_over(since: Timestamp, millis: u64, now: Timestamp) -> bool {
    now < since || now >= since.plus_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn guess(guesses: &Guesses, from: &str, count: u32, now: Timestamp) {
        (0..count).for_each(|_| guesses.note(address(from), now));
    }

    #[test]
    fn guessing_network_is_closed_out_ever_longer() {
        let (guesses, mut now) = (Guesses::default(), Timestamp(1_000_000));
        let is_closed = |from: &str, now| guesses.is_closed_out(address(from), now);
        guess(&guesses, "203.0.113.9", UNKNOWN_MAX - 1, now);
        assert!(!is_closed("203.0.113.9", now));
        guess(&guesses, "203.0.113.200", 1, now);
        assert!(is_closed("203.0.113.9", now) && is_closed("::ffff:203.0.113.1", now));
        assert!(!is_closed("203.0.114.9", now));
        for hours in [1, 2, 4, 8, 8] {
            assert!(is_closed("203.0.113.9", now.plus_millis(hours * PERIOD_MS - 1)));
            now = now.plus_millis(hours * PERIOD_MS);
            assert!(!is_closed("203.0.113.9", now), "{hours}");
            guess(&guesses, "203.0.113.9", UNKNOWN_MAX, now);
        }
        guess(&guesses, "2001:db8:1:2::3", UNKNOWN_MAX, now);
        assert!(is_closed("2001:db8:1:ffff::1", now) && !is_closed("2001:db8:2::3", now));
    }

    #[test]
    fn slow_guesses_and_this_machine_are_not_closed_out() {
        let (guesses, now) = (Guesses::default(), Timestamp(1_000_000));
        guess(&guesses, "203.0.113.9", UNKNOWN_MAX - 1, now);
        guess(&guesses, "203.0.113.9", UNKNOWN_MAX - 1, now.plus_millis(PERIOD_MS));
        assert!(!guesses.is_closed_out(address("203.0.113.9"), now.plus_millis(PERIOD_MS)));
        guess(&guesses, "127.0.0.1", 10 * UNKNOWN_MAX, now);
        assert!(!guesses.is_closed_out(address("127.0.0.1"), now));
    }

    #[test]
    fn remembered_networks_are_bounded() {
        let guesses = Guesses::default();
        for n in 0..u32::try_from(NETWORKS_MAX).unwrap() * 2 {
            let address = IpAddr::V4((0x0b00_0000 + (n << 8)).into());
            guesses.note(address, Timestamp(u64::from(n)));
        }
        assert_eq!(guesses.0.lock().unwrap().len(), NETWORKS_MAX);
    }
}
