//! Which connection is closed for which newcomer.

use freehold_proto::clock::Timestamp;

use super::*;

fn at(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn limiter(total_max: usize, per_net_max: usize) -> ConnectionLimiter {
    ConnectionLimiter::new(total_max, per_net_max, Clock::manual(Timestamp(0)))
}

fn is_closed(permit: &Permit) -> bool {
    !permit.limiter.lock().connections.contains_key(&permit.number)
}

fn closed(permits: &[Arc<Permit>]) -> Vec<bool> {
    permits.iter().map(|permit| is_closed(permit)).collect()
}

fn admit_evicting(limiter: &ConnectionLimiter, address: &str) -> Option<Arc<Permit>> {
    limiter.admit_evicting(at(address), false).map(Arc::new)
}

fn admit(limiter: &ConnectionLimiter, address: &str) -> Option<Arc<Permit>> {
    limiter.admit(at(address), false).map(Arc::new)
}

fn admit_shared(limiter: &ConnectionLimiter) -> Option<Arc<Permit>> {
    limiter.admit(at("127.0.0.1"), true).map(Arc::new)
}

#[tokio::test]
async fn flood_from_one_network_evicts_only_itself() {
    let limiter = limiter(100, 3);
    let owner = admit_evicting(&limiter, "192.0.2.1").unwrap();
    let flood: Vec<_> = (0..50)
        .map(|host| admit_evicting(&limiter, &format!("2001:db8::{host}")).unwrap())
        .collect();
    assert!(!is_closed(&owner));
    assert_eq!(flood.iter().filter(|permit| !is_closed(permit)).count(), 3);
    flood[0].revoked().await;
    assert!(
        admit_evicting(&limiter, "2001:db8:0:1::1").is_some_and(|permit| !is_closed(&permit)),
        "the next /64 has a share of its own"
    );
}

#[test]
fn full_total_evicts_slowest_of_the_largest_network() {
    let limiter = limiter(5, 4);
    let owner = admit_evicting(&limiter, "192.0.2.1").unwrap();
    let flood: Vec<_> = (0..4).map(|_| admit_evicting(&limiter, "192.0.2.66").unwrap()).collect();
    let served = [flood[0].clone().serve(), flood[1].clone().serve()];
    let friend = admit_evicting(&limiter, "192.0.2.2").unwrap();
    assert_eq!(closed(&flood), [false, false, true, false], "the served ones stay");
    assert!(!is_closed(&owner) && !is_closed(&friend));
    drop(served);
}

#[test]
fn newcomer_is_refused_where_every_connection_is_served() {
    let limiter = limiter(2, 2);
    let permits: Vec<_> =
        (1..3).map(|n| admit_evicting(&limiter, &format!("192.0.2.{n}")).unwrap()).collect();
    let served: Vec<_> = permits.iter().map(|permit| permit.clone().serve()).collect();
    assert!(admit_evicting(&limiter, "192.0.2.9").is_none());
    // A body that does not arrive is no longer a request being served.
    permits[1].waiting();
    assert!(admit_evicting(&limiter, "192.0.2.9").is_some());
    assert_eq!(closed(&permits), [false, true]);
    drop(served);
}

#[test]
fn trickling_connection_keeps_its_first_waiting_time() {
    let limiter = limiter(3, 3);
    let trickling = admit_evicting(&limiter, "192.0.2.1").unwrap();
    let served = trickling.clone().serve();
    limiter.clock.advance(1);
    trickling.waiting();
    let first = trickling.connection.waiting_since();
    for _ in 0..3 {
        limiter.clock.advance(1);
        trickling.progressed();
        trickling.waiting();
    }
    assert_eq!(trickling.connection.waiting_since(), first);
    let handshaking: Vec<_> =
        (2..4).map(|host| admit_evicting(&limiter, &format!("192.0.2.{host}")).unwrap()).collect();
    let began = handshaking[0].connection.waiting_since();
    limiter.clock.advance(1);
    for permit in &handshaking {
        permit.progressed();
        assert_eq!(permit.connection.waiting_since(), began, "nor do bytes of a handshake");
    }
    admit_evicting(&limiter, "192.0.2.9").unwrap();
    assert!(is_closed(&trickling));
    assert_eq!(closed(&handshaking), [false, false]);
    drop(served);
}

#[test]
fn customer_with_many_networks_is_counted_once() {
    let limiter = limiter(6, 4);
    let owner = [
        admit_evicting(&limiter, "192.0.2.1").unwrap(),
        admit_evicting(&limiter, "192.0.2.1").unwrap(),
    ];
    let flood: Vec<_> = (0..4)
        .map(|net| admit_evicting(&limiter, &format!("2001:db8:1:{net}::1")).unwrap())
        .collect();
    admit_evicting(&limiter, "2001:db8:2::1").unwrap();
    assert!(is_closed(&flood[0]), "each of the four /64 alone has less than the owner");
    assert_eq!(closed(&owner), [false, false]);
}

#[test]
fn mail_server_over_its_share_keeps_its_connections() {
    let limiter = limiter(9, 2);
    let _open = [admit(&limiter, "192.0.2.1").unwrap(), admit(&limiter, "192.0.2.1").unwrap()];
    assert!(admit(&limiter, "192.0.2.1").is_none());
    assert!(admit(&limiter, "::ffff:192.0.2.1").is_none(), "the same address, IPv4-mapped");
    assert!(admit(&limiter, "192.0.2.2").is_some());
}

#[test]
fn customer_with_the_most_yields_to_one_with_fewer() {
    let limiter = limiter(4, 3);
    let flood: Vec<_> =
        (0..4).map(|net| admit(&limiter, &format!("2001:db8:1:{net}::1")).unwrap()).collect();
    // The owner has logged in from the same customer's network.
    flood[0].authenticate();
    let first = admit(&limiter, "192.0.2.1").unwrap();
    assert_eq!(closed(&flood), [false, true, false, false]);
    let second = admit(&limiter, "192.0.2.2").unwrap();
    assert!(admit(&limiter, "2001:db8:1:7::1").is_none(), "no customer has more than this one");
    assert!(!is_closed(&first) && !is_closed(&second));
}

#[test]
fn shared_address_is_held_to_the_total_alone() {
    let limiter = limiter(3, 1);
    let permits: Vec<_> =
        (0..3).map(|_| limiter.admit_evicting(at("127.0.0.1"), true).unwrap()).collect();
    assert!(permits.iter().all(|permit| !is_closed(permit)));
    drop(permits);
    let open = limiter.lock();
    assert!(open.connections.is_empty() && open.by_net.is_empty());
}

#[test]
fn idle_unauthenticated_connection_yields_after_five_seconds() {
    let limiter = limiter(3, 3);
    let idle: Vec<_> = (0..3)
        .map(|_| {
            limiter.clock.advance(1);
            admit_shared(&limiter).unwrap()
        })
        .collect();
    idle[0].authenticate();
    limiter.clock.advance(IDLE_MS_MAX - 2);
    assert!(admit_shared(&limiter).is_none(), "the oldest stranger is four seconds old");
    limiter.clock.advance(1);
    let newcomer = admit_shared(&limiter).unwrap();
    assert_eq!(closed(&idle), [false, true, false], "the oldest that has not logged in");
    assert!(!is_closed(&newcomer));
    assert!(admit_shared(&limiter).is_none(), "the third came a moment later");
}

#[test]
fn idle_connection_yields_within_the_network_share() {
    let limiter = limiter(9, 2);
    let other = admit(&limiter, "192.0.2.7").unwrap();
    let own = [admit(&limiter, "192.0.2.1").unwrap(), admit(&limiter, "192.0.2.1").unwrap()];
    own[0].authenticate();
    limiter.clock.advance(IDLE_MS_MAX);
    assert!(admit(&limiter, "192.0.2.1").is_some());
    assert_eq!(closed(&own), [false, true]);
    assert!(!is_closed(&other), "another network is not affected");
}

#[test]
fn message_under_way_yields_only_when_stalled() {
    let limiter = limiter(1, 1);
    let sending = admit_shared(&limiter).unwrap();
    let message = sending.clone().serve();
    limiter.clock.advance(STALL_MS_MAX - 1);
    sending.progressed();
    limiter.clock.advance(STALL_MS_MAX - 1);
    assert!(admit_shared(&limiter).is_none());
    drop(message);
    limiter.clock.advance(IDLE_MS_MAX - 1);
    assert!(admit_shared(&limiter).is_none(), "the pause after a message counts from its end");
    let _next = sending.clone().serve();
    limiter.clock.advance(STALL_MS_MAX);
    assert!(admit_shared(&limiter).is_some());
    assert!(is_closed(&sending));
}

#[test]
fn reached_limit_is_reported_by_name() {
    let limiter = limiter(2, 1);
    let _first = admit(&limiter, "192.0.2.1").unwrap();
    assert_eq!(limiter.reached(at("192.0.2.1"), false), Some(Limit::PerNet));
    assert_eq!(limiter.reached(at("192.0.2.1"), true), None);
    assert_eq!(limiter.reached(at("192.0.2.2"), false), None);
    let _second = admit(&limiter, "192.0.2.2").unwrap();
    assert_eq!(limiter.reached(at("192.0.2.3"), false), Some(Limit::Total));
}

#[test]
fn larger_customer_never_evicts_a_smaller_one() {
    let limiter = limiter(3, 3);
    let small = admit(&limiter, "192.0.2.1").unwrap();
    let large = [admit(&limiter, "192.0.2.2").unwrap(), admit(&limiter, "192.0.2.2").unwrap()];
    large.iter().for_each(|permit| permit.authenticate());
    limiter.clock.advance(IDLE_MS_MAX);
    assert!(admit(&limiter, "192.0.2.2").is_none());
    assert!(!is_closed(&small));
}
