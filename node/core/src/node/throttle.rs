//! Login throttling: growing delays after wrong password attempts, per network, or per browser for
//! one that has logged in before: strangers on the owner's network must not lock out the owner. In
//! memory and bounded: a restart or many networks can evict the counts, and then the cost of the
//! password hash is the limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use freehold_proto::ClientNet;

use crate::clock::Timestamp;
use crate::log_budget::LogBudget;

/// Networks whose attempts are counted, at most.
const COUNTERS_MAX: usize = 4096;
/// Attempts of one network before the first delay.
const FREE_ATTEMPTS: u32 = 3;
/// Attempts of all IPv6 networks of one customer (a /48) before the first delay.
const FREE_ATTEMPTS_CUSTOMER: u32 = 24;
/// The first delay, doubled by each further attempt, in milliseconds.
const DELAY_FIRST_MS: u64 = 1000;
/// The longest delay of one network, in milliseconds.
const DELAY_MS_MAX: u64 = 15 * 60 * 1000;
/// The longest delay of a customer, in milliseconds. Short, because the subscribers of a mobile
/// carrier share a /48: one of them must not lock out the owner.
const DELAY_CUSTOMER_MS_MAX: u64 = 30 * 1000;
/// The time after which attempts no longer count, in milliseconds.
const FORGOTTEN_AFTER_MS: u64 = 60 * 60 * 1000;

/// Wrong secrets of one network that are remembered: a household has few programs with an old one.
const SECRETS_MAX: usize = 16;

/// The one who makes an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guesser {
    /// Anybody on this network.
    Net(ClientNet),
    /// A browser that has logged in before, by its id.
    Browser([u8; 16]),
}

impl From<ClientNet> for Guesser {
    fn from(net: ClientNet) -> Self {
        Self::Net(net)
    }
}

/// The unit by which attempts are counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Counter {
    Net(ClientNet),
    /// All networks of one customer, who could otherwise try from each in turn.
    Customer(ClientNet),
    Browser([u8; 16]),
}

impl Counter {
    fn of(guesser: Guesser) -> Self {
        match guesser {
            Guesser::Net(net) => Self::Net(net),
            Guesser::Browser(id) => Self::Browser(id),
        }
    }

    fn all(guesser: Guesser) -> impl Iterator<Item = Self> {
        let customer = match guesser {
            Guesser::Net(net) if !net.is_v4() => Some(Self::Customer(net.customer())),
            Guesser::Net(_) | Guesser::Browser(_) => None,
        };
        std::iter::once(Self::of(guesser)).chain(customer)
    }

    /// The number of attempts before the first delay, and the longest delay in milliseconds.
    fn limits(self) -> (u32, u64) {
        match self {
            Self::Net(_) | Self::Browser(_) => (FREE_ATTEMPTS, DELAY_MS_MAX),
            Self::Customer(_) => (FREE_ATTEMPTS_CUSTOMER, DELAY_CUSTOMER_MS_MAX),
        }
    }
}

#[derive(Clone)]
struct Attempts {
    /// The number of attempts that are wrong or not verified yet.
    count: u32,
    last: Timestamp,
    /// Whether an attempt after this one had to wait.
    has_waited: bool,
    /// Hashes of the wrong secrets that were counted, the newest last.
    secrets: Vec<u64>,
}

impl Attempts {
    fn allowed_at(&self, (free, delay_ms_max): (u32, u64)) -> Timestamp {
        match self.count.checked_sub(free) {
            None => self.last,
            Some(doublings) => {
                let delay = DELAY_FIRST_MS.saturating_mul(1 << doublings.min(20)).min(delay_ms_max);
                self.last.plus_millis(delay)
            }
        }
    }
}

/// The recent attempts by network. Cheap to clone.
#[derive(Clone, Default)]
pub struct Throttle {
    attempts: Arc<Mutex<HashMap<Counter, Attempts>>>,
    /// The budget for log lines about refused logins.
    pub(crate) log: LogBudget,
}

impl Throttle {
    /// Counts an attempt before the password is verified, so that concurrent attempts are counted
    /// like consecutive ones. [`Throttle::succeeded`] resets the count.
    ///
    /// # Errors
    /// The time to wait in milliseconds, when an attempt is not allowed yet.
    pub(crate) fn attempt(&self, by: impl Into<Guesser>, now: Timestamp) -> Result<(), u64> {
        self.count(by.into(), None, now)
    }

    /// Counts an attempt with a wrong secret, given by its hash. The same secret again counts once:
    /// a program with an old password repeats it for ever and guesses nothing.
    ///
    /// # Errors
    /// The time to wait in milliseconds, when an attempt is not allowed yet.
    pub(crate) fn wrong_secret(
        &self,
        net: ClientNet,
        secret: u64,
        now: Timestamp,
    ) -> Result<(), u64> {
        self.count(net.into(), Some(secret), now)
    }

    fn count(&self, by: Guesser, secret: Option<u64>, now: Timestamp) -> Result<(), u64> {
        let mut attempts = self.lock();
        for of in Counter::all(by) {
            let is_expired =
                |counted: &Attempts| now.millis_since(counted.last) >= FORGOTTEN_AFTER_MS;
            if attempts.get(&of).is_some_and(is_expired) {
                attempts.remove(&of);
            }
        }
        let counted = attempts.get(&Counter::of(by));
        if secret.is_some_and(|secret| counted.is_some_and(|c| c.secrets.contains(&secret))) {
            return Ok(());
        }
        let allowed_at = Counter::all(by)
            .filter_map(|of| Some(attempts.get(&of)?.allowed_at(of.limits())))
            .max();
        if let Some(allowed_at) = allowed_at.filter(|at| *at > now) {
            return Err(allowed_at.millis_since(now));
        }
        for of in Counter::all(by) {
            make_room(&mut attempts, of, now);
            let counted = attempts.entry(of).or_insert(Attempts {
                count: 0,
                last: now,
                has_waited: false,
                secrets: Vec::new(),
            });
            counted.count = counted.count.saturating_add(1);
            counted.last = now;
            counted.has_waited = false;
            if let (Some(secret), Counter::Net(_)) = (secret, of) {
                if counted.secrets.len() >= SECRETS_MAX {
                    counted.secrets.remove(0);
                }
                counted.secrets.push(secret);
            }
        }
        Ok(())
    }

    /// Takes back an attempt whose password could not be verified.
    pub(crate) fn withdraw(&self, by: impl Into<Guesser>) {
        let mut attempts = self.lock();
        for of in Counter::all(by.into()) {
            if let Some(counted) = attempts.get_mut(&of) {
                counted.count = counted.count.saturating_sub(1);
            }
        }
    }

    /// Resets the count of a network or browser after a correct password. The count of its
    /// customer stays.
    pub(crate) fn succeeded(&self, by: impl Into<Guesser>) {
        self.lock().remove(&Counter::of(by.into()));
    }

    /// Whether an attempt from `net` that has to wait is the first since the last one that was
    /// counted; later calls return false until the next counted attempt.
    pub(crate) fn is_first_refusal(&self, net: ClientNet) -> bool {
        match self.lock().get_mut(&Counter::Net(net)) {
            Some(attempts) => !std::mem::replace(&mut attempts.has_waited, true),
            // Only the customer is counted: other networks of the customer are logged.
            None => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Counter, Attempts>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for counter `of`: deletes expired counters, or else the oldest one.
fn make_room(attempts: &mut HashMap<Counter, Attempts>, of: Counter, now: Timestamp) {
    if attempts.len() < COUNTERS_MAX || attempts.contains_key(&of) {
        return;
    }
    attempts.retain(|_, attempts| now.millis_since(attempts.last) < FORGOTTEN_AFTER_MS);
    if attempts.len() >= COUNTERS_MAX {
        let oldest = attempts.iter().min_by_key(|(_, attempts)| attempts.last).map(|(of, _)| *of);
        oldest.map(|of| attempts.remove(&of));
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
    fn login_delays_grow_up_to_a_maximum() {
        let throttle = Throttle::default();
        let mut now = Timestamp(1_000_000);
        let mut waits = Vec::new();
        for _ in 0..20 {
            let wait = throttle.attempt(net(1), now).err().unwrap_or(0);
            now = now.plus_millis(wait);
            if wait > 0 {
                throttle.attempt(net(1), now).unwrap();
            }
            waits.push(wait);
        }
        assert_eq!(waits[..7], [0, 0, 0, 1000, 2000, 4000, 8000]);
        assert_eq!(waits[19], DELAY_MS_MAX);
        assert_eq!(throttle.attempt(net(2), now), Ok(()));
        now = now.plus_millis(FORGOTTEN_AFTER_MS);
        assert_eq!(
            [throttle.attempt(net(1), now), throttle.attempt(net(1), now)],
            [Ok(()), Ok(())]
        );
    }

    #[test]
    fn correct_password_resets_the_throttle() {
        let throttle = Throttle::default();
        for _ in 0..10 {
            assert_eq!(
                [throttle.attempt(net(1), Timestamp(0)), throttle.attempt(net(1), Timestamp(0))],
                [Ok(()), Ok(())]
            );
            throttle.succeeded(net(1));
        }
    }

    #[test]
    fn refusal_is_reported_once_per_counted_attempt() {
        let throttle = Throttle::default();
        assert!(!throttle.is_first_refusal(net(1)), "nothing was counted");
        for counted in 0..3 {
            throttle.attempt(net(1), Timestamp(counted)).unwrap();
        }
        assert!(throttle.attempt(net(1), Timestamp(3)).is_err());
        let first = [throttle.is_first_refusal(net(1)), throttle.is_first_refusal(net(1))];
        assert_eq!(first, [true, false]);
        throttle.attempt(net(1), Timestamp(5000)).unwrap();
        assert!(throttle.is_first_refusal(net(1)));
    }

    #[test]
    fn repeated_wrong_secret_counts_once() {
        let throttle = Throttle::default();
        for second in 0..600 {
            assert_eq!(throttle.wrong_secret(net(1), 7, Timestamp(second * 1000)), Ok(()));
        }
        let now = Timestamp(600_000);
        let others = (0..9).filter(|n| throttle.wrong_secret(net(1), 100 + n, now).is_ok());
        assert_eq!(others.count(), 2, "the first secret was one of three");
        assert_eq!(throttle.wrong_secret(net(1), 7, now), Ok(()), "it is still known");
        for n in 0..1000 {
            let _ = throttle.wrong_secret(net(1), n, Timestamp(n * DELAY_MS_MAX));
        }
        let held = throttle.lock().values().map(|counted| counted.secrets.len()).max();
        assert_eq!(held, Some(SECRETS_MAX));
    }

    #[test]
    fn known_browser_is_counted_apart_from_its_network() {
        let throttle = Throttle::default();
        let browser = Guesser::Browser([7; 16]);
        for second in 0..600 {
            let _ = throttle.attempt(net(1), Timestamp(second * 1000));
            assert_eq!(throttle.attempt(browser, Timestamp(second * 1000)), Ok(()));
            throttle.succeeded(browser);
        }
        assert!(throttle.attempt(net(1), Timestamp(600_000)).is_err());
        let own = (0..9).filter(|_| throttle.attempt(browser, Timestamp(600_000)).is_ok());
        assert_eq!(own.count(), 3, "a stolen cookie gives no free guesses");
    }

    #[test]
    fn withdrawn_attempts_do_not_count() {
        let throttle = Throttle::default();
        for _ in 0..100 {
            assert_eq!(throttle.attempt(net(1), Timestamp(0)), Ok(()));
            throttle.withdraw(net(1));
        }
    }

    #[test]
    fn throttle_memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..10_000 {
            throttle.attempt(net(n), Timestamp(u64::from(n))).unwrap();
        }
        assert_eq!(throttle.lock().len(), COUNTERS_MAX);
    }

    #[test]
    fn ipv6_networks_of_one_customer_are_throttled_together() {
        let throttle = Throttle::default();
        let attempt = |subnet: u32| {
            let ip: IpAddr = format!("2001:db8:1:{subnet:x}::1").parse().unwrap();
            throttle.attempt(ClientNet::from(ip), Timestamp(0))
        };
        assert_eq!((0..1000).filter(|subnet| attempt(*subnet).is_ok()).count(), 24);
        let neighbour: IpAddr = "2001:db8:1:ffff::1".parse().unwrap();
        throttle.succeeded(ClientNet::from(neighbour));
        let waits =
            (0..100).map(|n| throttle.attempt(ClientNet::from(neighbour), Timestamp(n * 60_000)));
        assert_eq!(
            waits.filter(Result::is_ok).count(),
            17,
            "delays of the network grow, those of the customer stay short"
        );
        let other: IpAddr = "2001:db8:2::1".parse().unwrap();
        assert_eq!(throttle.attempt(ClientNet::from(other), Timestamp(0)), Ok(()));
        for n in 0..1000 {
            assert_eq!(
                throttle.attempt(net(n), Timestamp(0)),
                Ok(()),
                "IPv4 addresses are counted one by one"
            );
        }
    }

    #[test]
    fn addresses_in_one_ipv6_64_are_one_network() {
        let one: IpAddr = "2001:db8:1:2::1".parse().unwrap();
        let two: IpAddr = "2001:db8:1:2:ffff::9".parse().unwrap();
        let other: IpAddr = "2001:db8:1:3::1".parse().unwrap();
        assert_eq!(ClientNet::from(one), ClientNet::from(two));
        assert_ne!(ClientNet::from(one), ClientNet::from(other));
    }
}
