//! The check of a whole node: rows and blobs, rows compared with snapshot and log, and the
//! invariants of the nouns.
//!
//! A noun that can't be read because of a damaged row is one finding among the others and does not
//! stop the check.

use std::cell::Cell;

use super::{Progress, Report, Step, check};
use crate::feed;
use crate::mailbox::{self, queue};
use crate::node::Node;
use crate::store::StoreError;

/// How often a noun is checked again because changes were committed during the check.
const CHECKS_MAX: usize = 5;

/// The result of [`check_node`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Findings in rows and blobs.
    pub report: Report,
    /// Rows compared with snapshot and log.
    pub compared: u64,
    /// Signed entries verified.
    pub entries: u64,
    /// Broken invariants, a sentence each.
    pub wrong: Vec<String>,
}

impl Findings {
    /// Whether nothing is damaged or missing and every invariant holds.
    pub fn is_sound(&self) -> bool {
        self.report.is_sound() && self.wrong.is_empty()
    }
}

/// Reads and verifies all data of a node. Changes nothing; blocks, possibly for long.
///
/// # Errors
/// When the store can't be read at all, and errors of `progress`.
pub fn check_node(node: &Node, progress: &Progress<'_>) -> Result<Findings, StoreError> {
    let mut findings =
        Findings { report: check(&node.store, &node.blobs, progress)?, ..Findings::default() };
    let compared = Cell::new(0);
    let verified = node.store.verify(&|rows| {
        compared.set(rows);
        progress(Step::Log, rows, findings.report.rows)
    });
    findings.compared = compared.get();
    findings.wrong.extend(readable("snapshot and log", verified)?);
    let packs = node
        .blobs
        .check_index(&node.store, &|rows| progress(Step::Packs, rows, findings.report.rows));
    findings.wrong.extend(readable("the index of blobs", packs)?);
    let report = |step| move || progress(step, 0, 0);
    findings
        .wrong
        .extend(confirmed(node, "the mailbox", report(Step::Mail), || mailbox::check(node))?);
    findings.wrong.extend(confirmed(node, "the mail queue", report(Step::Mail), || {
        queue::check(node, true)
    })?);
    let mut entries = 0;
    let feeds = confirmed(node, "the feed", report(Step::Feed), || {
        let checked = feed::check(node)?;
        entries = checked.entries;
        Ok(checked.wrong)
    });
    findings.wrong.extend(feeds?);
    findings.entries = entries;
    Ok(findings)
}

/// The broken invariants of a noun. Its rows are read in several pages, and a change in between can
/// look like a broken invariant. So the check is repeated after a change, and only sentences that
/// every check returned are reported. `progress` is called before each check; its error stops them.
fn confirmed(
    node: &Node,
    what: &str,
    progress: impl Fn() -> Result<(), StoreError>,
    mut check: impl FnMut() -> Result<Vec<String>, StoreError>,
) -> Result<Vec<String>, StoreError> {
    let mut suspected: Option<Vec<String>> = None;
    for _ in 0..CHECKS_MAX {
        progress()?;
        let before = node.store.position();
        let mut found = readable(what, check())?;
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

/// The findings; a damaged row becomes one of them.
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
    fn new_node_is_sound_and_reports_every_step() {
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
            [Step::Rows, Step::Blobs, Step::Log, Step::Packs, Step::Mail, Step::Feed]
        );
    }

    #[test]
    fn check_stops_at_any_progress_error() {
        let node = node();
        change(&node);
        node.store.snapshot().unwrap();
        let calls = Cell::new(0);
        let count = |_, _, _| {
            calls.set(calls.get() + 1);
            Ok(())
        };
        check_node(&node, &count).unwrap();
        let total = calls.get();
        for last in 1..=total {
            calls.set(0);
            let until = |_, _, _| {
                calls.set(calls.get() + 1);
                if calls.get() >= last {
                    Err(StoreError::Unavailable("gone".into()))
                } else {
                    Ok(())
                }
            };
            assert_eq!(
                check_node(&node, &until),
                Err(StoreError::Unavailable("gone".into())),
                "after {last} of {total}"
            );
            assert!(calls.get() <= last + 2, "{} calls after {last}", calls.get());
        }
    }

    #[test]
    fn findings_of_concurrent_changes_are_not_reported() {
        let node = node();
        let checks = Cell::new(0);
        let found = confirmed(
            &node,
            "it",
            || Ok(()),
            || {
                checks.set(checks.get() + 1);
                if checks.get() < 3 {
                    change(&node);
                }
                let passing = format!("found by check {}", checks.get());
                Ok(if checks.get() < 3 {
                    vec![passing, "lasting".into()]
                } else {
                    vec!["lasting".into()]
                })
            },
        );
        assert_eq!((found.unwrap(), checks.get()), (vec!["lasting".to_owned()], 3));
        let always = confirmed(
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
    fn damaged_row_of_a_noun_is_one_finding() {
        let node = node();
        let damaged = || Err(StoreError::Corrupt { table: "things".into(), key: Vec::new() });
        assert_eq!(
            confirmed(&node, "the noun", || Ok(()), damaged).unwrap(),
            ["the noun can't be read to the end: damaged row in table things"]
        );
        let gone = || Err(StoreError::Unavailable("gone".into()));
        assert!(confirmed(&node, "the noun", || Ok(()), gone).is_err());
    }
}
