//! The whole of a node: its rows and blobs, the rows against snapshot and log, and the rules that its nouns keep.
//!
//! A noun that can't be read because a row of it is damaged is one finding among the others, not the end of the check.

use super::{Report, Step, check};
use crate::feed;
use crate::mailbox::{self, queue};
use crate::node::Node;
use crate::store::StoreError;

/// How often a noun is looked at again while changes are committed under the look.
const LOOKS_MAX: usize = 5;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Of rows and blobs.
    pub report: Report,
    /// Signed entries verified.
    pub entries: u64,
    /// What else is wrong, a sentence each.
    pub wrong: Vec<String>,
}

impl Findings {
    /// Whether nothing at all is damaged, missing or out of order.
    pub fn is_whole(&self) -> bool {
        self.report.is_sound() && self.wrong.is_empty()
    }
}

/// Reads and verifies everything a node has; `progress` is told the step, how many are done, and of how many (zero where unknown).
/// Changes nothing, and blocks for long.
///
/// # Errors
/// When the store can't be read at all.
pub fn everything(node: &Node, progress: &dyn Fn(Step, u64, u64)) -> Result<Findings, StoreError> {
    let mut findings = Findings { report: check(&node.store, &node.blobs, progress)?, ..Findings::default() };
    progress(Step::Log, 0, findings.report.rows);
    let against = node.store.verify(&|rows| progress(Step::Log, rows, findings.report.rows));
    findings.wrong.extend(readable("snapshot and log", against)?);
    progress(Step::Mail, 0, 0);
    findings.wrong.extend(settled(node, "the mailbox", || mailbox::check(node))?);
    findings.wrong.extend(settled(node, "the mail queue", || queue::check(node, true))?);
    progress(Step::Feed, 0, 0);
    let mut entries = 0;
    let feeds = settled(node, "the feed", || {
        let checked = feed::check(node)?;
        entries = checked.entries;
        Ok(checked.wrong)
    });
    findings.wrong.extend(feeds?);
    findings.entries = entries;
    Ok(findings)
}

/// What is wrong with a noun. Its rows are read in many pages, so what a change in between made look wrong is looked at again: only
/// what stays wrong is reported.
fn settled(node: &Node, what: &str, mut look: impl FnMut() -> Result<Vec<String>, StoreError>) -> Result<Vec<String>, StoreError> {
    let mut suspected: Option<Vec<String>> = None;
    for _ in 0..LOOKS_MAX {
        let before = node.store.position();
        let mut found = readable(what, look())?;
        if node.store.position() == before {
            return Ok(found);
        }
        if let Some(suspected) = &suspected {
            found.retain(|sentence| suspected.contains(sentence));
        }
        if found.is_empty() {
            return Ok(found);
        }
        suspected = Some(found);
    }
    Ok(suspected.unwrap_or_default())
}

fn readable(what: &str, checked: Result<Vec<String>, StoreError>) -> Result<Vec<String>, StoreError> {
    match checked {
        Err(error @ StoreError::Corrupt { .. }) => Ok(vec![format!("{what} can't be read to the end: {error}")]),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::random::Random;
    use crate::store::Table;

    const T: Table = Table::new("things");

    fn node() -> Node {
        Node::in_memory(Clock::manual(Timestamp(0)), Random::seeded(1)).unwrap()
    }

    fn change(node: &Node) {
        node.store.commit_blocking(|tx| tx.put(T, b"a", b"")).unwrap();
    }

    #[test]
    fn a_new_node_is_whole_and_each_step_is_told() {
        let node = node();
        change(&node);
        let steps = std::cell::RefCell::new(Vec::new());
        let findings = everything(&node, &|step, _, _| steps.borrow_mut().push(step)).unwrap();
        assert!(findings.is_whole(), "{findings:?}");
        let mut steps = steps.into_inner();
        steps.dedup();
        assert_eq!(steps, [Step::Rows, Step::Blobs, Step::Log, Step::Mail, Step::Feed]);
    }

    #[test]
    fn what_a_change_made_look_wrong_for_a_moment_is_not_reported() {
        let node = node();
        let looks = Cell::new(0);
        let found = settled(&node, "it", || {
            looks.set(looks.get() + 1);
            if looks.get() < 3 {
                change(&node);
            }
            let passing = format!("seen by look {}", looks.get());
            Ok(if looks.get() < 3 { vec![passing, "lasting".into()] } else { vec!["lasting".into()] })
        });
        assert_eq!((found.unwrap(), looks.get()), (vec!["lasting".to_owned()], 3));
        let always = settled(&node, "it", || {
            change(&node);
            Ok(vec!["lasting".into()])
        });
        assert_eq!(always.unwrap(), ["lasting"]);
    }

    #[test]
    fn a_damaged_row_of_a_noun_is_a_finding_among_others() {
        let node = node();
        let damaged = || Err(StoreError::Corrupt { table: "things".into(), key: Vec::new() });
        assert_eq!(settled(&node, "the shelf", damaged).unwrap(), ["the shelf can't be read to the end: damaged row in table things"]);
        let gone = || Err(StoreError::Unavailable("gone".into()));
        assert!(settled(&node, "the shelf", gone).is_err());
    }
}
