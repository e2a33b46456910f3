//! The liar: a friend's node that says whatever hurts, among things that are true.

use freehold_core::feed::{self, Body, MARKDOWN, PostBody};
use freehold_core::random::Random;

use super::LIAR;
use super::link::Link;
use super::person::{Person, append};
use crate::push;
use crate::wire::sync::{Entry, Head, Reason, Sync};

/// Tells one of the liar's friends one thing.
pub(super) async fn lie(people: &mut [Person], links: &mut [Link], random: &Random) {
    let mallory = &people[LIAR];
    let below = |count: usize| usize::try_from(random.u64() % count as u64).unwrap();
    // An honest word now and then, or nobody would listen to the rest.
    let text = format!("lie {}", random.u64());
    let post = PostBody {
        media_type: MARKDOWN.to_owned(),
        slug: "lie".to_owned(),
        text,
        ..PostBody::default()
    };
    append(&mallory.node, Body::Post(post)).await.unwrap();
    let own = entries(mallory, mallory);
    // What an honest node has said and the liar has got hold of.
    let victim = below(LIAR);
    let others = entries(&people[victim], &people[victim]);
    let pick = |from: &[Entry]| from.get(below(from.len().max(1))).cloned();
    let spoilt = |entry: Option<Entry>, part: u64| {
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
        Head { log: push::to_wire(&log), lo: 0, hi, head: [9; 32] }
    };
    let message = match random.u64() % 9 {
        0 => spoilt(pick(&own), random.u64()).map(|entry| Sync::Push(vec![entry])),
        1 => spoilt(pick(&others), random.u64()).map(|entry| Sync::Entries(vec![entry])),
        // Another's true entry, which this node must get from that friend alone.
        2 => pick(&others).map(|entry| Sync::Push(vec![entry])),
        // True, but perhaps with a gap before it, or known long ago.
        3 => pick(&own).map(|entry| Sync::Push(vec![entry])),
        4 => pick(&others).zip(pick(&own)).map(|(one, other)| Sync::Fork { one, other }),
        5 => pick(&own).map(|entry| Sync::Have(vec![head(&entry, random.u64() % 1000)])),
        6 => pick(&others)
            .map(|entry| Sync::Want { log: head(&entry, 0).log, from: random.u64() % 40 }),
        7 => {
            pick(&others).map(|entry| Sync::Ack { log: head(&entry, 0).log, through: random.u64() })
        }
        _ => Some(Sync::Bye { reason: Reason::Rate, retry_after: u32::MAX }),
    };
    let Some(message) = message else { return };
    let number = below(links.len());
    for link in links[number..].iter_mut().chain([]).filter(|link| link.joins(LIAR)).take(1) {
        link.inject(LIAR, &message);
    }
}

/// All that a node holds of a person.
fn entries(at: &Person, of: &Person) -> Vec<Entry> {
    let mut all = Vec::new();
    for head in feed::heads(&at.node, &of.id).unwrap() {
        all.extend(
            feed::read(&at.node, &head.log, 0, 256, usize::MAX)
                .unwrap()
                .into_iter()
                .map(push::entry_to_wire),
        );
    }
    all
}
