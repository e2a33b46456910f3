//! Two honest sessions over a stream that delays and breaks, with stores that crash before a batch
//! is durable.

use std::collections::{BTreeMap, VecDeque};

use freehold_core::random::Random;

use super::*;

/// The lengths of the bodies in each log of one author.
type Written = BTreeMap<Log, Vec<usize>>;

/// One end of the stream, with its store.
struct End {
    person: u8,
    /// The own logs.
    written: Written,
    /// The last stored entry of each of the other's logs.
    stored: BTreeMap<Log, u64>,
    /// The last entry of each own log that the other has acknowledged.
    acknowledged: BTreeMap<Log, u64>,
    session: Option<SyncSession>,
    queues: Queues,
    ended: Option<Reason>,
    /// The epoch of the present run: its log continues the one of the epoch before.
    epoch: u64,
}

/// The messages and actions that wait at one end.
#[derive(Default)]
struct Queues {
    received: VecDeque<Sync>,
    to_send: VecDeque<Sync>,
    storing: VecDeque<Vec<Entry>>,
    reading: VecDeque<(Log, u64, usize, usize)>,
    comparing: VecDeque<Vec<Head>>,
}

impl End {
    fn new(person: u8) -> Self {
        Self {
            person,
            written: BTreeMap::new(),
            stored: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            session: None,
            queues: Queues::default(),
            ended: None,
            epoch: 0,
        }
    }

    fn heads(&self) -> Vec<Head> {
        self.written
            .iter()
            .filter(|(_, bodies)| !bodies.is_empty())
            .map(|(log, bodies)| head(*log, bodies.len() as u64 - 1))
            .collect()
    }

    fn connect(&mut self, other: u8) {
        self.disconnect();
        let (session, actions) =
            SyncSession::start(SyncPeer::Friend([other; 32]), self.heads(), NOW);
        self.session = Some(session);
        self.take(actions);
    }

    /// The stream breaks: messages on their way, and batches that are being stored, are lost.
    fn disconnect(&mut self) {
        self.session = None;
        self.queues = Queues::default();
    }

    fn take(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Send(message) => self.queues.to_send.push_back(message),
                Action::Read { log, from, count_max, len_max } => {
                    self.queues.reading.push_back((log, from, count_max, len_max))
                }
                Action::Compare(heads) => self.queues.comparing.push_back(heads),
                Action::FindBodies(_) => panic!("no body is missing in this test"),
                Action::Store(entries) => self.queues.storing.push_back(entries),
                Action::Acknowledged { log, through, .. } => {
                    let acknowledged = self.acknowledged.entry(log).or_default();
                    *acknowledged = through.max(*acknowledged);
                }
                Action::StoreFork(_) => {}
                Action::End(reason) | Action::Ended { reason, .. } => self.ended = Some(reason),
            }
        }
    }

    /// Writes an entry with a body of `len` bytes.
    fn write(&mut self, len: usize, now: Timestamp) {
        let log = log(self.person, self.epoch);
        let bodies = self.written.entry(log).or_default();
        bodies.push(len);
        let seq = bodies.len() as u64 - 1;
        if let Some(session) = &mut self.session {
            let new = NewEntry { head: head(log, seq), entry: entry_of(log, seq, len) };
            let actions = session.on_new_entry(&new, now);
            self.take(actions);
        }
    }

    /// Handles one random item of the queues. `other` is the other end's logs.
    fn step(&mut self, random: &Random, other: &Written, now: Timestamp) {
        let Some(mut session) = self.session.take() else { return };
        let actions = match random.u64() % 4 {
            // The loop around a real session also finishes a comparison before it takes the next
            // message.
            0 if self.queues.comparing.is_empty() => {
                self.queues.received.pop_front().map(|message| session.on_message(message, now))
            }
            1 => self.queues.storing.pop_front().map(|entries| {
                let (log, _) = log_and_seq(&entries[0]).unwrap();
                let before = (0..log.epoch).rev().find_map(|epoch| {
                    other.get(&Log { epoch, ..log }).map(|bodies| (epoch, bodies.len() as u64 - 1))
                });
                if let Some((epoch, last)) = before.filter(|_| seq_of(&entries[0]) == 0) {
                    assert_eq!(
                        self.stored.get(&Log { epoch, ..log }),
                        Some(&last),
                        "an epoch was received before the end of the one it continues"
                    );
                }
                for entry in &entries {
                    let next = self.stored.get(&log).map_or(0, |hi| hi + 1);
                    assert!(seq_of(entry) <= next, "a gap: {} after {next}", seq_of(entry));
                    self.stored.insert(log, seq_of(entry).max(next.saturating_sub(1)));
                }
                session.on_stored(&[(log, self.stored[&log])])
            }),
            2 => self.queues.reading.pop_front().map(|(log, from, count_max, len_max)| {
                let (mut read_len, mut entries) = (0, Vec::new());
                let bodies = self.written[&log].iter().skip(usize::try_from(from).unwrap());
                for (seq, len) in (from..).zip(bodies) {
                    let entry = entry_of(log, seq, *len);
                    read_len += entry.len();
                    if !entries.is_empty()
                        && (read_len > len_max || entries.len() == ENTRIES_MAX.min(count_max))
                    {
                        break;
                    }
                    entries.push(entry);
                }
                session.on_read(&log, entries)
            }),
            _ => self.queues.comparing.pop_front().map(|heads| {
                let compared = heads.into_iter().map(|offered| {
                    let stored = self.stored.get(&offered.log).map(|hi| *hi.min(&offered.hi));
                    let stored = stored.map(|hi| (hi, head(offered.log, hi).head));
                    (offered, stored)
                });
                session.on_compared(compared.collect())
            }),
        };
        self.session = Some(session);
        self.take(actions.unwrap_or_default());
    }

    fn is_idle(&self) -> bool {
        let Queues { received, to_send, storing, reading, comparing } = &self.queues;
        [received.len(), to_send.len(), storing.len(), reading.len(), comparing.len()]
            .iter()
            .all(|len| *len == 0)
    }
}

/// Runs both ends until nothing waits.
fn run_until_idle(one: &mut End, two: &mut End, random: &Random, now: Timestamp) {
    for _ in 0..1_000_000 {
        if let Some(message) = one.queues.to_send.pop_front() {
            two.queues.received.push_back(message);
        }
        if let Some(message) = two.queues.to_send.pop_front() {
            one.queues.received.push_back(message);
        }
        one.step(random, &two.written, now);
        two.step(random, &one.written, now);
        if one.is_idle() && two.is_idle() {
            return;
        }
    }
    panic!("the sessions never become idle");
}

/// The reader has stored all entries of the author, and the author knows it.
fn assert_complete(reader: &End, author: &End) {
    for (log, bodies) in &author.written {
        let last = (bodies.len() as u64).checked_sub(1);
        assert_eq!(reader.stored.get(log).copied(), last, "{log:?}");
        assert_eq!(author.acknowledged.get(log).copied(), last, "acknowledgements of {log:?}");
    }
}

#[test]
fn sessions_synchronise_fully_after_broken_streams() {
    for seed in 0..300 {
        let random = Random::seeded(seed);
        let (mut alice, mut bob) = (End::new(1), End::new(2));
        let mut now = NOW;
        for _ in 0..random.u64() % 1000 {
            // With an odd seed the clock does not advance: the rate of pushes is soon used up, and
            // only offers and Wants carry the rest.
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
                2..8 => alice.write(usize::try_from(random.u64() % 60_000).unwrap(), now),
                8..14 => bob.write(usize::try_from(random.u64() % 500).unwrap(), now),
                14..20 => bob.queues.received.extend(alice.queues.to_send.pop_front()),
                20..26 => alice.queues.received.extend(bob.queues.to_send.pop_front()),
                26..33 => alice.step(&random, &bob.written, now),
                _ => bob.step(&random, &alice.written, now),
            }
            assert_eq!((alice.ended, bob.ended), (None, None), "seed {seed}");
        }
        alice.connect(2);
        bob.connect(1);
        run_until_idle(&mut alice, &mut bob, &random, now);
        assert_complete(&alice, &bob);
        assert_complete(&bob, &alice);
        // Between idle sessions a new entry needs one message, and one acknowledgement.
        now = now.plus_millis(60_000);
        alice.epoch += random.u64() % 2;
        alice.write(10, now);
        assert!(matches!(alice.queues.to_send.front(), Some(Sync::Push(_))), "seed {seed}");
        run_until_idle(&mut alice, &mut bob, &random, now);
        assert_complete(&bob, &alice);
        assert_eq!((alice.ended, bob.ended), (None, None), "seed {seed}");
    }
}

#[test]
fn unacknowledged_entries_never_exceed_the_credit() {
    let mut alice = End::new(1);
    for _ in 0..100 {
        alice.write(60_000, NOW);
    }
    alice.connect(2);
    let want = Sync::Want { log: log(1, 0), from: 0 };
    let actions = alice.session.as_mut().unwrap().on_message(want, NOW);
    alice.take(actions);
    let random = Random::seeded(1);
    while !alice.queues.reading.is_empty() {
        alice.step(&random, &BTreeMap::new(), NOW);
    }
    let sent = alice.queues.to_send.iter().map(|message| match message {
        Sync::Entries(entries) => entries.iter().map(Entry::len).sum(),
        _ => 0,
    });
    let sent: usize = sent.sum();
    assert!(sent > CREDIT / 2 && sent <= CREDIT, "{sent}");
}
