//! `freehold check`: what core found, in sentences.

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

use super::{Response, Tell};

/// Progress is told at most so often.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// The turn to check: one check at a time reads the disk.
pub(crate) type Turn = Arc<Mutex<()>>;

/// Ends a check when it is dropped, as it is with the connection of whoever asked.
struct Asker(Stop);

impl Drop for Asker {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// Reads and verifies everything once it is its turn; the answer's `whole` says whether all of it
/// held. Dropping the future ends the reading soon after.
pub(super) async fn run(node: &Node, turn: &Turn, tell: Tell) -> Result<Response> {
    let asker = Asker(Stop::default());
    let (node, gone) = (node.clone(), asker.0.clone());
    if turn.try_lock().is_err() {
        tell("Waiting: another check is under way", 0, 0);
    }
    let turn = turn.clone().lock_owned().await;
    let found = blocking(move || {
        // The next may begin when this one really has ended, not when nobody waits for it any more.
        let _turn = turn;
        let last = std::cell::Cell::new(None::<(Step, Instant)>);
        check::everything(&node, &|step, done, total| {
            let is_news =
                last.get().is_none_or(|(before, at)| before != step || at.elapsed() >= TELL_EVERY);
            if is_news {
                last.set(Some((step, Instant::now())));
                tell(name(step), done, total);
            }
            if gone.is_raised() {
                Err(StoreError::Unavailable("nobody waits for the check any more".to_owned()))
            } else {
                Ok(())
            }
        })
    });
    let found = found.await.context("the check ended early")??;
    Ok(Response::text(sentences(&found).join("\n")).with(json!({ "whole": found.is_whole() })))
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Rows => "Rows",
        Step::Blobs => "Blobs",
        Step::Log => "Rows against the log",
        Step::Mail => "Mail",
        Step::Photos => "Photos",
        Step::Feed => "Signed entries",
    }
}

fn sentences(found: &Findings) -> Vec<String> {
    let Findings { report, entries, wrong } = found;
    let mut said = vec![format!(
        "Read {} and {} ({} bytes), held every row against snapshot and log, and verified {}.",
        many(report.rows, "row"),
        many(report.blobs, "blob"),
        report.blob_bytes,
        if *entries == 1 {
            "1 signed entry".to_owned()
        } else {
            format!("{entries} signed entries")
        },
    )];
    said.extend(damage(report));
    said.extend(wrong.iter().map(|sentence| ended(sentence)));
    match report.orphans.len() {
        0 => {}
        1 => said.push(
            "There is 1 file in the blobs' folder that nothing needs; it costs only room."
                .to_owned(),
        ),
        count => said.push(format!(
            "There are {count} files in the blobs' folder that nothing needs; they cost only room."
        )),
    }
    if !report.damaged_rows.is_empty() {
        said.push("Damaged rows are made anew from snapshot and log at the next start: stop the node and start it.".to_owned());
    }
    if !report.damaged_blobs.is_empty() || !report.dangling.is_empty() {
        said.push(
            "A blob that is damaged or gone comes back only from a copy of the folder that has it."
                .to_owned(),
        );
    }
    let whole = "Everything is whole.";
    said.push(
        if found.is_whole() { whole } else { "Something is damaged; nothing was changed." }
            .to_owned(),
    );
    said
}

/// What is damaged or missing, each kind once per table.
fn damage(report: &Report) -> Vec<String> {
    let rows = per_table(report.damaged_rows.iter().map(|place| &place.table));
    let blobs = per_table(report.damaged_blobs.iter().map(|(_, place)| &place.table));
    let missing = per_table(report.dangling.iter().map(|(_, place)| &place.table));
    let rows = rows.into_iter().map(|(table, count)| {
        format!("{} of the table {table} can't be read: damaged.", many(count, "row"))
    });
    let blobs = blobs.into_iter().map(|(table, count)| {
        format!("{}, needed by the table {table}, can't be read: damaged.", many(count, "blob"))
    });
    let missing = missing.into_iter().map(|(table, count)| {
        format!("{}, needed by the table {table}, can't be found.", many(count, "blob"))
    });
    rows.chain(blobs).chain(missing).collect()
}

fn per_table<'a>(tables: impl Iterator<Item = &'a String>) -> BTreeMap<&'a str, u64> {
    let mut counts = BTreeMap::new();
    tables.for_each(|table| *counts.entry(table.as_str()).or_insert(0) += 1);
    counts
}

fn many(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// As a sentence: with a capital and a full stop.
fn ended(said: &str) -> String {
    let mut letters = said.chars();
    let first = letters.next().map(char::to_uppercase);
    let said: String = first.into_iter().flatten().chain(letters).collect();
    if said.ends_with('.') { said } else { said + "." }
}

#[cfg(test)]
mod tests {
    use freehold_core::check::Place;
    use freehold_core::store::BlobId;

    use super::*;

    #[test]
    fn what_was_found_is_said_in_sentences() {
        let place = |table: &str| Place { table: table.into(), key: Vec::new() };
        let report = Report {
            rows: 1200,
            blobs: 1,
            blob_bytes: 77,
            damaged_rows: vec![place("posts_posts"), place("profile"), place("posts_posts")],
            dangling: vec![(BlobId([1; 32]), place("photos_photos"))],
            orphans: vec!["/x".into()],
            ..Report::default()
        };
        let found =
            Findings { report, entries: 3, wrong: vec!["queue item 7: it is never due".into()] };
        insta::assert_snapshot!(sentences(&found).join("\n"), @r"
        Read 1200 rows and 1 blob (77 bytes), held every row against snapshot and log, and verified 3 signed entries.
        2 rows of the table posts_posts can't be read: damaged.
        1 row of the table profile can't be read: damaged.
        1 blob, needed by the table photos_photos, can't be found.
        Queue item 7: it is never due.
        There is 1 file in the blobs' folder that nothing needs; it costs only room.
        Damaged rows are made anew from snapshot and log at the next start: stop the node and start it.
        A blob that is damaged or gone comes back only from a copy of the folder that has it.
        Something is damaged; nothing was changed.
        ");
        insta::assert_snapshot!(sentences(&Findings::default()).join("\n"), @r"
        Read 0 rows and 0 blobs (0 bytes), held every row against snapshot and log, and verified 0 signed entries.
        Everything is whole.
        ");
    }
}
