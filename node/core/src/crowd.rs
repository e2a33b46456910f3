//! Who is connected, and who makes room where there is none: whoever has kept us waiting longest.
//!
//! Web and mail keep their listeners by this rule. A connection is either being answered or waits
//! for its client: for a request, for more of a body, for an answer to be taken. Slow clients hold
//! places only until somebody else needs one. The place is taken from the customer who holds the
//! most, so a crowd from one address pushes out itself and not the owner.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::logins::ClientNet;

/// Counts the connections. Cheap to clone; clones count together.
#[derive(Clone)]
pub struct Crowd {
    inside: Arc<Mutex<Inside>>,
    total_max: usize,
    per_net_max: usize,
    begun: Instant,
}

#[derive(Default)]
struct Inside {
    guests: HashMap<u64, Arc<Guest>>,
    by_net: HashMap<ClientNet, usize>,
    next: u64,
}

struct Guest {
    net: ClientNet,
    /// Whether a request of theirs is being answered.
    served: AtomicBool,
    /// Whether they keep us waiting now.
    waits: AtomicBool,
    /// When they first did so since their last request, in milliseconds from the crowd's beginning
    /// plus one; 0 if they have not yet. A byte now and then does not make it later.
    since: AtomicU64,
    leave: Notify,
}

/// A place inside, given back when dropped.
pub struct Place {
    crowd: Crowd,
    guest: Arc<Guest>,
    number: u64,
}

/// A request is being answered, until this is dropped.
pub struct Served(Arc<Place>);

impl Crowd {
    /// Room for `total_max` connections at one time, `per_net_max` of them from one network (an
    /// IPv4 address, an IPv6 /64).
    pub fn new(total_max: usize, per_net_max: usize) -> Self {
        Self {
            inside: Arc::default(),
            total_max: total_max.max(1),
            per_net_max: per_net_max.max(1),
            begun: Instant::now(),
        }
    }

    /// Lets a connection from `address` in, if need be in the place of another, also of one from
    /// there: of a browser's connections the newest is the one it needs. Many people may stand
    /// behind `is_shared`, such as a proxy or this machine itself, so it is held to the total
    /// alone. `None` where every place is being answered.
    pub fn enter(&self, address: IpAddr, is_shared: bool) -> Option<Place> {
        let net = ClientNet::from(address);
        let mut inside = self.lock();
        let is_crowded = !is_shared && inside.count(net) >= self.per_net_max;
        if is_crowded || inside.guests.len() >= self.total_max {
            let number = inside.slowest(|guest, _| !is_crowded || guest.net == net)?;
            inside.leave(number);
        }
        Some(self.seat(&mut inside, net))
    }

    /// Lets a connection from `address` in, if need be in the place of a customer who holds more;
    /// `None` else. A mail server that comes with too many at once keeps those it has, and comes
    /// again with the rest.
    pub fn admit(&self, address: IpAddr, is_shared: bool) -> Option<Place> {
        let net = ClientNet::from(address);
        let mut inside = self.lock();
        if !is_shared && inside.count(net) >= self.per_net_max {
            return None;
        }
        if inside.guests.len() >= self.total_max {
            let own = inside.held().get(&net.customer()).copied().unwrap_or(0);
            let number = inside.slowest(|_, held| held > own)?;
            inside.leave(number);
        }
        Some(self.seat(&mut inside, net))
    }

    fn seat(&self, inside: &mut Inside, net: ClientNet) -> Place {
        let (served, waits, since) =
            (AtomicBool::new(false), AtomicBool::new(true), AtomicU64::new(self.now()));
        let guest = Arc::new(Guest { net, served, waits, since, leave: Notify::new() });
        let number = inside.next;
        inside.next += 1;
        inside.guests.insert(number, guest.clone());
        *inside.by_net.entry(net).or_default() += 1;
        Place { crowd: self.clone(), guest, number }
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Inside {
    fn count(&self, net: ClientNet) -> usize {
        self.by_net.get(&net).copied().unwrap_or(0)
    }

    /// How many places each customer holds, for one may have many networks.
    fn held(&self) -> HashMap<ClientNet, usize> {
        let mut held = HashMap::new();
        for guest in self.guests.values() {
            *held.entry(guest.net.customer()).or_default() += 1;
        }
        held
    }

    /// Whoever keeps us waiting longest, of the customer who holds the most places, among those who
    /// `may` make room: a guest, and how many places its customer holds.
    fn slowest(&self, may: impl Fn(&Guest, usize) -> bool) -> Option<u64> {
        let held = self.held();
        let waiting = self.guests.iter().filter(|(_, guest)| guest.waits.load(Ordering::Relaxed));
        let waiting = waiting.map(|(number, guest)| {
            (held.get(&guest.net.customer()).copied().unwrap_or(0), *number, guest)
        });
        let slowest = waiting.filter(|(held, _, guest)| may(guest, *held)).min_by_key(
            |(held, number, guest)| {
                (std::cmp::Reverse(*held), guest.since.load(Ordering::Relaxed), *number)
            },
        );
        slowest.map(|(_, number, _)| number)
    }

    /// Takes a place away; its connection hears of it and ends.
    fn leave(&mut self, number: u64) {
        let Some(guest) = self.guests.remove(&number) else { return };
        guest.leave.notify_one();
        match self.by_net.get_mut(&guest.net) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_net.remove(&guest.net)),
        }
    }
}

impl Place {
    /// Ends when somebody else needs the place.
    pub async fn is_needed(&self) {
        self.guest.leave.notified().await;
    }

    /// The client keeps us waiting.
    pub fn waits(&self) {
        // Only the first of a request's pauses says since when.
        let _ = self.guest.since.compare_exchange(
            0,
            self.crowd.now(),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        self.guest.waits.store(true, Ordering::Relaxed);
    }

    /// Something came, or was taken.
    pub fn goes_on(&self) {
        // Between requests the next one is waited for, whatever else moves.
        self.guest.waits.store(!self.guest.served.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A request has come and is answered until what this returns is dropped.
    pub fn serve(self: Arc<Self>) -> Served {
        self.guest.served.store(true, Ordering::Relaxed);
        self.guest.since.store(0, Ordering::Relaxed);
        self.goes_on();
        Served(self)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.guest.served.store(false, Ordering::Relaxed);
        self.0.guest.since.store(self.0.crowd.now(), Ordering::Relaxed);
        self.0.goes_on();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.crowd.lock().leave(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Whether the place was taken away.
    fn is_gone(place: &Place) -> bool {
        !place.crowd.lock().guests.contains_key(&place.number)
    }

    fn enter(crowd: &Crowd, address: &str) -> Option<Arc<Place>> {
        crowd.enter(at(address), false).map(Arc::new)
    }

    #[tokio::test]
    async fn a_crowd_from_one_network_pushes_out_itself_and_not_the_owner() {
        let crowd = Crowd::new(100, 3);
        let owner = enter(&crowd, "192.0.2.1").unwrap();
        let crowding: Vec<_> =
            (0..50).map(|host| enter(&crowd, &format!("2001:db8::{host}")).unwrap()).collect();
        assert!(!is_gone(&owner));
        assert_eq!(crowding.iter().filter(|place| !is_gone(place)).count(), 3);
        crowding[0].is_needed().await;
        assert!(
            enter(&crowd, "2001:db8:0:1::1").is_some_and(|place| !is_gone(&place)),
            "the next /64 is another customer"
        );
    }

    #[test]
    fn when_all_places_are_taken_the_largest_network_makes_room_with_its_slowest() {
        let crowd = Crowd::new(5, 4);
        let owner = enter(&crowd, "192.0.2.1").unwrap();
        let crowding: Vec<_> = (0..4).map(|_| enter(&crowd, "192.0.2.66").unwrap()).collect();
        let busy = [crowding[0].clone().serve(), crowding[1].clone().serve()];
        let friend = enter(&crowd, "192.0.2.2").unwrap();
        let gone: Vec<bool> = crowding.iter().map(|place| is_gone(place)).collect();
        assert_eq!(gone, [false, false, true, false], "who is served stays");
        assert!(!is_gone(&owner) && !is_gone(&friend));
        drop(busy);
    }

    #[test]
    fn where_every_place_is_being_answered_a_newcomer_is_turned_away() {
        let crowd = Crowd::new(2, 2);
        let places: Vec<_> =
            (1..3).map(|n| enter(&crowd, &format!("192.0.2.{n}")).unwrap()).collect();
        let served: Vec<_> = places.iter().map(|place| place.clone().serve()).collect();
        assert!(enter(&crowd, "192.0.2.9").is_none());
        // A body that doesn't come is no longer an answer being made.
        places[1].waits();
        assert!(enter(&crowd, "192.0.2.9").is_some());
        assert!(!is_gone(&places[0]) && is_gone(&places[1]));
        drop(served);
    }

    #[test]
    fn whoever_trickles_is_not_fresher_than_whoever_has_just_come() {
        let crowd = Crowd::new(3, 3);
        let trickling = enter(&crowd, "192.0.2.1").unwrap();
        let served = trickling.clone().serve();
        trickling.waits();
        let first = trickling.guest.since.load(Ordering::Relaxed);
        assert!(first > 0);
        for _ in 0..3 {
            trickling.goes_on();
            trickling.waits();
        }
        // Two more who came after that pause; the bytes since then count for nothing.
        let greeting: Vec<_> =
            (2..4).map(|host| enter(&crowd, &format!("192.0.2.{host}")).unwrap()).collect();
        for place in &greeting {
            place.guest.since.store(first + 1, Ordering::Relaxed);
            place.goes_on();
            assert_eq!(
                place.guest.since.load(Ordering::Relaxed),
                first + 1,
                "nor do those of a greeting"
            );
        }
        while crowd.now() <= first {
            std::hint::spin_loop();
        }
        trickling.goes_on();
        trickling.waits();
        assert_eq!(trickling.guest.since.load(Ordering::Relaxed), first);
        enter(&crowd, "192.0.2.9").unwrap();
        assert!(is_gone(&trickling) && !greeting.iter().any(|place| is_gone(place)));
        drop(served);
    }

    #[test]
    fn a_customer_with_many_networks_is_one_crowd() {
        let crowd = Crowd::new(6, 4);
        let owner = [enter(&crowd, "192.0.2.1").unwrap(), enter(&crowd, "192.0.2.1").unwrap()];
        let crowding: Vec<_> =
            (0..4).map(|net| enter(&crowd, &format!("2001:db8:1:{net}::1")).unwrap()).collect();
        enter(&crowd, "2001:db8:2::1").unwrap();
        assert!(
            is_gone(&crowding[0]) && !owner.iter().any(|place| is_gone(place)),
            "each of the four /64 holds less than the owner"
        );
    }

    #[test]
    fn a_server_that_comes_with_too_many_keeps_those_it_has() {
        let crowd = Crowd::new(9, 2);
        let admit = |address: &str| crowd.admit(at(address), false);
        let _kept = [admit("192.0.2.1").unwrap(), admit("192.0.2.1").unwrap()];
        assert!(admit("192.0.2.1").is_none());
        assert!(admit("::ffff:192.0.2.1").is_none(), "the same address in another spelling");
        assert!(admit("192.0.2.2").is_some());
    }

    #[test]
    fn who_holds_the_most_makes_room_for_whoever_holds_less() {
        let crowd = Crowd::new(4, 3);
        let admit = |address: &str| crowd.admit(at(address), false);
        let crowding: Vec<_> =
            (0..4).map(|net| Arc::new(admit(&format!("2001:db8:1:{net}::1")).unwrap())).collect();
        // One of them has logged in: it is the owner, somewhere.
        let _owner = crowding[0].clone().serve();
        let mine = admit("192.0.2.1").unwrap();
        assert_eq!(
            crowding.iter().map(|place| is_gone(place)).collect::<Vec<_>>(),
            [false, true, false, false]
        );
        let second = admit("192.0.2.2").unwrap();
        assert!(admit("2001:db8:1:7::1").is_none(), "nobody holds more than they");
        assert!(!is_gone(&mine) && !is_gone(&second));
    }

    #[test]
    fn this_machine_and_a_proxy_are_held_to_the_total_alone() {
        let crowd = Crowd::new(3, 1);
        let places: Vec<_> = (0..3).map(|_| crowd.enter(at("127.0.0.1"), true).unwrap()).collect();
        assert!(places.iter().all(|place| !is_gone(place)));
        drop(places);
        let inside = crowd.lock();
        assert!(inside.guests.is_empty() && inside.by_net.is_empty());
    }
}
