//! What comes in: handed to core, which verifies before it stores. Nothing of a peer's is believed here.

use std::collections::BTreeSet;

use freehold_core::feed::{self, Header, LogId, RawEntry, Refused};
use freehold_core::identity::PersonId;
use freehold_core::keys::Signature;
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use crate::aside;
use crate::outbox::{from_wire, to_wire};
use crate::sync::Compared;
use crate::wire::sync::{Entry, Head, Log, Reason};

/// For each log that a friend offers, the last entry held of it. Logs that have ended in a fork are left out: nothing more
/// of them is taken.
pub(crate) fn compare(node: &Node, friend: PersonId, offered: Vec<Head>) -> Result<Vec<Compared>, StoreError> {
    let ended: BTreeSet<LogId> = feed::forks(node, &friend)?.into_iter().map(|fork| fork.log).collect();
    let mut compared = Vec::new();
    for head in offered {
        let Some(log) = from_wire(&head.log).filter(|log| !ended.contains(log)) else { continue };
        compared.push((head, feed::head(node, &log)?.map(|held| (held.hi, held.head.0))));
    }
    Ok(compared)
}

/// Verifies and stores what a friend sent, all of it or nothing; how far each log in it now reaches.
pub(crate) async fn store(node: &Node, friend: PersonId, entries: Vec<Entry>) -> Result<Vec<(Log, u64)>, Reason> {
    let mut logs = BTreeSet::new();
    let mut raw = Vec::with_capacity(entries.len());
    for entry in entries {
        // Each node gives its own person's logs; others' would come from mirrors.
        let header = Header::from_canonical(&entry.header).ok().filter(|header| header.log.person == friend);
        logs.insert(header.ok_or(Reason::Invalid)?.log);
        raw.push(from_entry(entry).ok_or(Reason::Invalid)?);
    }
    let inside = node.clone();
    let receiving = aside::computing(async move { receive(&inside, friend, raw, &logs).await }).await;
    receiving.map_err(|_| Reason::Busy)?.map_err(|refused| {
        tracing::warn!(friend = %friend.short(), %refused, "entries refused");
        reason(&refused)
    })
}

async fn receive(node: &Node, friend: PersonId, raw: Vec<RawEntry>, logs: &BTreeSet<LogId>) -> Result<Vec<(Log, u64)>, Refused> {
    let received = feed::receive(node, friend, raw).await?;
    if !received.forked.is_empty() {
        tracing::warn!(friend = %friend.short(), "a log has forked; the proof is kept and the log has ended");
    }
    let mut reach = Vec::new();
    for log in logs {
        reach.extend(feed::head(node, log)?.map(|head| (to_wire(log), head.hi)));
    }
    Ok(reach)
}

fn from_entry(entry: Entry) -> Option<RawEntry> {
    Some(RawEntry { header: entry.header, signature: Signature(entry.signature.try_into().ok()?), body: entry.body })
}

fn reason(refused: &Refused) -> Reason {
    match refused {
        Refused::NotAFriend(_) => Reason::NotFriends,
        Refused::UnknownAuthor(_) | Refused::BeingCut(_) | Refused::Store(_) => Reason::Busy,
        _ => Reason::Invalid,
    }
}
