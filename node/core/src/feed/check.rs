//! Verifies again all that is held of feeds: identity logs, signatures, order, bodies. For the owner's own check of the node.

use super::{VerifiedEntry, heads, read};
use crate::identity::{self, IdentityLog, PersonId};
use crate::node::Node;
use crate::store::StoreError;
use crate::{friends, journal};

/// Entries and bytes read at once.
const PAGE: (usize, usize) = (64, 1024 * 1024);

/// What a check of the feeds found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// How many entries were verified.
    pub entries: u64,
    /// What is wrong, in words; empty when everything verifies.
    pub wrong: Vec<String>,
}

/// Verifies the owner's feed and every friend's, and the journal. Blocks for long.
///
/// # Errors
/// When the store can't be read.
pub fn check(node: &Node) -> Result<Checked, StoreError> {
    let mut checked = Checked { entries: 0, wrong: journal::check(node)? };
    let people = friends::list(node)?.into_iter().map(|friend| friend.person);
    for person in node.identity.person().into_iter().chain(people) {
        one_person(node, &person, &mut checked)?;
    }
    Ok(checked)
}

fn one_person(node: &Node, person: &PersonId, checked: &mut Checked) -> Result<(), StoreError> {
    // Somebody who was asked and has not answered has no log here yet.
    let Some(log) = identity::log_of(node, person)? else { return Ok(()) };
    if let Err(error) = IdentityLog::verify(&log.to_bytes()) {
        checked.wrong.push(format!("identity log of {person}: {error}"));
        return Ok(());
    }
    for head in heads(node, person)? {
        let (mut next, mut before) = (head.lo, None);
        loop {
            let page = read(node, &head.log, next, PAGE.0, PAGE.1)?;
            if page.is_empty() {
                break;
            }
            for raw in page {
                let at = format!("feed of {person}, epoch {:x}, entry {next}", head.log.epoch);
                match VerifiedEntry::verify(raw, &log, node.clock.now()) {
                    Ok(entry) if entry.header().seq != next || entry.header().log != head.log => {
                        checked.wrong.push(format!("{at}: another entry stands in its place"));
                    }
                    Ok(entry) if before.is_some() && entry.header().prev != before => {
                        checked.wrong.push(format!("{at}: does not follow the one before it"));
                    }
                    Ok(entry) => {
                        checked.entries += 1;
                        before = Some(entry.id());
                    }
                    Err(error) => checked.wrong.push(format!("{at}: {error}")),
                }
                next += 1;
            }
        }
        if next != head.hi + 1 || before.is_some_and(|last| last != head.head) {
            checked.wrong.push(format!("feed of {person}, epoch {:x}: does not end where its head says", head.log.epoch));
        }
    }
    Ok(())
}
