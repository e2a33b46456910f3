//! What comes in: handed to core, which verifies before it stores. Nothing of a peer's is believed
//! here.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::apply;
use freehold_core::feed::{self, EntryHeader, EntryId, FeedLogId, RawEntry, Refused};
use freehold_core::identity::PersonId;
use freehold_core::keys::Signature;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::aside;
use crate::limits::WANTED_MAX;
use crate::push::{from_wire, to_wire};
use crate::sync::Compared;
use crate::wire::sync::{Entry, Head, Log, Reason};

/// For each log that a friend offers, the last entry held of as much as is offered. Logs that have
/// ended in a fork are left out, for nothing more of them is taken, unless their sides parted
/// earlier than is known here: then it is as if nothing were held, for what does not end on the
/// side that is.
pub(crate) fn compare(
    node: &Node,
    friend: PersonId,
    offered: Vec<Head>,
) -> Result<Vec<Compared>, StoreError> {
    let forks = feed::forks(node, &friend)?;
    let parted: BTreeMap<FeedLogId, bool> =
        forks.iter().map(|fork| (fork.log, fork.is_where_they_part())).collect();
    let mut compared = Vec::new();
    for head in offered {
        let Some(log) = from_wire(&head.log) else { continue };
        match parted.get(&log) {
            None => compared.push((head, held(node, &log, head.hi)?)),
            Some(false) => {
                let held = held(node, &log, head.hi)?
                    .filter(|(hi, id)| *hi == head.hi && *id == head.head);
                compared.push((head, held));
            }
            Some(true) => {}
        }
    }
    Ok(compared)
}

/// The last entry held of a log up to and with a place.
fn held(node: &Node, log: &FeedLogId, through: u64) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    match feed::head(node, log)? {
        Some(head) if head.hi > through => Ok(feed::read(node, log, through, 1, 0)?
            .first()
            .map(|entry| (through, EntryId::of(&entry.header).0))),
        head => Ok(head.map(|head| (head.hi, head.head.0))),
    }
}

/// Entries whose bodies are missing here and that a friend may have, as many as one stream asks
/// for: the owner's own, which no friend's may crowd out, and the friend's.
pub(crate) fn lacking(node: &Node, friend: PersonId) -> Result<Vec<EntryId>, StoreError> {
    let mut lacking = Vec::new();
    for author in node.identity.person().into_iter().chain([friend]) {
        lacking.extend(feed::missing(node, &author, WANTED_MAX)?);
    }
    Ok(lacking)
}

/// Verifies and stores what a friend sent, all of it or nothing; how far each log in it now
/// reaches.
pub(crate) async fn store(
    node: &Node,
    friend: PersonId,
    entries: Vec<Entry>,
) -> Result<Vec<(Log, u64)>, Reason> {
    let (mut logs, mut own) = (BTreeSet::new(), Vec::new());
    let mut raw = Vec::with_capacity(entries.len());
    for entry in entries {
        let header = match EntryHeader::from_canonical(&entry.header) {
            Ok(header) => header,
            // Once this node knows the suite it will ask for the log; until then the others of this
            // friend go on.
            Err(refused) if EntryHeader::is_of_a_newer_suite(&refused) => continue,
            Err(_) => return Err(Reason::Invalid),
        };
        // Each node gives its own person's logs; others' would come from mirrors. What the owner
        // has said may come back with its body.
        match header.log.person {
            person if person == friend => _ = logs.insert(header.log),
            person if Some(person) == node.identity.person() => {
                own.push(EntryId::of(&entry.header))
            }
            _ => return Err(Reason::Invalid),
        }
        raw.push(from_entry(entry).ok_or(Reason::Invalid)?);
    }
    let inside = node.clone();
    // All friends are asked for what is lacking, so it may be here when the second of them brings
    // it. What was never held is not asked for.
    if !own.is_empty()
        && !aside::reading(move || are_held(&inside, &own)).await.map_err(|_| Reason::Busy)?
    {
        return Err(Reason::Invalid);
    }
    let inside = node.clone();
    let receiving =
        aside::computing(async move { receive(&inside, friend, raw, &logs).await }).await;
    receiving.map_err(|_| Reason::Busy)?.map_err(|refused| {
        tracing::warn!(friend = %friend.short(), %refused, "entries refused");
        reason(&refused)
    })
}

async fn receive(
    node: &Node,
    friend: PersonId,
    raw: Vec<RawEntry>,
    logs: &BTreeSet<FeedLogId>,
) -> Result<Vec<(Log, u64)>, Refused> {
    let received = apply::receive(node, friend, raw).await?;
    if !received.forked.is_empty() {
        tracing::warn!(friend = %friend.short(), "a log has forked; the proof is kept and the log has ended");
    }
    let mut reach = Vec::new();
    for log in logs {
        reach.extend(feed::head(node, log)?.map(|head| (to_wire(log), head.hi)));
    }
    Ok(reach)
}

fn are_held(node: &Node, entries: &[EntryId]) -> Result<bool, StoreError> {
    for id in entries {
        if feed::place(node, id)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn from_entry(entry: Entry) -> Option<RawEntry> {
    Some(RawEntry {
        header: entry.header,
        signature: Signature(entry.signature.try_into().ok()?),
        body: entry.body,
    })
}

fn reason(refused: &Refused) -> Reason {
    match refused {
        Refused::NotAFriend(_) => Reason::NotFriends,
        Refused::UnknownAuthor(_) | Refused::BeingCut(_) | Refused::Store(_) => Reason::Busy,
        _ => Reason::Invalid,
    }
}
