//! The schedule of dials to friends' nodes that are not connected: exponential backoff with jitter.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::network::PeerKey;

/// First wait between two dials on one machine; doubled with each failure.
const WAIT_LOCAL: Duration = Duration::from_millis(100);
/// Longest wait on one machine.
const WAIT_LOCAL_MAX: Duration = Duration::from_secs(2);
/// First wait between two dials.
const WAIT: Duration = Duration::from_secs(2);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// The addresses of each node that should be connected.
pub(crate) type DialTargets = HashMap<PeerKey, Vec<String>>;

/// One node that should be connected.
#[derive(Debug, Default)]
struct Target {
    addresses: Vec<String>,
    is_connected: bool,
    failures: u32,
    /// The time of the next dial; `None` while connected.
    next: Option<Instant>,
}

/// The dial schedule.
#[derive(Debug)]
pub(crate) struct Dialer {
    targets: HashMap<PeerKey, Target>,
    wait: Duration,
    wait_max: Duration,
    /// State of the jitter, which multiplies each wait by 0.5 to 1.5: the friends of a node that
    /// restarts must not all dial it at once.
    jitter: u64,
}

impl Dialer {
    /// A schedule without targets. Waits are short if all nodes are on this machine.
    pub(crate) fn new(is_local: bool, jitter: u64) -> Self {
        let (wait, wait_max) =
            if is_local { (WAIT_LOCAL, WAIT_LOCAL_MAX) } else { (WAIT, WAIT_MAX) };
        Self { targets: HashMap::new(), wait, wait_max, jitter }
    }

    /// Replaces the nodes that should be connected. New ones, and those with new addresses, are due
    /// at once.
    pub(crate) fn set_targets(
        &mut self,
        targets: DialTargets,
        connected: &HashSet<PeerKey>,
        now: Instant,
    ) {
        self.targets.retain(|key, _| targets.contains_key(key));
        for (key, addresses) in targets {
            let target = self.targets.entry(key).or_default();
            target.is_connected = connected.contains(&key);
            if target.addresses != addresses {
                target.addresses = addresses;
                target.failures = 0;
                target.next = (!target.is_connected).then_some(now);
            }
        }
    }

    /// Makes every node that is not connected due at once.
    pub(crate) fn dial_all(&mut self, now: Instant) {
        for target in self.targets.values_mut().filter(|target| !target.is_connected) {
            target.next = Some(now);
        }
    }

    /// A connection is open.
    pub(crate) fn connected(&mut self, key: PeerKey) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.is_connected = true;
            target.failures = 0;
            target.next = None;
        }
    }

    /// The last connection is closed.
    pub(crate) fn disconnected(&mut self, key: PeerKey, now: Instant) {
        self.schedule(key, now);
    }

    /// A dial has failed.
    pub(crate) fn failed(&mut self, key: PeerKey, now: Instant) {
        if let Some(target) = self.targets.get_mut(&key) {
            target.failures = target.failures.saturating_add(1);
        }
        self.schedule(key, now);
    }

    fn schedule(&mut self, key: PeerKey, now: Instant) {
        let (wait, wait_max, jitter) = (self.wait, self.wait_max, self.next_jitter());
        if let Some(target) = self.targets.get_mut(&key) {
            target.is_connected = false;
            let wait = wait.saturating_mul(1 << target.failures.min(16)).min(wait_max);
            target.next = Some(now + wait.mul_f64(jitter));
        }
    }

    fn next_jitter(&mut self) -> f64 {
        // A linear congruential generator with Knuth's constants for 64 bits (MMIX): jitter needs
        // no better one.
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let thousandths = (self.jitter >> 33) % 1000;
        0.5 + f64::from(u32::try_from(thousandths).unwrap_or_default()) / 1000.0
    }

    /// The time of the next dial.
    pub(crate) fn next_dial(&self) -> Option<Instant> {
        self.targets.values().filter_map(|target| target.next).min()
    }

    /// The nodes to dial now, with their addresses.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(PeerKey, Vec<String>)> {
        let mut due = Vec::new();
        for (key, target) in &mut self.targets {
            if target.next.is_some_and(|next| next <= now) {
                // If the result of a dial is lost (a full channel), the node is dialed again then.
                target.next = Some(now + self.wait_max);
                due.push((*key, target.addresses.clone()));
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: PeerKey = PeerKey([2; 32]);

    fn targets() -> DialTargets {
        DialTargets::from([(BOB, vec!["/ip4/127.0.0.1/tcp/1".to_owned()])])
    }

    #[test]
    fn unreachable_friend_is_dialed_with_exponential_backoff() {
        let (mut dialer, start) = (Dialer::new(false, 1), Instant::now());
        dialer.set_targets(targets(), &HashSet::new(), start);
        let mut now = start;
        for _ in 0..6 {
            now = dialer.next_dial().unwrap();
            assert_eq!(dialer.due(now).len(), 1);
            dialer.failed(BOB, now);
        }
        let waited = now - start;
        assert!(waited > WAIT * 15 && waited < WAIT * 95, "{waited:?}");
    }

    #[test]
    fn connected_friend_is_not_dialed() {
        let (mut dialer, now) = (Dialer::new(false, 1), Instant::now());
        dialer.set_targets(targets(), &HashSet::from([BOB]), now);
        dialer.connected(BOB);
        assert!(dialer.next_dial().is_none());
        dialer.dial_all(now);
        assert!(dialer.next_dial().is_none());
        dialer.disconnected(BOB, now);
        assert!(dialer.due(now).is_empty());
        dialer.dial_all(now);
        assert_eq!(dialer.due(now).len(), 1);
    }
}
