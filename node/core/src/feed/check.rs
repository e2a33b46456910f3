//! Verifies every stored feed again: identity logs, signatures, order, bodies. A part of the
//! owner's check of the node.

use super::{EntryError, VerifiedEntry};
use super::{EntryId, FeedLogId, rows};
use crate::identity::{self, IdentityLog, PersonId};
use crate::node::Node;
use crate::outbox;
use crate::row;
use crate::store::{Scan, StoreError};

/// Logs or entries read at once.
const STEP: usize = 128;

/// The result of a check of the feeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// The number of entries that were verified.
    pub entries: u64,
    /// One sentence for each fault; empty if everything verifies.
    pub wrong: Vec<String>,
}

/// Verifies every feed log (also of removed friends, whose entries stay until they are deleted) and
/// the outbox: signatures, bodies, places, predecessors. Blocks for long.
///
/// # Errors
/// When the store can't be read.
pub fn check(node: &Node) -> Result<Checked, StoreError> {
    let mut checked = Checked { entries: 0, wrong: check_outbox(node)? };
    let mut author: Option<(PersonId, Option<IdentityLog>)> = None;
    let mut after = None::<Vec<u8>>;
    loop {
        let mut scan = Scan::prefix(&[], STEP);
        scan.after.clone_from(&after);
        let logs = row::scan::<rows::LogRow>(&node.store, &scan)?;
        for (key, held) in &logs {
            let log = rows::log_of_key(key)?;
            if author.as_ref().is_none_or(|(person, _)| *person != log.person) {
                author = Some((log.person, identity::log_of(node, &log.person)?));
            }
            match author.as_ref().and_then(|(_, known)| known.as_ref()) {
                Some(known) => one_log(node, &log, held, known, &mut checked)?,
                None => checked
                    .wrong
                    .push(format!("feed of {}: the identity log is missing", log.person)),
            }
        }
        match logs.last() {
            Some((key, _)) => after = Some(key.clone()),
            None => return Ok(checked),
        }
    }
}

/// Checks the outbox against the entries stored.
pub(super) fn check_outbox(node: &Node) -> Result<Vec<String>, StoreError> {
    outbox::check(node, |entry| Ok(super::entry(node, entry)?.is_some()))
}

fn one_log(
    node: &Node,
    log: &FeedLogId,
    held: &rows::LogRow,
    author: &IdentityLog,
    checked: &mut Checked,
) -> Result<(), StoreError> {
    let wrong = &mut checked.wrong;
    let name = |seq: u64| format!("feed of {}, epoch {:x}, entry {seq}", log.person, log.epoch);
    let (mut next, mut head) = (0, None::<EntryId>);
    loop {
        let places = rows::places(&node.store, log, next, STEP)?;
        // Places beyond the end of a log that was cut are being deleted.
        let places: Vec<_> = places.into_iter().take_while(|(seq, _)| *seq <= held.hi).collect();
        if places.is_empty() {
            break;
        }
        for (seq, id) in places {
            if seq != next {
                wrong.push(format!("{}: missing", name(next)));
            }
            next = seq + 1;
            match super::entry(node, &id)?
                .map(|raw| VerifiedEntry::verify(raw, author, node.clock.now()))
            {
                None => wrong.push(format!("{}: missing", name(seq))),
                Some(Ok(entry))
                    if entry.id() != id
                        || entry.header().log != *log
                        || entry.header().seq != seq =>
                {
                    wrong.push(format!("{}: another entry is stored at its place", name(seq)));
                }
                Some(Ok(entry)) if seq > 0 && entry.header().prev != head => {
                    wrong.push(format!("{}: does not follow the one before it", name(seq)));
                }
                // Entries that a node wrote before it was retired stay valid.
                Some(Ok(_) | Err(EntryError::Retired | EntryError::Ended)) => checked.entries += 1,
                Some(Err(error)) => wrong.push(format!("{}: {error}", name(seq))),
            }
            head = Some(id);
        }
    }
    if head != Some(EntryId(held.head)) || next != held.hi + 1 {
        wrong.push(format!("{}: the log does not end where its head says", name(held.hi)));
    }
    Ok(())
}
