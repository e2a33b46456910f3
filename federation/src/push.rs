//! What goes out: the journal read as it grows, own logs offered and fed to peers, and how far each
//! friend has come.
//!
//! Only what is durable is ever read, so no friend can hold what a power cut takes from the author.

use std::collections::BTreeMap;
use std::sync::Arc;

use freehold_core::events::Event;
use freehold_core::feed::{self, EntryHeader, EntryId, FeedLogHead, FeedLogId, Lane, RawEntry};
use freehold_core::identity::PersonId;
use freehold_core::keys::PublicKey;
use freehold_core::node::Node;
use freehold_core::outbox;
use freehold_core::store::StoreError;
use tokio::sync::broadcast::error::RecvError;

use crate::aside;
use crate::limits::ENTRIES_LEN_MAX;
use crate::peers::Shared;
use crate::sync::{Fresh, Trust};
use crate::wire::sync::{Entry, Head, Log};

/// Journal records read in one go.
const RECORDS_MAX: usize = 256;

/// Reads the journal as it grows and hands each new entry, once, to every sync stream.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut hints = shared.node.events.subscribe();
    // What was said before this moment is in the logs that every stream begins by offering.
    let mut cursor = outbox::durable_head(&shared.node).unwrap_or_default();
    loop {
        match hints.recv().await {
            Ok(Event::Outbox) | Err(RecvError::Lagged(_)) => {}
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        }
        let (node, mut at) = (shared.node.clone(), cursor);
        match aside::reading(move || fresh(&node, &mut at).map(|all| (all, at))).await {
            // Nobody connected is no loss: each stream begins with the logs themselves.
            Ok((all, at)) => {
                all.into_iter().for_each(|fresh| _ = shared.fresh.send(Arc::new(fresh)));
                cursor = at;
            }
            Err(error) => tracing::warn!(%error, "cannot read the journal"),
        }
    }
}

/// What the journal has past `cursor`, which moves on.
pub(crate) fn fresh(node: &Node, cursor: &mut u64) -> Result<Vec<Fresh>, StoreError> {
    let (mut all, mut at) = (Vec::new(), *cursor);
    loop {
        let records = outbox::read(node, at, RECORDS_MAX)?;
        if records.is_empty() {
            *cursor = at;
            return Ok(all);
        }
        for (number, record) in records {
            if let Some(raw) = feed::entry(node, &record.entry)? {
                let head =
                    Head { log: to_wire(&record.log), lo: 0, hi: record.seq, head: record.entry.0 };
                all.push(Fresh { head, entry: entry_to_wire(raw) });
            }
            at = number;
        }
    }
}

/// Whether a peer may see a lane.
pub(crate) fn may_see(trust: Trust, lane: &[u8; 16]) -> bool {
    match trust {
        Trust::Friend(_) => Lane(*lane).is_well_known(),
        Trust::Stranger => *lane == Lane::PUBLIC.0,
    }
}

/// The own logs that a peer may see, each after the one it continues.
pub(crate) fn offers(node: &Node, trust: Trust) -> Result<Vec<Head>, StoreError> {
    let Some(person) = node.identity.person() else { return Ok(Vec::new()) };
    let heads = feed::heads(node, &person)?;
    Ok(heads.iter().map(head_to_wire).filter(|head| may_see(trust, &head.log.lane)).collect())
}

/// Entries of an own log for a peer who asked.
pub(crate) fn read(
    node: &Node,
    log: &Log,
    from: u64,
    count_max: usize,
    len_max: usize,
) -> Result<Vec<Entry>, StoreError> {
    let Some(log) = from_wire(log) else { return Ok(Vec::new()) };
    let raw = feed::read(node, &log, from, count_max, len_max)?;
    let mut entries: Vec<Entry> = Vec::new();
    let mut len = 0;
    for entry in raw.into_iter().map(entry_to_wire) {
        len += entry.len();
        if len > len_max && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Of these entries those that a friend may ask for, with their bodies: the owner's and the
/// friend's own.
pub(crate) fn find(
    node: &Node,
    friend: PersonId,
    entries: &[EntryId],
) -> Result<Vec<Entry>, StoreError> {
    let mut found: Vec<Entry> = Vec::new();
    let mut len = 0;
    for id in entries {
        let Some(entry) = feed::entry(node, id)?.filter(|entry| entry.body.is_some()) else {
            continue;
        };
        let Ok(header) = EntryHeader::from_canonical(&entry.header) else { continue };
        let is_theirs =
            header.log.person == friend || Some(header.log.person) == node.identity.person();
        if !is_theirs || !header.log.lane.is_well_known() {
            continue;
        }
        let entry = entry_to_wire(entry);
        len += entry.len();
        if len > ENTRIES_LEN_MAX {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}

/// How far one friend has come, from its acknowledgements by log to the journal's numbering.
#[derive(Clone, Debug)]
pub(crate) struct DeliveryStatus {
    friend: PersonId,
    through: BTreeMap<Log, u64>,
}

impl DeliveryStatus {
    pub(crate) fn new(friend: PersonId) -> Self {
        Self { friend, through: BTreeMap::new() }
    }

    /// Whose node it is.
    #[cfg(test)]
    pub(crate) fn friend(&self) -> PersonId {
        self.friend
    }

    /// The friend's node holds `log` up to `through`.
    pub(crate) fn note(&mut self, log: Log, through: u64) {
        let before = self.through.entry(log).or_insert(through);
        *before = through.max(*before);
    }

    /// Writes down how far that is, if it is further than before.
    pub(crate) async fn record(&self, node: &Node) -> Result<(), StoreError> {
        let (arrivals, inside) = (self.clone(), node.clone());
        match aside::reading(move || arrivals.further(&inside)).await? {
            Some(cursor) => outbox::set_cursor(node, &self.friend, cursor).await,
            None => Ok(()),
        }
    }

    /// The last record of the journal that has arrived with all before it, if it is further than
    /// what is written down.
    fn further(&self, node: &Node) -> Result<Option<u64>, StoreError> {
        let before = outbox::cursor(node, &self.friend)?;
        let mut cursor = before;
        'journal: loop {
            let records = outbox::read(node, cursor, RECORDS_MAX)?;
            if records.is_empty() {
                break;
            }
            for (number, record) in records {
                if self
                    .through
                    .get(&to_wire(&record.log))
                    .is_none_or(|through| *through < record.seq)
                {
                    break 'journal;
                }
                cursor = number;
            }
        }
        Ok((cursor > before).then_some(cursor))
    }
}

pub(crate) fn to_wire(log: &FeedLogId) -> Log {
    Log {
        person: log.person.0,
        suite: log.node.suite(),
        node: *log.node.as_bytes(),
        lane: log.lane.0,
        epoch: log.epoch,
    }
}

/// The log that a peer names; `None` if its key is none.
pub(crate) fn from_wire(log: &Log) -> Option<FeedLogId> {
    let node = PublicKey::from_ed25519(log.node).ok().filter(|key| key.suite() == log.suite)?;
    Some(FeedLogId { person: PersonId(log.person), node, lane: Lane(log.lane), epoch: log.epoch })
}

fn head_to_wire(head: &FeedLogHead) -> Head {
    let EntryId(id) = head.head;
    Head { log: to_wire(&head.log), lo: head.lo, hi: head.hi, head: id }
}

pub(crate) fn entry_to_wire(raw: RawEntry) -> Entry {
    Entry { header: raw.header, signature: raw.signature.0.to_vec(), body: raw.body }
}

impl Entry {
    /// The log and the place in it that the header names; `None` when it is none. Nothing is
    /// verified by that.
    pub(crate) fn place(&self) -> Option<(Log, u64)> {
        EntryHeader::from_canonical(&self.header)
            .ok()
            .map(|header| (to_wire(&header.log), header.seq))
    }
}
