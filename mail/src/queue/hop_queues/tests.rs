use super::*;

fn id(number: u64) -> QueueId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    QueueId(bytes)
}

fn domain(number: usize) -> Target {
    Some(NextHop::Direct(format!("d{number}.example")))
}

/// The workers that can start, by their targets.
fn started(queues: &mut HopQueues) -> Vec<Target> {
    std::iter::from_fn(|| queues.start()).map(|(target, _)| target).collect()
}

#[test]
fn second_connection_follows_the_first_ones_answer() {
    let mut queues = HopQueues::default();
    for number in 0..10 {
        queues.add(id(number), [domain(1)], true);
    }
    assert_eq!(started(&mut queues), [domain(1)]);
    queues.opened(&domain(1));
    assert_eq!(started(&mut queues), [domain(1)]);
    queues.opened(&domain(1));
    assert_eq!(started(&mut queues), [], "two connections are the most");
    assert_eq!(queues.next(&domain(1)), Some(id(2)));
}

#[test]
fn long_queue_does_not_delay_other_domains() {
    let mut queues = HopQueues::default();
    for number in 0..100_000 {
        queues.add(id(number), [domain(1)], true);
    }
    assert!(queues.known.len() <= IDS_MAX);
    queues.add(id(200_000), [domain(2), domain(3)], true);
    assert_eq!(started(&mut queues), [domain(1), domain(2), domain(3)]);
    // Full queues leave room for others, whatever their number.
    for number in 0..50_000 {
        queues.add(id(300_000 + number as u64), [domain(number % 5_000)], true);
    }
    assert_eq!(queues.queues.len(), QUEUES_MAX);
    assert!(queues.known.len() < 2 * IDS_MAX + QUEUES_MAX * IDS_PER_QUEUE_MIN);
}

#[test]
fn slow_next_hops_leave_room_for_others() {
    let mut queues = HopQueues::default();
    for number in 0..1_000 {
        queues.add(id(number as u64), [domain(number)], true);
    }
    assert_eq!(started(&mut queues).len(), ACTIVE_MAX);
    for _ in 0..ACTIVE_MAX {
        queues.set_slow(true);
    }
    assert_eq!(started(&mut queues).len(), ACTIVE_MAX);
    for _ in 0..ACTIVE_MAX {
        queues.set_slow(true);
    }
    assert_eq!(started(&mut queues).len(), ACTIVE_MAX);
    for _ in 0..ACTIVE_MAX {
        queues.set_slow(true);
    }
    assert_eq!(started(&mut queues).len(), ACTIVE_MAX);
    queues.set_slow(true);
    assert_eq!(started(&mut queues), [], "there are {WORKERS_MAX} workers");
    queues.set_slow(false);
    queues.opened(&domain(0));
    queues.leave(&domain(0));
    assert_eq!(started(&mut queues), [domain(WORKERS_MAX)]);
}

#[test]
fn message_is_known_until_all_attempts_ended() {
    let mut queues = HopQueues::default();
    queues.add(id(1), [None, domain(1)], true);
    assert_eq!(started(&mut queues), [None, domain(1)]);
    assert!(queues.has_all(id(1)));
    queues.end(&None, id(1));
    assert!(queues.known.contains_key(&id(1)) && queues.take_ended() && !queues.take_ended());
    queues.end(&domain(1), id(1));
    assert!(queues.known.is_empty());
    queues.leave(&None);
    queues.leave(&domain(1));
    assert!(queues.queues.is_empty() && queues.workers == 0);
}

#[test]
fn retry_is_queued_beside_a_running_attempt() {
    let mut queues = HopQueues::default();
    queues.add(id(1), [domain(1), domain(2)], true);
    assert_eq!(started(&mut queues), [domain(1), domain(2)]);
    queues.end(&domain(1), id(1));
    queues.leave(&domain(1));
    assert!(!queues.has_all(id(1)));
    // The other attempt is not repeated.
    queues.add(id(1), [domain(1), domain(2)], true);
    assert_eq!(started(&mut queues), [domain(1)]);
    queues.end(&domain(2), id(1));
    queues.leave(&domain(2));
    assert!(queues.known.contains_key(&id(1)));
    queues.end(&domain(1), id(1));
    assert!(queues.known.is_empty());
}

#[test]
fn changed_route_sends_to_no_recipient_twice() {
    let mut queues = HopQueues::default();
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    queues.add(id(1), [domain(1), domain(2)], true);
    let claimed: HashSet<String> = names(&["a", "b"]);
    assert_eq!(queues.claim(&domain(1), id(1), claimed.clone()), claimed);
    queues.end(&domain(2), id(1));
    // The smarthost takes the mail for all domains from now on.
    let smarthost = Some(NextHop::Smarthost);
    queues.add(id(1), [smarthost.clone()], true);
    let claimed: HashSet<String> = names(&["a", "b", "c"]);
    assert_eq!(queues.claim(&smarthost, id(1), claimed.clone()), names(&["c"]));
    queues.put_back(&domain(1), id(1));
    assert_eq!(queues.claim(&smarthost, id(1), claimed.clone()), claimed);
    assert_eq!(queues.claim(&domain(1), id(1), claimed), HashSet::new());
}

#[test]
fn refused_connection_leaves_the_other_ones() {
    let mut queues = HopQueues::default();
    let smarthost = Some(NextHop::Smarthost);
    for number in 0..9 {
        queues.add(id(number), [smarthost.clone()], true);
    }
    for _ in 0..3 {
        assert_eq!(started(&mut queues).len(), 1);
        queues.opened(&smarthost);
    }
    assert_eq!(started(&mut queues).len(), 1);
    queues.put_back(&smarthost, id(3));
    queues.opened(&smarthost);
    queues.leave(&smarthost);
    assert_eq!(started(&mut queues), [], "three connections are the most");
    queues.leave(&smarthost);
    assert_eq!(started(&mut queues).len(), 1);
}

#[test]
fn refused_second_connection_is_not_tried_again() {
    let mut queues = HopQueues::default();
    for number in 0..4 {
        queues.add(id(number), [domain(1)], true);
    }
    assert_eq!(started(&mut queues).len(), 1);
    queues.opened(&domain(1));
    assert_eq!(started(&mut queues).len(), 1);
    assert!(queues.has_other_connection(&domain(1)));
    queues.put_back(&domain(1), id(1));
    queues.opened(&domain(1));
    queues.leave(&domain(1));
    assert_eq!(started(&mut queues), []);
    assert_eq!(queues.next(&domain(1)), Some(id(1)));
    queues.leave(&domain(1));
    assert_eq!(started(&mut queues), [domain(1)]);
}
