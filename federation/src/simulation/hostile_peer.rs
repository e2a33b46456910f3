//! The hostile peer: a friend's node that sends invalid messages among valid ones.

use freehold_core::feed::{self, Body, MARKDOWN, PostBody};
use freehold_core::random::Random;

use super::HOSTILE;
use super::link::Link;
use super::person::{Person, append};
use crate::wire::feed::{entry_to_wire, log_to_wire};
use crate::wire::sync::{Entry, Head, Reason, Sync};

/// Sends one random message to one of the hostile peer's friends.
pub(super) async fn send_hostile_message(
    people: &mut [Person],
    links: &mut [Link],
    random: &Random,
) {
    let mallory = &people[HOSTILE];
    let below = |count: usize| usize::try_from(random.u64() % count as u64).unwrap();
    // A valid post each time, so that some of the messages are accepted.
    let text = format!("post {}", random.u64());
    let post = PostBody {
        media_type: MARKDOWN.to_owned(),
        slug: "post".to_owned(),
        text,
        ..PostBody::default()
    };
    append(&mallory.node, Body::Post(post)).await.unwrap();
    let own = entries(mallory, mallory);
    // Entries of an honest node that the hostile peer has obtained.
    let victim = below(HOSTILE);
    let others = entries(&people[victim], &people[victim]);
    let pick = |from: &[Entry]| from.get(below(from.len().max(1))).cloned();
    let damaged = |entry: Option<Entry>, part: u64| {
        entry.map(|mut entry| {
            let bytes = match part % 3 {
                0 => &mut entry.header,
                1 => &mut entry.signature,
                _ => entry.body.get_or_insert_with(|| vec![1]),
            };
            let at = below(bytes.len().max(1));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << below(8);
            }
            entry
        })
    };
    let head = |entry: &Entry, hi: u64| {
        let log = feed::EntryHeader::from_canonical(&entry.header).unwrap().log;
        Head { log: log_to_wire(&log), lo: 0, hi, head: [9; 32] }
    };
    let message = match random.u64() % 9 {
        0 => damaged(pick(&own), random.u64()).map(|entry| Sync::Push(vec![entry])),
        1 => damaged(pick(&others), random.u64()).map(|entry| Sync::Entries(vec![entry])),
        // A third person's valid entry, which only that person's node may send.
        2 => pick(&others).map(|entry| Sync::Push(vec![entry])),
        // Valid, but perhaps after a gap, or stored already.
        3 => pick(&own).map(|entry| Sync::Push(vec![entry])),
        4 => pick(&others).zip(pick(&own)).map(|(one, other)| Sync::Fork { one, other }),
        5 => pick(&own).map(|entry| Sync::Have(vec![head(&entry, random.u64() % 1000)])),
        6 => pick(&others)
            .map(|entry| Sync::Want { log: head(&entry, 0).log, from: random.u64() % 40 }),
        7 => pick(&others).map(|entry| Sync::Ack {
            log: head(&entry, 0).log,
            through: random.u64(),
            held_ms: Some(random.u64()),
        }),
        _ => Some(Sync::Bye { reason: Reason::Rate, retry_after: u32::MAX }),
    };
    let Some(message) = message else { return };
    let number = below(links.len());
    for link in links[number..].iter_mut().chain([]).filter(|link| link.has_end(HOSTILE)).take(1) {
        link.inject(HOSTILE, &message);
    }
}

/// All entries of a person at one node.
fn entries(at: &Person, of: &Person) -> Vec<Entry> {
    let mut all = Vec::new();
    for head in feed::heads(&at.node, &of.id).unwrap() {
        all.extend(
            feed::read(&at.node, &head.log, 0, 256, usize::MAX)
                .unwrap()
                .into_iter()
                .map(entry_to_wire),
        );
    }
    all
}
