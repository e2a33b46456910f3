//! Receives friends' entries: hands them to core, which verifies before it stores.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::apply;
use freehold_core::blocking::{blocking_future, try_blocking};
use freehold_core::feed::{self, EntryHeader, EntryId, FeedLogId, RawEntry, Refused};
use freehold_core::identity::PersonId;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::limits::WANTED_MAX;
use crate::sync::ComparedHead;
use crate::wire::feed::{entry_from_wire, log_from_wire, log_to_wire};
use crate::wire::sync::{Entry, Head, Log, Reason};

/// Compares the logs that a friend offers with those stored here.
///
/// A log whose fork point is known is left out: nothing more of it is accepted. If the fork point
/// may be earlier than this node knows, and the offered head is not the stored one, the log counts
/// as empty, so the friend sends it from the start and the fork point shows.
pub(crate) fn compare(
    node: &Node,
    friend: PersonId,
    offered: Vec<Head>,
) -> Result<Vec<ComparedHead>, StoreError> {
    let forks = feed::forks(node, &friend)?;
    let is_fork_point_known: BTreeMap<FeedLogId, bool> =
        forks.iter().map(|fork| (fork.log, fork.is_where_they_part())).collect();
    let mut compared = Vec::new();
    for head in offered {
        let Some(log) = log_from_wire(&head.log) else { continue };
        match is_fork_point_known.get(&log) {
            None => compared.push((head, stored_head(node, &log, head.hi)?)),
            Some(false) => {
                let stored = stored_head(node, &log, head.hi)?
                    .filter(|(hi, id)| *hi == head.hi && *id == head.head);
                compared.push((head, stored));
            }
            Some(true) => {}
        }
    }
    Ok(compared)
}

/// The number and id of the last stored entry of a log, not beyond `through`.
fn stored_head(
    node: &Node,
    log: &FeedLogId,
    through: u64,
) -> Result<Option<(u64, [u8; 32])>, StoreError> {
    match feed::head(node, log)? {
        Some(head) if head.hi > through => Ok(feed::read(node, log, through, 1, 0)?
            .first()
            .map(|entry| (through, EntryId::of(&entry.header).0))),
        head => Ok(head.map(|head| (head.hi, head.head.0))),
    }
}

/// Entries whose bodies are missing here and that a friend may have: the owner's own first, so that
/// the friend's cannot displace them, then the friend's.
pub(crate) fn missing_bodies(node: &Node, friend: PersonId) -> Result<Vec<EntryId>, StoreError> {
    let mut missing = Vec::new();
    for author in node.identity.person().into_iter().chain([friend]) {
        missing.extend(feed::missing(node, &author, WANTED_MAX)?);
    }
    Ok(missing)
}

/// Verifies and stores a batch from a friend; returns the last stored entry of each of the friend's
/// logs in it, or `None` if the friend's share of the day ended within it: the entries before are
/// stored, and the whole batch may be stored again.
pub(crate) async fn store(
    node: &Node,
    friend: PersonId,
    entries: Vec<Entry>,
) -> Result<Option<Vec<(Log, u64)>>, Reason> {
    let (mut logs, mut own) = (BTreeSet::new(), Vec::new());
    let mut raw = Vec::with_capacity(entries.len());
    for entry in entries {
        let header = match EntryHeader::from_canonical(&entry.header) {
            Ok(header) => header,
            // A newer release that knows the suite will ask for the log; until then the friend's
            // other logs continue.
            Err(error) if EntryHeader::is_of_a_newer_suite(&error) => continue,
            Err(_) => return Err(Reason::Invalid),
        };
        // A node sends its own person's logs only; entries of the owner may come back with their
        // bodies.
        match header.log.person {
            person if person == friend => _ = logs.insert(header.log),
            person if Some(person) == node.identity.person() => {
                own.push(EntryId::of(&entry.header));
            }
            _ => return Err(Reason::Invalid),
        }
        raw.push(entry_from_wire(entry).ok_or(Reason::Invalid)?);
    }
    let check_node = node.clone();
    // All friends are asked for missing bodies, so several may bring the same one. An own entry
    // that was never stored here was never asked for.
    if !own.is_empty()
        && !try_blocking(move || are_stored(&check_node, &own)).await.map_err(|_| Reason::Busy)?
    {
        return Err(Reason::Invalid);
    }
    let store_node = node.clone();
    let stored = blocking_future(async move { receive(&store_node, friend, raw, &logs).await })
        .await
        .map_err(|_| Reason::Busy)?;
    match stored {
        Ok(stored) => Ok(Some(stored)),
        Err(Refused::ShareUsedUp) => Ok(None),
        Err(error) => {
            tracing::warn!(friend = %friend.short(), %error, "refused a friend's entries");
            Err(reason(&error))
        }
    }
}

async fn receive(
    node: &Node,
    friend: PersonId,
    raw: Vec<RawEntry>,
    logs: &BTreeSet<FeedLogId>,
) -> Result<Vec<(Log, u64)>, Refused> {
    let received = apply::receive(node, friend, raw).await?;
    if !received.forked.is_empty() {
        tracing::warn!(
            friend = %friend.short(),
            "a friend's log has forked; it is closed and the proof is stored"
        );
    }
    let mut stored = Vec::new();
    for log in logs {
        stored.extend(feed::head(node, log)?.map(|head| (log_to_wire(log), head.hi)));
    }
    Ok(stored)
}

fn are_stored(node: &Node, entries: &[EntryId]) -> Result<bool, StoreError> {
    for id in entries {
        if feed::position(node, id)?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn reason(refused: &Refused) -> Reason {
    match refused {
        Refused::NotAFriend(_) => Reason::NotFriends,
        Refused::UnknownAuthor(_) | Refused::BeingCut(_) | Refused::Store(_) => Reason::Busy,
        _ => Reason::Invalid,
    }
}
