//! Growing delays for who guesses wrong. Kept in memory and bounded: a restart forgets, a crowd of
//! guessers pushes out the oldest guesses, and neither lets anyone guess faster than the password
//! hash allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use freehold_proto::ClientNet;

use crate::clock::Timestamp;

const GUESSERS_MAX: usize = 4096;
const FREE_GUESSES: u32 = 3;
/// Free guesses of all the networks together that one customer may be given.
const FREE_GUESSES_TOGETHER: u32 = 24;
const DELAY_FIRST_MS: u64 = 1000;
const DELAY_MS_MAX: u64 = 15 * 60 * 1000;
/// The same for those together, for a mobile carrier's customers share a network: a guesser among
/// them must not lock out the owner.
const DELAY_TOGETHER_MS_MAX: u64 = 30 * 1000;
const FORGOTTEN_AFTER_MS: u64 = 60 * 60 * 1000;

/// What guesses are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Guesser {
    Net(ClientNet),
    /// All networks of one customer, who would else guess from each in turn.
    Together(ClientNet),
}

impl Guesser {
    fn all(net: ClientNet) -> impl Iterator<Item = Self> {
        let together = net.customer();
        std::iter::once(Self::Net(net)).chain((!net.is_v4()).then_some(Self::Together(together)))
    }

    /// How many guesses are free, and the longest delay after them in milliseconds.
    fn terms(self) -> (u32, u64) {
        match self {
            Self::Net(_) => (FREE_GUESSES, DELAY_MS_MAX),
            Self::Together(_) => (FREE_GUESSES_TOGETHER, DELAY_TOGETHER_MS_MAX),
        }
    }
}

#[derive(Clone, Copy)]
struct Guesses {
    /// How many, wrong or not known to be right yet.
    count: u32,
    last: Timestamp,
}

impl Guesses {
    fn allowed_at(self, (free, delay_ms_max): (u32, u64)) -> Timestamp {
        match self.count.checked_sub(free) {
            None => self.last,
            Some(doublings) => {
                let delay = DELAY_FIRST_MS.saturating_mul(1 << doublings.min(20)).min(delay_ms_max);
                self.last.plus_millis(delay)
            }
        }
    }
}

/// Who has guessed wrong lately. Cheap to clone.
#[derive(Clone, Default)]
pub struct Throttle(Arc<Mutex<HashMap<Guesser, Guesses>>>);

impl Throttle {
    /// Counts a guess from `net` before it is looked at, so that guesses made side by side are
    /// counted like those made one after the other. A right one is given back by
    /// [`Throttle::succeeded`].
    ///
    /// # Errors
    /// How long to wait, in milliseconds, when it may not guess yet.
    pub(crate) fn guess(&self, net: ClientNet, now: Timestamp) -> Result<(), u64> {
        let mut guesses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = |guesses: &HashMap<Guesser, Guesses>, of: Guesser| {
            guesses
                .get(&of)
                .filter(|guesses| now.millis_since(guesses.last) < FORGOTTEN_AFTER_MS)
                .copied()
        };
        let allowed_at = Guesser::all(net)
            .filter_map(|of| Some(before(&guesses, of)?.allowed_at(of.terms())))
            .max();
        if let Some(allowed_at) = allowed_at.filter(|at| *at > now) {
            return Err(allowed_at.millis_since(now));
        }
        for of in Guesser::all(net) {
            let count = before(&guesses, of).map_or(0, |before| before.count).saturating_add(1);
            make_room(&mut guesses, of, now);
            guesses.insert(of, Guesses { count, last: now });
        }
        Ok(())
    }

    /// The guess was right: nothing is held against `net` any more. What its neighbours guessed
    /// still is.
    pub(crate) fn succeeded(&self, net: ClientNet) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&Guesser::Net(net));
    }
}

/// Forgets what is old, or else the oldest, where `of` would be one too many.
fn make_room(guesses: &mut HashMap<Guesser, Guesses>, of: Guesser, now: Timestamp) {
    if guesses.len() < GUESSERS_MAX || guesses.contains_key(&of) {
        return;
    }
    guesses.retain(|_, guesses| now.millis_since(guesses.last) < FORGOTTEN_AFTER_MS);
    if guesses.len() >= GUESSERS_MAX {
        let oldest = guesses.iter().min_by_key(|(_, guesses)| guesses.last).map(|(of, _)| *of);
        oldest.map(|of| guesses.remove(&of));
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn net(n: u32) -> ClientNet {
        ClientNet::from(IpAddr::from(n.to_be_bytes()))
    }

    #[test]
    fn delays_grow_and_end() {
        let throttle = Throttle::default();
        let mut now = Timestamp(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..20 {
            let wait = throttle.guess(net(1), now).err().unwrap_or(0);
            now = now.plus_millis(wait);
            if wait > 0 {
                throttle.guess(net(1), now).unwrap();
            }
            waits.push(wait);
        }
        assert_eq!(waits[..7], [0, 0, 0, 1000, 2000, 4000, 8000]);
        assert_eq!(waits[19], DELAY_MS_MAX);
        assert_eq!(throttle.guess(net(2), now), Ok(()));
        now = now.plus_millis(FORGOTTEN_AFTER_MS);
        assert_eq!([throttle.guess(net(1), now), throttle.guess(net(1), now)], [Ok(()), Ok(())]);
    }

    #[test]
    fn a_right_guess_is_given_back_with_those_before_it() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert_eq!(
                [throttle.guess(net(1), Timestamp(0)), throttle.guess(net(1), Timestamp(0))],
                [Ok(()), Ok(())]
            );
            throttle.succeeded(net(1));
        }
    }

    #[test]
    fn a_crowd_of_guessers_does_not_fill_the_memory() {
        let throttle = Throttle::default();
        for n in 0..10_000 {
            throttle.guess(net(n), Timestamp(u64::from(n))).unwrap();
        }
        assert_eq!(throttle.0.lock().unwrap().len(), GUESSERS_MAX);
    }

    #[test]
    fn the_many_networks_of_one_customer_are_throttled_together() {
        let throttle = Throttle::default();
        let guess = |subnet: u32| {
            let ip: IpAddr = format!("2001:db8:1:{subnet:x}::1").parse().unwrap();
            throttle.guess(ClientNet::from(ip), Timestamp(0))
        };
        assert_eq!((0..1000).filter(|subnet| guess(*subnet).is_ok()).count(), 24);
        let neighbour: IpAddr = "2001:db8:1:ffff::1".parse().unwrap();
        throttle.succeeded(ClientNet::from(neighbour));
        let waits =
            (0..100).map(|n| throttle.guess(ClientNet::from(neighbour), Timestamp(n * 60_000)));
        assert_eq!(
            waits.filter(Result::is_ok).count(),
            17,
            "their own delays grow, and those of all stay short"
        );
        let far: IpAddr = "2001:db8:2::1".parse().unwrap();
        assert_eq!(throttle.guess(ClientNet::from(far), Timestamp(0)), Ok(()));
        for n in 0..1000 {
            assert_eq!(
                throttle.guess(net(n), Timestamp(0)),
                Ok(()),
                "neighbours with IPv4 are different people"
            );
        }
    }

    #[test]
    fn neighbours_in_one_ipv6_network_share_their_delays() {
        let one: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let two: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        let far: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(ClientNet::from(one), ClientNet::from(two));
        assert_ne!(ClientNet::from(one), ClientNet::from(far));
    }
}
