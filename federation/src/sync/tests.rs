//! Two sessions over a stream that delays and breaks, with stores that crash between taking and
//! keeping; then a liar.

mod lacking;

use std::collections::{BTreeMap, VecDeque};

use freehold_core::feed::{EntryAudience, EntryHeader, EntryId, FeedLogId, Kind, Lane};
use freehold_core::hlc::Hlc;
use freehold_core::identity::PersonId;
use freehold_core::keys::SecretKey;
use freehold_core::random::Random;

use super::*;
use crate::limits::{CREDIT, ENTRIES_LEN_MAX, PUSH_BURST, WANTED_MAX};
use crate::push::{from_wire, to_wire};

const NOW: Timestamp = Timestamp(1_000_000);

fn log(person: u8, epoch: u64) -> Log {
    let node = SecretKey::from_bytes(&[person; 32]).public();
    to_wire(&FeedLogId { person: PersonId([person; 32]), node, lane: Lane::PUBLIC, epoch })
}

/// An entry of the friend's first log.
fn entry(seq: u64, len: usize) -> Entry {
    entry_of(log(9, 0), seq, len)
}

fn entry_of(log: Log, seq: u64, len: usize) -> Entry {
    let header = EntryHeader {
        log: from_wire(&log).unwrap(),
        seq,
        prev: (seq > 0).then_some(EntryId([1; 32])),
        hlc: Hlc(0),
        kind: Kind::Post,
        body_len: u32::try_from(len).unwrap(),
        body_hash: [0; 32],
        audience: EntryAudience::Public,
        refs: Vec::new(),
        expires: None,
        understood: true,
    };
    Entry { header: header.to_canonical(), signature: vec![0; 64], body: Some(vec![7; len]) }
}

fn number(entry: &Entry) -> u64 {
    entry.place().unwrap().1
}

fn head(log: Log, hi: u64) -> Head {
    Head { log, lo: 0, hi, head: [u8::try_from(hi % 251).unwrap(); 32] }
}

fn fresh(log: Log, seq: u64) -> Fresh {
    Fresh { head: head(log, seq), entry: entry(seq, 100) }
}

/// One end: what it has said (bodies' lengths by log), what it holds of the other (last number by
/// log), and its session.
struct End {
    person: u8,
    said: BTreeMap<Log, Vec<usize>>,
    held: BTreeMap<Log, u64>,
    arrived: BTreeMap<Log, u64>,
    session: Option<Session>,
    inbox: VecDeque<Sync>,
    storing: VecDeque<Vec<Entry>>,
    reading: VecDeque<(Log, u64, usize, usize)>,
    comparing: VecDeque<Vec<Head>>,
    outbox: VecDeque<Sync>,
    ended: Option<Reason>,
    /// The present run: its log continues the one before.
    epoch: u64,
}

impl End {
    fn new(person: u8) -> Self {
        Self {
            person,
            said: BTreeMap::new(),
            held: BTreeMap::new(),
            arrived: BTreeMap::new(),
            session: None,
            inbox: VecDeque::new(),
            storing: VecDeque::new(),
            reading: VecDeque::new(),
            comparing: VecDeque::new(),
            outbox: VecDeque::new(),
            ended: None,
            epoch: 0,
        }
    }

    fn heads(&self) -> Vec<Head> {
        self.said
            .iter()
            .filter(|(_, said)| !said.is_empty())
            .map(|(log, said)| head(*log, said.len() as u64 - 1))
            .collect()
    }

    fn connect(&mut self, other: u8) {
        self.disconnect();
        let (session, actions) = Session::start(Trust::Friend([other; 32]), self.heads(), NOW);
        self.session = Some(session);
        self.take(actions);
    }

    /// The stream breaks: what is on the way, and what is being stored, is lost.
    fn disconnect(&mut self) {
        self.session = None;
        self.inbox.clear();
        self.outbox.clear();
        self.storing.clear();
        self.reading.clear();
        self.comparing.clear();
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => self.outbox.push_back(message),
                Action::Read { log, from, count_max, len_max } => {
                    self.reading.push_back((log, from, count_max, len_max))
                }
                Action::Compare(heads) => self.comparing.push_back(heads),
                Action::Find(_) => panic!("nothing is lacking here"),
                Action::Store(entries) => self.storing.push_back(entries),
                Action::Arrived { log, through } => {
                    let arrived = self.arrived.entry(log).or_default();
                    *arrived = through.max(*arrived);
                }
                Action::Forked(_) => {}
                Action::End(reason) | Action::Ended { reason, .. } => self.ended = Some(reason),
            }
        }
    }

    fn say(&mut self, len: usize, now: Timestamp) {
        let log = log(self.person, self.epoch);
        let said = self.said.entry(log).or_default();
        said.push(len);
        let seq = said.len() as u64 - 1;
        if let Some(session) = &mut self.session {
            let actions =
                session.grown(&Fresh { head: head(log, seq), entry: entry_of(log, seq, len) }, now);
            self.take(actions);
        }
    }

    /// Does one thing that waits; whether there was one. `said` is what the other has said.
    fn step(&mut self, random: &Random, said: &BTreeMap<Log, Vec<usize>>, now: Timestamp) -> bool {
        let Some(mut session) = self.session.take() else { return false };
        let actions = match random.u64() % 4 {
            // As the loop around a real session does: what it asks for is done before the next
            // message is heard.
            0 if self.comparing.is_empty() => {
                self.inbox.pop_front().map(|message| session.received(message, now))
            }
            1 => self.storing.pop_front().map(|entries| {
                let (log, _) = entries[0].place().unwrap();
                let before = (0..log.epoch).rev().find_map(|epoch| {
                    said.get(&Log { epoch, ..log }).map(|said| (epoch, said.len() as u64 - 1))
                });
                if let Some((epoch, last)) = before.filter(|_| number(&entries[0]) == 0) {
                    assert_eq!(
                        self.held.get(&Log { epoch, ..log }),
                        Some(&last),
                        "an epoch came before the end of the one it continues"
                    );
                }
                for entry in &entries {
                    let next = self.held.get(&log).map_or(0, |hi| hi + 1);
                    assert!(number(entry) <= next, "a gap: {} after {next}", number(entry));
                    self.held.insert(log, number(entry).max(next.saturating_sub(1)));
                }
                session.stored(&[(log, self.held[&log])])
            }),
            2 => self.reading.pop_front().map(|(log, from, count_max, len_max)| {
                let (mut weight, mut entries) = (0, Vec::new());
                for (seq, len) in
                    (from..).zip(self.said[&log].iter().skip(usize::try_from(from).unwrap()))
                {
                    let entry = entry_of(log, seq, *len);
                    weight += entry.len();
                    if !entries.is_empty()
                        && (weight > len_max || entries.len() == ENTRIES_MAX.min(count_max))
                    {
                        break;
                    }
                    entries.push(entry);
                }
                session.read(&log, entries)
            }),
            _ => self.comparing.pop_front().map(|heads| {
                let held = heads.into_iter().map(|offered| {
                    let held = self.held.get(&offered.log).map(|hi| *hi.min(&offered.hi));
                    let held = held.map(|hi| (hi, head(offered.log, hi).head));
                    (offered, held)
                });
                session.compared(held.collect())
            }),
        };
        self.session = Some(session);
        let did = actions.is_some();
        self.take(actions.unwrap_or_default());
        did
    }

    fn idle(&self) -> bool {
        [
            self.inbox.len(),
            self.outbox.len(),
            self.storing.len(),
            self.reading.len(),
            self.comparing.len(),
        ]
        .iter()
        .all(|len| *len == 0)
    }
}

fn settle(one: &mut End, two: &mut End, random: &Random, now: Timestamp) {
    for _ in 0..1_000_000 {
        if let Some(message) = one.outbox.pop_front() {
            two.inbox.push_back(message);
        }
        if let Some(message) = two.outbox.pop_front() {
            one.inbox.push_back(message);
        }
        one.step(random, &two.said, now);
        two.step(random, &one.said, now);
        if one.idle() && two.idle() {
            return;
        }
    }
    panic!("the sessions never come to rest");
}

fn holds_all(one: &End, two: &End) {
    for (log, said) in &two.said {
        assert_eq!(one.held.get(log).copied(), (said.len() as u64).checked_sub(1), "{log:?}");
        assert_eq!(
            two.arrived.get(log).copied(),
            (said.len() as u64).checked_sub(1),
            "arrivals of {log:?}"
        );
    }
}

#[test]
fn whatever_breaks_both_end_up_with_everything() {
    for seed in 0..300 {
        let random = Random::seeded(seed);
        let (mut alice, mut bob) = (End::new(1), End::new(2));
        let mut now = NOW;
        for _ in 0..random.u64() % 1000 {
            // Every other time nothing but offers and wants can carry what a burst of pushes may
            // not.
            now = now.plus_millis(if seed % 2 == 0 { random.u64() % 400 } else { 0 });
            match random.u64() % 40 {
                0 => {
                    alice.connect(2);
                    bob.connect(1);
                }
                1 => {
                    alice.disconnect();
                    bob.disconnect();
                    alice.epoch += random.u64() % 2;
                    bob.epoch += random.u64() % 2;
                }
                2..8 => alice.say(usize::try_from(random.u64() % 60_000).unwrap(), now),
                8..14 => bob.say(usize::try_from(random.u64() % 500).unwrap(), now),
                14..20 => bob.inbox.extend(alice.outbox.pop_front()),
                20..26 => alice.inbox.extend(bob.outbox.pop_front()),
                26..33 => _ = alice.step(&random, &bob.said, now),
                _ => _ = bob.step(&random, &alice.said, now),
            }
            assert_eq!((alice.ended, bob.ended), (None, None), "seed {seed}");
        }
        alice.connect(2);
        bob.connect(1);
        settle(&mut alice, &mut bob, &random, now);
        holds_all(&alice, &bob);
        holds_all(&bob, &alice);
        // Once at rest, a new entry needs one message to arrive and one to be known to have
        // arrived.
        now = now.plus_millis(60_000);
        alice.epoch += random.u64() % 2;
        alice.say(10, now);
        assert!(matches!(alice.outbox.front(), Some(Sync::Push(_))), "seed {seed}");
        settle(&mut alice, &mut bob, &random, now);
        holds_all(&bob, &alice);
        assert_eq!((alice.ended, bob.ended), (None, None), "seed {seed}");
    }
}

#[test]
fn no_more_than_the_credit_is_on_the_way() {
    let mut alice = End::new(1);
    for _ in 0..100 {
        alice.say(60_000, NOW);
    }
    alice.connect(2);
    let wanted =
        alice.session.as_mut().unwrap().received(Sync::Want { log: log(1, 0), from: 0 }, NOW);
    alice.take(wanted);
    let random = Random::seeded(1);
    while !alice.reading.is_empty() {
        alice.step(&random, &BTreeMap::new(), NOW);
    }
    let sent = alice.outbox.iter().map(|message| match message {
        Sync::Entries(entries) => entries.iter().map(Entry::len).sum(),
        _ => 0,
    });
    let sent: usize = sent.sum();
    assert!(sent > CREDIT / 2 && sent <= CREDIT, "{sent}");
}

fn with_a_friend() -> Session {
    Session::start(Trust::Friend([9; 32]), vec![head(log(1, 0), 3)], NOW).0
}

fn ends_with(actions: &[Action], reason: Reason) {
    assert!(actions.contains(&Action::End(reason)), "{actions:?}");
}

#[test]
fn a_flood_of_pushes_ends_the_stream() {
    let mut session = with_a_friend();
    for seq in 0..u64::from(PUSH_BURST) {
        assert!(matches!(
            session.received(Sync::Push(vec![entry(seq, 1)]), NOW)[..],
            [Action::Store(_)]
        ));
        session.stored(&[(log(9, 0), seq)]);
    }
    ends_with(&session.received(Sync::Push(vec![entry(200, 1)]), NOW), Reason::Rate);
    assert!(
        session.received(Sync::Push(vec![entry(201, 1)]), NOW).is_empty(),
        "nothing is heard after Bye"
    );
}

/// What comes of entries of this log, one to a frame, from number `from` on, before the stream ends
/// for their rate.
fn taken_until_rate(session: &mut Session, log: Log, from: u64) -> u32 {
    for count in 0.. {
        let actions =
            session.received(Sync::Entries(vec![entry_of(log, from + u64::from(count), 1)]), NOW);
        if actions.contains(&Action::End(Reason::Rate)) || count > 2 * PUSH_BURST {
            return count;
        }
        session.stored(&[(log, from + u64::from(count))]);
    }
    unreachable!()
}

#[test]
fn entries_that_were_not_asked_for_are_pushes_whatever_else_was() {
    let endless = Head { hi: u64::MAX, ..head(log(9, 0), 0) };
    let mut session = with_a_friend();
    session.compared(vec![(endless, None)]);
    assert_eq!(
        taken_until_rate(&mut session, log(9, 1), 0),
        PUSH_BURST,
        "another log than was offered"
    );
    let mut session = with_a_friend();
    session.compared(vec![(endless, None), (head(log(9, 1), 1000), None)]);
    assert_eq!(
        taken_until_rate(&mut session, log(9, 1), 1001),
        PUSH_BURST,
        "beyond what was offered"
    );
    let mut session = with_a_friend();
    session.compared(vec![(head(log(9, 1), 1000), None)]);
    assert_eq!(
        taken_until_rate(&mut session, log(9, 1), 0),
        2 * PUSH_BURST + 1,
        "what was asked for"
    );
}

#[test]
fn a_flood_of_offers_ends_the_stream() {
    let mut session = with_a_friend();
    let heads =
        |from: u64| (from..from + 512).map(|epoch| head(log(9, epoch), 3)).collect::<Vec<_>>();
    let frames = (0..1000).take_while(|_| {
        !session.received(Sync::Have(heads(0)), NOW).contains(&Action::End(Reason::Rate))
    });
    assert!(frames.count() < 40);
    let mut session = with_a_friend();
    let mut wanted = 0;
    while !session
        .compared(heads(wanted).into_iter().map(|head| (head, None)).collect())
        .contains(&Action::End(Reason::Rate))
    {
        wanted += 512;
    }
    assert_eq!(wanted, WANTED_MAX as u64);
}

#[test]
fn entries_beyond_the_credit_end_the_stream() {
    let mut session = with_a_friend();
    session.compared(vec![(head(log(9, 0), 1000), None)]);
    let mut ended = false;
    for seq in 0..64 {
        ended |= session
            .received(Sync::Entries(vec![entry(seq, 60_000)]), NOW)
            .contains(&Action::End(Reason::Rate));
    }
    assert!(ended);
}

#[test]
fn proofs_of_forks_that_wait_count_against_the_credit() {
    let mut session = with_a_friend();
    let proof = Sync::Fork { one: entry(0, 60_000), other: entry(0, 60_001) };
    let taken = (0..PUSH_BURST / 2)
        .take_while(|_| matches!(session.received(proof.clone(), NOW)[..], [Action::Forked(_)]))
        .count();
    assert!(taken * 120_000 <= CREDIT + ENTRIES_LEN_MAX && taken > 3, "{taken}");
    // What ends the stream is the weight: as many light ones are within the rate.
    let mut session = with_a_friend();
    let light = Sync::Fork { one: entry(0, 10), other: entry(0, 11) };
    assert!(
        (0..PUSH_BURST / 2)
            .all(|_| matches!(session.received(light.clone(), NOW)[..], [Action::Forked(_)]))
    );
}

#[test]
fn too_many_entries_in_a_frame_end_the_stream() {
    let many = (0..=ENTRIES_MAX as u64).map(|seq| entry(seq, 1)).collect();
    ends_with(&with_a_friend().received(Sync::Push(many), NOW), Reason::Invalid);
    ends_with(&with_a_friend().received(Sync::Push(Vec::new()), NOW), Reason::Invalid);
}

#[test]
fn a_want_beyond_the_log_ends_the_stream() {
    ends_with(
        &with_a_friend().received(Sync::Want { log: log(1, 0), from: 5 }, NOW),
        Reason::Invalid,
    );
}

#[test]
fn a_log_that_is_not_offered_does_not_exist() {
    assert!(with_a_friend().received(Sync::Want { log: log(1, 99), from: 0 }, NOW).is_empty());
}

#[test]
fn others_logs_are_not_taken_from_a_friend() {
    assert!(with_a_friend().received(Sync::Have(vec![head(log(5, 0), 3)]), NOW).is_empty());
}

#[test]
fn a_stranger_gives_nothing_and_reads_slowly() {
    let stranger = || Session::start(Trust::Stranger, vec![head(log(1, 0), 3)], NOW).0;
    ends_with(&stranger().received(Sync::Push(vec![entry(0, 1)]), NOW), Reason::NotFriends);
    assert!(stranger().received(Sync::Have(vec![head(log(9, 0), 3)]), NOW).is_empty());
    assert!(stranger().grown(&fresh(log(1, 0), 4), NOW).is_empty());
    let mut session = stranger();
    assert!(matches!(
        session.received(Sync::Want { log: log(1, 0), from: 0 }, NOW)[..],
        [Action::Read { .. }]
    ));
    let ended = (0..20).any(|_| {
        session.received(Sync::Have(Vec::new()), NOW).contains(&Action::End(Reason::Rate))
    });
    assert!(ended);
}
