//! Messages for which DNS did not answer the question that decides: its author's domain wants them
//! refused or put into Junk unless a proof is there, and the proof can't be checked now.
//!
//! A forger can name a signer whose DNS never answers, so such a message must not be taken as one
//! about which nothing is known. It is refused for the time being: an honest sender tries again,
//! and DNS answers then. After some hours it is judged without the answer, so nothing is lost.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_core::clock::Timestamp;
use freehold_core::mailbox;

/// How long messages of a domain from one network are refused for the time being, in milliseconds:
/// four hours. RFC 5321 4.5.4.1 asks senders to try for four to five days.
const DEFERRED_MS: u64 = 4 * 60 * 60 * 1000;
/// After so many milliseconds a domain and network are new again: a day.
const FORGOTTEN_MS: u64 = 24 * 60 * 60 * 1000;
/// The most domains that are remembered.
const DOMAINS_MAX: usize = 4096;
/// The most of them for one network.
const DOMAINS_OF_NETWORK_MAX: usize = 64;

/// When a message of a domain was first refused, for each network and domain. In memory alone, and
/// bounded: beyond the bound messages are judged at once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Undecided(Arc<Mutex<Firsts>>);

/// The first refusals, by network and domain.
type Firsts = HashMap<(Vec<u8>, String), Timestamp>;

impl Undecided {
    /// Whether a message of `domain` from this address is to be tried again later.
    pub(crate) fn is_deferred(&self, address: IpAddr, domain: &str, now: Timestamp) -> bool {
        let mut firsts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (mailbox::network_of(address), domain.to_owned());
        let is_known = |first: Timestamp| first <= now && now < first.plus_millis(FORGOTTEN_MS);
        if let Some(first) = firsts.get(&key).copied().filter(|first| is_known(*first)) {
            return now < first.plus_millis(DEFERRED_MS);
        }
        if firsts.len() >= DOMAINS_MAX {
            firsts.retain(|_, first| is_known(*first));
        }
        let of_network = firsts.keys().filter(|(network, _)| *network == key.0).count();
        let has_room = firsts.len() < DOMAINS_MAX && of_network < DOMAINS_OF_NETWORK_MAX;
        if has_room {
            firsts.insert(key, now);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecided_message_is_deferred_for_some_hours() {
        let (undecided, now) = (Undecided::default(), Timestamp(1_000_000));
        let deferred = |from: &str, domain: &str, now| {
            undecided.is_deferred(from.parse().unwrap(), domain, now)
        };
        assert!(deferred("203.0.113.9", "bob.example", now));
        let end = now.plus_millis(DEFERRED_MS);
        assert!(deferred("203.0.113.200", "bob.example", now.plus_millis(DEFERRED_MS - 1)));
        assert!(!deferred("203.0.113.9", "bob.example", end));
        assert!(deferred("203.0.114.9", "bob.example", end), "another network");
        assert!(deferred("203.0.113.9", "ann.example", end), "another domain");
        assert!(deferred("203.0.113.9", "bob.example", now.plus_millis(FORGOTTEN_MS)));
    }

    #[test]
    fn deferred_domains_are_bounded() {
        let (undecided, now) = (Undecided::default(), Timestamp(1_000_000));
        let deferred = |network: usize, domain: usize| {
            let address = IpAddr::V4((0x0b00_0000 + (u32::try_from(network).unwrap() << 8)).into());
            undecided.is_deferred(address, &format!("d{domain}.example"), now)
        };
        let networks = DOMAINS_MAX / DOMAINS_OF_NETWORK_MAX;
        for network in 0..networks {
            assert!((0..DOMAINS_OF_NETWORK_MAX).all(|domain| deferred(network, domain)));
            assert!(!deferred(network, DOMAINS_OF_NETWORK_MAX), "it is judged at once");
        }
        assert!(!deferred(networks, 0));
        assert!(deferred(0, 0), "one that is remembered stays so");
    }
}
