//! `freehold check`: runs core's check and prints its findings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::check::{self, Findings, Report, Step};
use freehold_core::node::Node;
use freehold_core::store::{Stop, StoreError};
use serde_json::json;
use tokio::sync::Mutex;

use super::{OnProgress, Response};

/// The shortest pause between two progress reports of one step.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// Held during a check: one check at a time reads the disk.
pub(crate) type CheckLock = Arc<Mutex<()>>;

/// Stops work when it is dropped, as when the client closes its connection.
#[derive(Default)]
pub(super) struct StopOnDrop(pub(super) Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Reads and verifies all stored data, after a check that is running. The response's `whole` is
/// true if nothing is damaged. Dropping the future stops the check.
pub(super) async fn run(
    node: &Node,
    lock: &CheckLock,
    on_progress: OnProgress,
) -> Result<Response> {
    let stop_on_drop = StopOnDrop::default();
    let (node, stop) = (node.clone(), stop_on_drop.0.clone());
    if lock.try_lock().is_err() {
        on_progress("Waiting: another check is running", 0, 0);
    }
    let guard = lock.clone().lock_owned().await;
    let findings = blocking(move || {
        // Held until the thread ends, which may be later than the drop of the future.
        let _guard = guard;
        let last = std::cell::Cell::new(None::<(Step, Instant)>);
        check::check_node(&node, &|step, done, total| {
            let is_due = last
                .get()
                .is_none_or(|(before, at)| before != step || at.elapsed() >= REPORT_EVERY);
            if is_due {
                last.set(Some((step, Instant::now())));
                on_progress(step_name(step), done, total);
            }
            if stop.is_raised() {
                Err(StoreError::Unavailable("the client closed its connection".to_owned()))
            } else {
                Ok(())
            }
        })
    });
    let findings = findings.await.context("the check ended early")??;
    Ok(Response::text(lines(&findings).join("\n")).with(json!({ "whole": findings.is_sound() })))
}

fn step_name(step: Step) -> &'static str {
    match step {
        Step::Rows => "Rows",
        Step::Blobs => "Blobs",
        Step::Log => "Rows against the log",
        Step::Packs => "Index of blobs, and packs",
        Step::Mail => "Mail",
        Step::Feed => "Signed entries",
    }
}

/// One line per finding.
fn lines(findings: &Findings) -> Vec<String> {
    let Findings { report, compared, entries, wrong } = findings;
    let mut lines = vec![format!(
        "Read {} and {} ({} bytes), compared {} with snapshot and log, and verified {}.",
        count_of(report.rows, "row"),
        count_of(report.blobs, "blob"),
        report.blob_bytes,
        count_of(*compared, "row"),
        if *entries == 1 {
            "1 signed entry".to_owned()
        } else {
            format!("{entries} signed entries")
        },
    )];
    lines.extend(damage(report));
    lines.extend(wrong.iter().map(|finding| as_sentence(finding)));
    match report.orphans.len() {
        0 => {}
        1 => lines.push(
            "1 file in the folders blobs and packs is not used; it takes space and does no harm."
                .to_owned(),
        ),
        count => lines.push(format!(
            "{count} files in the folders blobs and packs are not used; they take space and do no \
             harm."
        )),
    }
    if !report.damaged_rows.is_empty() {
        lines.push("Damaged rows are rebuilt from snapshot and log at the next start: stop the node and start it.".to_owned());
    }
    if !report.damaged_blobs.is_empty() || !report.dangling.is_empty() {
        lines.push(
            "A damaged or missing blob can only be restored from a copy of the data folder."
                .to_owned(),
        );
    }
    let undamaged = "Nothing is damaged.";
    lines.push(
        if findings.is_sound() { undamaged } else { "Data is damaged; the check changed nothing." }
            .to_owned(),
    );
    lines
}

/// Damaged and missing rows and blobs: one line per kind and table.
fn damage(report: &Report) -> Vec<String> {
    let rows = per_table(report.damaged_rows.iter().map(|place| &place.table));
    let blobs = per_table(report.damaged_blobs.iter().map(|(_, place)| &place.table));
    let missing = per_table(report.dangling.iter().map(|(_, place)| &place.table));
    let rows = rows
        .into_iter()
        .map(|(table, count)| format!("Damaged: {} of the table {table}.", count_of(count, "row")));
    let blobs = blobs.into_iter().map(|(table, count)| {
        format!("Damaged: {}, used by the table {table}.", count_of(count, "blob"))
    });
    let missing = missing.into_iter().map(|(table, count)| {
        format!("Missing: {}, used by the table {table}.", count_of(count, "blob"))
    });
    rows.chain(blobs).chain(missing).collect()
}

fn per_table<'a>(tables: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    tables.for_each(|table| *counts.entry(table.as_str()).or_insert(0) += 1);
    counts
}

/// A count with its noun.
pub(super) fn count_of(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Adds a capital letter and a full stop.
fn as_sentence(finding: &str) -> String {
    let mut chars = finding.chars();
    let first = chars.next().map(char::to_uppercase);
    let sentence: String = first.into_iter().flatten().chain(chars).collect();
    if sentence.ends_with('.') { sentence } else { sentence + "." }
}

#[cfg(test)]
mod tests {
    use freehold_core::check::RowKey;
    use freehold_core::store::BlobId;

    use super::*;

    #[test]
    fn findings_are_printed_one_per_line() {
        let place = |table: &str| RowKey { table: table.into(), key: Vec::new() };
        let report = Report {
            rows: 1200,
            blobs: 1,
            blob_bytes: 77,
            damaged_rows: vec![place("posts_posts"), place("profile"), place("posts_posts")],
            dangling: vec![(BlobId([1; 32]), place("photos_photos"))],
            orphans: vec!["/x".into()],
            ..Report::default()
        };
        let findings = Findings {
            report,
            compared: 1198,
            entries: 3,
            wrong: vec!["queue item 7: it is never due".into()],
        };
        insta::assert_snapshot!(lines(&findings).join("\n"), @r"
        Read 1200 rows and 1 blob (77 bytes), compared 1198 rows with snapshot and log, and verified 3 signed entries.
        Damaged: 2 rows of the table posts_posts.
        Damaged: 1 row of the table profile.
        Missing: 1 blob, used by the table photos_photos.
        Queue item 7: it is never due.
        1 file in the folders blobs and packs is not used; it takes space and does no harm.
        Damaged rows are rebuilt from snapshot and log at the next start: stop the node and start it.
        A damaged or missing blob can only be restored from a copy of the data folder.
        Data is damaged; the check changed nothing.
        ");
        insta::assert_snapshot!(lines(&Findings::default()).join("\n"), @r"
        Read 0 rows and 0 blobs (0 bytes), compared 0 rows with snapshot and log, and verified 0 signed entries.
        Nothing is damaged.
        ");
    }
}
