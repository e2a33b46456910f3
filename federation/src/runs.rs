//! The runs of each peer's node, by the run numbers in its hellos. A node that restarts has a new
//! number and never an earlier one again. Numbers that alternate are two running copies of one data
//! folder: both have the same key, and what is sent to one never reaches the other.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use freehold_core::clock::Timestamp;

use crate::network::PeerKey;

/// Peers whose runs are remembered; the one heard least recently makes room.
const PEERS_MAX: usize = 4096;
/// Runs that are remembered of one peer.
const RUNS_MAX: usize = 8;
/// How often an earlier run must return before there is a copy: a single return may be a hello that
/// was read late.
const RETURNS_MIN: u32 = 2;
/// How long a copy counts after its last sign, in milliseconds.
const COPY_MS: u64 = 60 * 60 * 1000;

/// The runs of the peers. It outlives their connections.
#[derive(Default)]
pub(crate) struct Runs(Mutex<HashMap<PeerKey, History>>);

#[derive(Default)]
struct History {
    /// The newest last.
    runs: VecDeque<u64>,
    heard: Timestamp,
    returns: u32,
    returned: Timestamp,
}

impl Runs {
    /// Notes the run number of a hello.
    pub(crate) fn note(&self, peer: PeerKey, run: u64, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PEERS_MAX && !all.contains_key(&peer) {
            let oldest = all.iter().min_by_key(|(_, history)| history.heard).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                all.remove(&oldest);
            }
        }
        let history = all.entry(peer).or_default();
        history.heard = now;
        if history.runs.back() == Some(&run) {
            return;
        }
        if let Some(at) = history.runs.iter().position(|earlier| *earlier == run) {
            history.runs.remove(at);
            if now.millis_since(history.returned) >= COPY_MS {
                history.returns = 0;
            }
            history.returns = history.returns.saturating_add(1);
            history.returned = now;
        }
        history.runs.push_back(run);
        if history.runs.len() > RUNS_MAX {
            history.runs.pop_front();
        }
    }

    /// A run of the peer's node that alternates with its present one; `None` if there is no copy.
    pub(crate) fn copy_of(&self, peer: PeerKey, now: Timestamp) -> Option<u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let history = all.get(&peer)?;
        let has_copy =
            history.returns >= RETURNS_MIN && now.millis_since(history.returned) < COPY_MS;
        history.runs.iter().rev().nth(1).copied().filter(|_| has_copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOB: PeerKey = PeerKey([2; 32]);

    fn noted(history: &[u64]) -> Runs {
        let runs = Runs::default();
        history.iter().for_each(|run| runs.note(BOB, *run, Timestamp(9_000_000)));
        runs
    }

    #[test]
    fn alternating_runs_are_a_copy() {
        let runs = noted(&[1, 1, 2, 1, 2]);
        assert_eq!(runs.copy_of(BOB, Timestamp(9_000_000)), Some(1));
        assert_eq!(runs.copy_of(BOB, Timestamp(9_000_000 + COPY_MS)), None);
    }

    #[test]
    fn restarts_are_no_copy() {
        let restarts: Vec<u64> = (0..100).collect();
        for history in [&restarts[..], &[1, 2, 1], &[1]] {
            assert_eq!(noted(history).copy_of(BOB, Timestamp(9_000_000)), None, "{history:?}");
        }
    }

    #[test]
    fn flood_of_keys_keeps_the_runs_bounded() {
        let runs = Runs::default();
        for number in 0..10_000u64 {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&number.to_be_bytes());
            runs.note(PeerKey(key), number, Timestamp(number));
        }
        assert_eq!(runs.0.lock().unwrap().len(), PEERS_MAX);
    }
}
