//! The final state does not depend on the order of one author's entries, on repetitions, or on
//! bodies that arrive after their headers.

use super::*;

/// The stored entries, the items of the timeline, and the latest profile and homes.
type FinalState = (
    Vec<RawEntry>,
    Vec<(EntryId, String, String, Timestamp, Option<Timestamp>)>,
    [Option<Body>; 2],
);

fn final_state(node: &Node, person: &PersonId) -> FinalState {
    let mut entries = all_entries(node, person);
    entries.sort_by_key(|entry| EntryId::of(&entry.header));
    let latest =
        [Kind::Profile, Kind::Homes].map(|kind| latest(&node.store, person, kind).unwrap());
    let items = crate::timeline::page(node, None, 1_000).unwrap();
    (
        entries,
        items
            .into_iter()
            .map(|item| (item.entry, item.title, item.text, item.shown, item.edited))
            .collect(),
        latest,
    )
}

/// The logs of two epochs with random posts, edits and tombstones.
struct TwoEpochs {
    logs: Vec<Vec<RawEntry>>,
}

impl TwoEpochs {
    fn random(alice: &Node, random: &Random, len: usize) -> Self {
        let mut written: Vec<(EntryId, bool)> = Vec::new();
        let mut logs = Vec::new();
        let mut prev = None;
        for epoch in [7, 8] {
            let mut log: Vec<RawEntry> = Vec::new();
            for seq in 0..len as u64 {
                let pick = |of: &[EntryId]| {
                    of.get(usize::try_from(random.u64()).unwrap_or(usize::MAX) % of.len().max(1))
                        .copied()
                };
                let posts: Vec<_> =
                    written.iter().filter(|(_, is_post)| *is_post).map(|(id, _)| *id).collect();
                let all: Vec<_> = written.iter().map(|(id, _)| *id).collect();
                let text = format!("{epoch} {seq}");
                let (body, is_post) = match (random.u64() % 8, pick(&posts), pick(&all)) {
                    (0..=3, Some(of), _) => (Body::Edit { of, post: note(&text) }, false),
                    (4, _, Some(of)) => (Body::Tombstone { of }, false),
                    _ => (Body::Post(note(&text)), true),
                };
                alice.clock.advance(10);
                let entry = chain(alice, epoch, prev, seq, &[body]).remove(0);
                prev = Some(EntryId::of(&entry.header));
                written.extend(prev.map(|id| (id, is_post)));
                log.push(entry);
            }
            logs.push(log);
        }
        Self { logs }
    }

    /// The entries in batches of random length and order. Batches repeat and overlap, and the two
    /// epochs may be mixed; then the first epoch's headers come without bodies before.
    fn batches(&self, random: &Random) -> Vec<Vec<RawEntry>> {
        let draw =
            |below: usize| usize::try_from(random.u64()).unwrap_or(usize::MAX) % below.max(1);
        let mut batches: Vec<Vec<RawEntry>> = Vec::new();
        let mut reach = [0, 0];
        let whole = self.logs[0].len();
        // The second epoch continues from the end of the first: its headers must be known.
        if draw(2) == 0 {
            batches.push(
                self.logs[0].iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect(),
            );
            while reach != [whole, whole] {
                let which = draw(2);
                let to = (reach[which] + 1 + draw(4)).min(whole);
                batches.push(self.logs[which][reach[which]..to].to_vec());
                reach[which] = to;
                if draw(3) == 0 {
                    let from = draw(to);
                    batches.push(self.logs[which][from..to].to_vec());
                }
            }
        } else {
            for log in &self.logs {
                let mut from = 0;
                while from < log.len() {
                    let to = (from + 1 + draw(5)).min(log.len());
                    batches.push(log[from..to].to_vec());
                    batches.push(log[draw(to)..to].to_vec());
                    from = to;
                }
            }
        }
        // A peer that has all entries sends them once more.
        batches.extend(self.logs.iter().cloned());
        batches
    }
}

#[tokio::test]
async fn public_lane_converges_in_any_order() {
    for seed in 0..12 {
        let alice = claimed_node(1).await;
        let epochs = TwoEpochs::random(&alice, &Random::seeded(1_000 + seed), 24);
        let mut states: Vec<FinalState> = Vec::new();
        for turn in 0..6 {
            let bob = claimed_node(2).await;
            add_friend(&bob, &alice).await;
            bob.clock.advance(1_000_000);
            for batch in epochs.batches(&Random::seeded(seed * 100 + turn)) {
                receive(&bob, person_id(&alice), batch).await.unwrap();
                run_due(&bob).await.unwrap();
            }
            assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
            states.push(final_state(&bob, &person_id(&alice)));
        }
        assert!(!states[0].1.is_empty(), "seed {seed} shows nothing");
        for (turn, other) in states.iter().enumerate() {
            assert_eq!(other.1, states[0].1, "seed {seed}, turn {turn}: timeline");
            assert_eq!(other.0, states[0].0, "seed {seed}, turn {turn}: entries");
        }
    }
}

/// The logs of two lanes of one node. Entries of one lane edit and delete those of the other, and
/// some expire. Neither lane waits for the other.
fn two_lanes(alice: &Node, random: &Random, len: usize) -> [Vec<RawEntry>; 2] {
    let (mut written, mut posts): (Vec<EntryId>, Vec<EntryId>) = (Vec::new(), Vec::new());
    let mut lanes = [Vec::new(), Vec::new()];
    for at in 0..2 * len {
        alice.clock.advance(10);
        let lane: &mut Vec<RawEntry> = &mut lanes[at % 2];
        let pick = |of: &[EntryId]| {
            of.get(usize::try_from(random.u64()).unwrap_or(usize::MAX) % of.len().max(1)).copied()
        };
        let body = match (random.u64() % 8, pick(&posts), pick(&written)) {
            (0 | 1, Some(of), _) => Body::Edit { of, post: note(&format!("edit {at}")) },
            (2..=4, _, Some(of)) => Body::Tombstone { of },
            (5, ..) => {
                Body::Profile(ProfileBody { name: format!("name {at}"), ..ProfileBody::default() })
            }
            (6, ..) => Body::Homes(Homes { version: at as u64, ..Homes::default() }),
            _ => Body::Post(note(&format!("post {at}"))),
        };
        let bytes = body.to_canonical([9; 16]);
        let prev = lane.last().map(|entry| EntryId::of(&entry.header));
        let expires = (random.u64().is_multiple_of(6))
            .then(|| START.plus_millis(1_000_000 + random.u64() % 1_000_000));
        let seq = lane.len() as u64;
        let mut header = EntryHeader {
            seq,
            prev,
            kind: body.kind(),
            refs: body.refs(),
            expires,
            ..next_header(alice, &bytes)
        };
        header.log.lane = [Lane::PUBLIC, Lane::CONTROL][at % 2];
        lane.push(signed(alice, &header, &bytes));
        let id = EntryId::of(&lane.last().unwrap().header);
        written.push(id);
        posts.extend((body.kind() == Kind::Post).then_some(id));
    }
    lanes
}

#[tokio::test]
async fn two_lanes_converge_in_any_order() {
    for seed in 0..24 {
        let alice = claimed_node(1).await;
        let lanes = two_lanes(&alice, &Random::seeded(3_000 + seed), 20);
        let mut states: Vec<FinalState> = Vec::new();
        for turn in 0..6 {
            let random = Random::seeded(seed * 100 + turn);
            let bob = claimed_node(2).await;
            add_friend(&bob, &alice).await;
            bob.clock.advance(1_000_000);
            let mut reach = [0, 0];
            while reach != [20, 20] {
                // One lane first, the other first, or both in turns.
                let which = match turn {
                    0 | 1 if reach[turn as usize] < 20 => turn as usize,
                    _ => usize::from(random.u64().is_multiple_of(2)),
                };
                let to = (reach[which] + 3).min(20);
                receive(&bob, person_id(&alice), lanes[which][reach[which]..to].to_vec())
                    .await
                    .unwrap();
                reach[which] = to;
                bob.clock.advance(20_000);
                run_due(&bob).await.unwrap();
            }
            bob.clock.advance(400_000_000);
            run_due(&bob).await.unwrap();
            assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
            let mut state = final_state(&bob, &person_id(&alice));
            for item in &mut state.1 {
                // Each node has its own time of arrival.
                item.3 = START;
            }
            state.1.sort();
            states.push(state);
        }
        for (turn, other) in states.iter().enumerate() {
            assert_eq!(
                (&other.1, &other.2),
                (&states[0].1, &states[0].2),
                "seed {seed}, turn {turn}: timeline"
            );
            assert_eq!(other.0, states[0].0, "seed {seed}, turn {turn}: entries");
        }
    }
}
