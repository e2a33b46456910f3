//! The next hops that did not answer lately. Their other messages get the same result without a
//! try of their own, which would take half a minute each.

use std::collections::HashMap;

use freehold_core::clock::Timestamp;

use super::result::AttemptResult;
use super::route::NextHop;

/// The most next hops that are remembered.
const HOPS_MAX: usize = 4096;

/// See the module's text. In memory alone: after a restart each next hop is tried once.
#[derive(Debug, Default)]
pub(super) struct UnansweredHops(HashMap<NextHop, Unanswered>);

#[derive(Clone, Debug)]
struct Unanswered {
    at: Timestamp,
    until: Timestamp,
    result: AttemptResult,
}

impl UnansweredHops {
    /// Remembers that `hop` did not answer, from `at` until `until`.
    pub(super) fn insert(
        &mut self,
        hop: NextHop,
        at: Timestamp,
        until: Timestamp,
        result: AttemptResult,
    ) {
        if self.0.len() >= HOPS_MAX {
            self.0.retain(|_, known| known.until > at);
        }
        if self.0.len() >= HOPS_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, known)| known.until)
        {
            let oldest = oldest.0.clone();
            self.0.remove(&oldest);
        }
        self.0.insert(hop, Unanswered { at, until, result });
    }

    /// Forgets a next hop that has answered.
    pub(super) fn remove(&mut self, hop: &NextHop) {
        self.0.remove(hop);
    }

    /// The result for a message that was due at `due`, after `attempts` attempts. A message that
    /// became due after the failure is tried if it was tried before: its time has come, or the
    /// owner asks for it.
    pub(super) fn result(
        &self,
        hop: &NextHop,
        due: Timestamp,
        attempts: u32,
        now: Timestamp,
    ) -> Option<AttemptResult> {
        let known = self.0.get(hop).filter(|known| known.at <= now && now < known.until)?;
        (attempts == 0 || due <= known.at).then(|| known.result.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result() -> AttemptResult {
        AttemptResult::Deferred("451 4.4.1 d.example:25 is unreachable".to_owned())
    }

    #[test]
    fn unanswered_hop_is_remembered_for_its_time() {
        let mut hops = UnansweredHops::default();
        let hop = NextHop::Direct("d.example".to_owned());
        let at = |ms: u64| Timestamp(1000 + ms);
        assert_eq!(hops.result(&hop, at(0), 0, at(0)), None);
        hops.insert(hop.clone(), at(0), at(60), result());
        assert_eq!(hops.result(&hop, at(0), 3, at(1)), Some(result()), "it was due before");
        assert_eq!(hops.result(&hop, at(1), 0, at(1)), Some(result()), "it is new");
        assert_eq!(hops.result(&hop, at(1), 3, at(1)), None, "the owner asks for it");
        assert_eq!(hops.result(&hop, at(0), 0, at(60)), None);
        assert_eq!(hops.result(&hop, at(0), 0, Timestamp(0)), None, "the clock was set back");
        hops.remove(&hop);
        assert_eq!(hops.result(&hop, at(0), 0, at(1)), None);
    }

    #[test]
    fn number_of_unanswered_hops_is_bounded() {
        let mut hops = UnansweredHops::default();
        for number in 0..2 * HOPS_MAX as u64 {
            let hop = NextHop::Direct(format!("{number}.example"));
            hops.insert(hop, Timestamp(0), Timestamp(1000 + number), result());
        }
        assert_eq!(hops.0.len(), HOPS_MAX);
        let last = NextHop::Direct(format!("{}.example", 2 * HOPS_MAX - 1));
        assert!(hops.result(&last, Timestamp(0), 0, Timestamp(1)).is_some());
    }
}
