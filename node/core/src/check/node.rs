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
    let verified = verified.map(|wrong| (0, wrong));
    findings.wrong.extend(readable("snapshot and log", verified)?.1);
    let packs = node
        .blobs
        .check_index(&node.store, &|rows| progress(Step::Packs, rows, findings.report.rows));
    let packs = packs.map(|wrong| (0, wrong));
    findings.wrong.extend(readable("the index of blobs", packs)?.1);
    let report = |step| move || progress(step, 0, 0);
    let nouns: [(&str, Step, NounCheck); 3] = [
        ("the mailbox", Step::Mail, |node| Ok((0, mailbox::check_rows(node)?))),
        ("the mail queue", Step::Mail, |node| Ok((0, queue::check(node, true)?))),
        ("the feed", Step::Feed, |node| {
            let checked = feed::check(node)?;
            Ok((checked.entries, checked.wrong))
        }),
    ];
    progress(Step::Mail, 0, 0)?;
    let bodies = mailbox::check_bodies(node).map(|wrong| (0, wrong));
    findings.wrong.extend(readable("the mailbox", bodies)?.1);
    for (what, step, check) in nouns {
        let (entries, wrong) = confirmed(node, what, report(step), check)?;
        findings.entries += entries;
        findings.wrong.extend(wrong);
    }
    Ok(findings)
}

/// Verified entries, and broken invariants.
type Checked = (u64, Vec<String>);
/// The check of a noun's rows.
type NounCheck = fn(&Node) -> Result<Checked, StoreError>;

/// The broken invariants of a noun. Its rows are read in several pages, and a change in between can
/// look like a broken invariant. So the check is repeated after a change. If every check returned
/// the same sentence, the last check keeps changes waiting and decides: on a busy node each check
/// may see a change at the same place. `progress` is called before each check; its error stops
/// them.
fn confirmed(
    node: &Node,
    what: &str,
    progress: impl Fn() -> Result<(), StoreError>,
    check: impl Fn(&Node) -> Result<Checked, StoreError> + Send + Clone + 'static,
) -> Result<Checked, StoreError> {
    let mut suspected: Option<Vec<String>> = None;
    for _ in 0..CHECKS_MAX {
        progress()?;
        let before = node.store.settled_position();
        let (entries, mut found) = readable(what, check(node))?;
        if node.store.settled_position() == before {
            return Ok((entries, found));
        }
        if let Some(suspected) = &suspected {
            found.retain(|sentence| suspected.contains(sentence));
        }
        if found.is_empty() {
            return Ok((entries, found));
        }
        suspected = Some(found);
    }
    progress()?;
    let inside = node.clone();
    // No other change becomes visible while this one, which writes nothing, is evaluated.
    readable(what, node.store.commit_blocking(move |_| check(&inside)))
}

/// The findings; a damaged row becomes one of them.
fn readable(what: &str, checked: Result<Checked, StoreError>) -> Result<Checked, StoreError> {
    match checked {
        Err(error @ StoreError::Corrupt { .. }) => {
            Ok((0, vec![format!("{what} can't be read to the end: {error}")]))
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

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
        let (node, checks) = (node(), Arc::new(AtomicUsize::new(0)));
        let counter = checks.clone();
        let found = confirmed(
            &node,
            "it",
            || Ok(()),
            move |node| {
                let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
                if number < 3 {
                    change(node);
                }
                let passing = (number < 3).then(|| format!("found by check {number}"));
                Ok((7, passing.into_iter().chain(["lasting".to_owned()]).collect()))
            },
        );
        assert_eq!(found.unwrap(), (7, vec!["lasting".to_owned()]));
        assert_eq!(checks.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn last_check_keeps_changes_waiting() {
        for is_damaged in [false, true] {
            let (node, checks) = (node(), Arc::new(AtomicUsize::new(0)));
            let counter = checks.clone();
            let check = move |node: &Node| {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                if number < CHECKS_MAX {
                    change(node);
                }
                // Each check finds the same, because each sees a change at the same place.
                let is_found = is_damaged || number < CHECKS_MAX;
                Ok((0, is_found.then(|| "lasting".to_owned()).into_iter().collect()))
            };
            let found = confirmed(&node, "it", || Ok(()), check).unwrap().1;
            assert_eq!(found, if is_damaged { vec!["lasting".to_owned()] } else { vec![] });
            assert_eq!(checks.load(Ordering::Relaxed), CHECKS_MAX + 1);
        }
    }

    #[test]
    fn damaged_row_of_a_noun_is_one_finding() {
        let node = node();
        let damaged =
            |_: &Node| Err(StoreError::Corrupt { table: "things".into(), key: Vec::new() });
        assert_eq!(
            confirmed(&node, "the noun", || Ok(()), damaged).unwrap().1,
            ["the noun can't be read to the end: damaged row in table things"]
        );
        let gone = |_: &Node| Err(StoreError::Unavailable("gone".into()));
        assert!(confirmed(&node, "the noun", || Ok(()), gone).is_err());
    }
}
