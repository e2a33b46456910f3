//! Calling friends who are not connected: again and again, ever more slowly, never all at once.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::network::PeerKey;
use crate::peers::Shared;

/// Between calls to a friend at first, on this machine; doubled with each failure.
const WAIT_LOCAL: Duration = Duration::from_millis(100);
/// The longest wait on this machine.
const WAIT_LOCAL_MAX: Duration = Duration::from_secs(2);
/// Between calls to a friend at first.
const WAIT: Duration = Duration::from_secs(2);
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(300);

/// One node that should be connected.
#[derive(Debug, Default)]
struct Callee {
    addresses: Vec<String>,
    connected: bool,
    failures: u32,
    /// When to call; `None` while connected, or while a call is under way.
    next: Option<Instant>,
}

/// Whom to call when.
#[derive(Debug)]
pub(crate) struct Dialer {
    callees: HashMap<PeerKey, Callee>,
    wait: Duration,
    wait_max: Duration,
    /// Between a half and one and a half of every wait, so that friends of a node that comes back
    /// do not all call at once.
    jitter: u64,
}

impl Dialer {
    pub(crate) fn new(shared: &Shared) -> Self {
        let (wait, wait_max) =
            if shared.local { (WAIT_LOCAL, WAIT_LOCAL_MAX) } else { (WAIT, WAIT_MAX) };
        Self { callees: HashMap::new(), wait, wait_max, jitter: shared.node.random.u64() }
    }

    /// Takes the nodes that should be connected, with their addresses. Those that are new are
    /// called at once.
    pub(crate) fn learn(
        &mut self,
        wanted: HashMap<PeerKey, Vec<String>>,
        connected: &HashSet<PeerKey>,
        now: Instant,
    ) {
        self.callees.retain(|key, _| wanted.contains_key(key));
        for (key, addresses) in wanted {
            let callee = self.callees.entry(key).or_default();
            callee.connected = connected.contains(&key);
            if callee.addresses != addresses {
                callee.addresses = addresses;
                callee.failures = 0;
                callee.next = (!callee.connected).then_some(now);
            }
        }
    }

    /// A connection stands.
    pub(crate) fn connected(&mut self, key: PeerKey) {
        if let Some(callee) = self.callees.get_mut(&key) {
            callee.connected = true;
            callee.failures = 0;
            callee.next = None;
        }
    }

    /// The last connection is gone.
    pub(crate) fn disconnected(&mut self, key: PeerKey, now: Instant) {
        self.retry(key, now);
    }

    /// A call came to nothing.
    pub(crate) fn failed(&mut self, key: PeerKey, now: Instant) {
        if let Some(callee) = self.callees.get_mut(&key) {
            callee.failures = callee.failures.saturating_add(1);
        }
        self.retry(key, now);
    }

    fn retry(&mut self, key: PeerKey, now: Instant) {
        let (wait, wait_max, jitter) = (self.wait, self.wait_max, self.next_jitter());
        if let Some(callee) = self.callees.get_mut(&key) {
            callee.connected = false;
            let wait = wait.saturating_mul(1 << callee.failures.min(16)).min(wait_max);
            callee.next = Some(now + wait.mul_f64(jitter));
        }
    }

    fn next_jitter(&mut self) -> f64 {
        // A linear congruence is random enough for not calling in step (Knuth's constants for 64
        // bits).
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let thousandths = (self.jitter >> 33) % 1000;
        0.5 + f64::from(u32::try_from(thousandths).unwrap_or_default()) / 1000.0
    }

    /// When somebody is to be called next.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.callees.values().filter_map(|callee| callee.next).min()
    }

    /// Whom to call now, and where.
    pub(crate) fn calls(&mut self, now: Instant) -> Vec<(PeerKey, Vec<String>)> {
        let mut calls = Vec::new();
        for (key, callee) in &mut self.callees {
            if callee.next.is_some_and(|next| next <= now) {
                // A call that is never answered with an event (a full channel) is made again in
                // time.
                callee.next = Some(now + self.wait_max);
                calls.push((*key, callee.addresses.clone()));
            }
        }
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialer() -> Dialer {
        Dialer { callees: HashMap::new(), wait: WAIT, wait_max: WAIT_MAX, jitter: 1 }
    }

    const BOB: PeerKey = PeerKey([2; 32]);

    #[test]
    fn a_friend_who_is_away_is_called_ever_more_slowly() {
        let (mut dialer, start) = (dialer(), Instant::now());
        dialer.learn(
            HashMap::from([(BOB, vec!["/ip4/127.0.0.1/tcp/1".to_owned()])]),
            &HashSet::new(),
            start,
        );
        let mut now = start;
        for _ in 0..6 {
            now = dialer.next().unwrap();
            assert_eq!(dialer.calls(now).len(), 1);
            dialer.failed(BOB, now);
        }
        let waited = now - start;
        assert!(waited > WAIT * 15 && waited < WAIT * 95, "{waited:?}");
    }

    #[test]
    fn a_connected_friend_is_not_called() {
        let (mut dialer, now) = (dialer(), Instant::now());
        dialer.learn(
            HashMap::from([(BOB, vec!["/ip4/127.0.0.1/tcp/1".to_owned()])]),
            &HashSet::from([BOB]),
            now,
        );
        dialer.connected(BOB);
        assert!(dialer.next().is_none());
        dialer.disconnected(BOB, now);
        assert_eq!(dialer.calls(dialer.next().unwrap()).len(), 1);
    }
}
