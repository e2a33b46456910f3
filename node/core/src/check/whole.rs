//! The whole of a node: its rows and blobs, the rows against snapshot and log, and the rules that
//! its nouns keep.
//!
//! A noun that can't be read because a row of it is damaged is one finding among the others, not
//! the end of the check.

use super::{Progress, Report, Step, check};
use crate::feed;
use crate::mailbox::{self, queue};
use crate::node::Node;
use crate::photos;
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
    pub fn is_sound(&self) -> bool {
        self.report.is_sound() && self.wrong.is_empty()
    }
}

/// Reads and verifies everything a node has. Changes nothing, and blocks for long.
///
/// # Errors
/// When the store can't be read at all, and what `progress` returns.
pub fn check_node(node: &Node, progress: &Progress<'_>) -> Result<Findings, StoreError> {
    let mut findings =
        Findings { report: check(&node.store, &node.blobs, progress)?, ..Findings::default() };
    let against = node.store.verify(&|rows| progress(Step::Log, rows, findings.report.rows));
    findings.wrong.extend(readable("snapshot and log", against)?);
    let looked = |step| move || progress(step, 0, 0);
    findings
        .wrong
        .extend(settled(node, "the mailbox", looked(Step::Mail), || mailbox::check(node))?);
    findings
        .wrong
        .extend(settled(node, "the mail queue", looked(Step::Mail), || queue::check(node, true))?);
    findings
        .wrong
        .extend(settled(node, "the photos", looked(Step::Photos), || photos::check(node))?);
    let mut entries = 0;
    let feeds = settled(node, "the feed", looked(Step::Feed), || {
        let checked = feed::check(node)?;
        entries = checked.entries;
        Ok(checked.wrong)
    });
    findings.wrong.extend(feeds?);
    findings.entries = entries;
    Ok(findings)
}

/// What is wrong with a noun. Its rows are read in many pages, so what a change in between made
/// look wrong is looked at again: only what stays wrong is reported. `go_on` is asked before each
/// look.
fn settled(
    node: &Node,
    what: &str,
    go_on: impl Fn() -> Result<(), StoreError>,
    mut look: impl FnMut() -> Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let mut suspected: Option<Vec<String>> = None;
    for _ in 0..LOOKS_MAX {
        go_on()?;
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

fn readable(
    what: &str,
    checked: Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    match checked {
        Err(error @ StoreError::Corrupt { .. }) => {
            Ok(vec![format!("{what} can't be read to the end: {error}")])
        }
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
        let findings = check_node(&node, &|step, _, _| {
            steps.borrow_mut().push(step);
            Ok(())
        })
        .unwrap();
        assert!(findings.is_sound(), "{findings:?}");
        let mut steps = steps.into_inner();
        steps.dedup();
        assert_eq!(
            steps,
            [Step::Rows, Step::Blobs, Step::Log, Step::Mail, Step::Photos, Step::Feed]
        );
    }

    #[test]
    fn a_check_that_nobody_waits_for_any_more_ends_wherever_it_is() {
        let node = node();
        change(&node);
        node.store.snapshot().unwrap();
        let told = Cell::new(0);
        let count = |_, _, _| {
            told.set(told.get() + 1);
            Ok(())
        };
        check_node(&node, &count).unwrap();
        let words = told.get();
        for last in 1..=words {
            told.set(0);
            let until = |_, _, _| {
                told.set(told.get() + 1);
                if told.get() >= last {
                    Err(StoreError::Unavailable("gone".into()))
                } else {
                    Ok(())
                }
            };
            assert_eq!(
                check_node(&node, &until),
                Err(StoreError::Unavailable("gone".into())),
                "after {last} of {words}"
            );
            assert!(told.get() <= last + 2, "{} words after {last}", told.get());
        }
    }

    #[test]
    fn what_a_change_made_look_wrong_for_a_moment_is_not_reported() {
        let node = node();
        let looks = Cell::new(0);
        let found = settled(
            &node,
            "it",
            || Ok(()),
            || {
                looks.set(looks.get() + 1);
                if looks.get() < 3 {
                    change(&node);
                }
                let passing = format!("seen by look {}", looks.get());
                Ok(if looks.get() < 3 {
                    vec![passing, "lasting".into()]
                } else {
                    vec!["lasting".into()]
                })
            },
        );
        assert_eq!((found.unwrap(), looks.get()), (vec!["lasting".to_owned()], 3));
        let always = settled(
            &node,
            "it",
            || Ok(()),
            || {
                change(&node);
                Ok(vec!["lasting".into()])
            },
        );
        assert_eq!(always.unwrap(), ["lasting"]);
    }

    #[test]
    fn a_damaged_row_of_a_noun_is_a_finding_among_others() {
        let node = node();
        let damaged = || Err(StoreError::Corrupt { table: "things".into(), key: Vec::new() });
        assert_eq!(
            settled(&node, "the shelf", || Ok(()), damaged).unwrap(),
            ["the shelf can't be read to the end: damaged row in table things"]
        );
        let gone = || Err(StoreError::Unavailable("gone".into()));
        assert!(settled(&node, "the shelf", || Ok(()), gone).is_err());
    }
}
