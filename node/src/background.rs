//! Background tasks of a running node:
//! - publish entries that fall due and expire others;
//! - remove deleted content from files, packs, log and snapshots, the copies of failed COPYs too,
//!   and write a snapshot a day;
//! - once per start, turn over a data folder of an earlier version;
//! - index messages of earlier versions, and make the medium size of photos of earlier versions;
//! - publish the profile once there is an identity;
//! - teach the junk filter the messages that the owner moved;
//! - index the texts of messages;
//! - every six hours, collect blobs without a reference, rewrite packs with many dead bytes, drop
//!   old unfollow notices, take read messages of the inbox as wanted, and forget the threads of old
//!   messages and old lessons of the junk filter;
//! - compact the storage engine after it has grown;
//! - give freed memory back to the system.

mod junk;
mod text_index;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use freehold_core::blocking::blocking;
use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_core::{apply, erasure, feed, friends, mailbox, photos, publish};
use tokio::sync::broadcast::error::RecvError;

/// The longest sleep between two runs of a task, so that a changed system clock is noticed.
const RUN_EVERY: Duration = Duration::from_secs(600);
/// The delay before the first collection of unreferenced blobs.
const COLLECT_FIRST_AFTER: Duration = Duration::from_secs(900);
/// The pause between two collections of unreferenced blobs.
const COLLECT_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The shortest pause between two removals of deleted files.
const UNLINK_EVERY: Duration = Duration::from_secs(60);

/// The pause between two steps of turning over an old data folder, so that it delays nothing else.
const TURN_OVER_PAUSE: Duration = Duration::from_millis(20);
/// A pack is rewritten when more than this part of its bytes is dead, in percent.
const DEAD_PERCENT_MAX: u64 = 40;

/// The pause between two looks at the size of the storage engine's files.
const COMPACT_CHECK_EVERY: Duration = Duration::from_secs(15);
/// The engine is not compacted while more changes than this are made between two looks.
const COMPACT_CHANGES_MAX: u64 = 150;
/// The shortest pause between two compactions.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);
/// The pause between two steps of a compaction, so that it delays nothing else.
const COMPACT_PAUSE: Duration = Duration::from_millis(10);

/// The pause between two looks at the size of the process.
const TRIM_EVERY: Duration = Duration::from_secs(10);
/// How many looks pass after one that found nothing to give back.
const TRIM_WAIT_MAX: u32 = 3;
/// The growth of the process after which freed memory is given back, in pages of 4 KiB.
const TRIM_AFTER_PAGES: u64 = 4 * 256;

/// A task that keeps failing is logged once in this time, in milliseconds.
const REMIND_EVERY_MILLIS: u64 = 24 * 3600 * 1000;

/// Limits the log lines of a task that is retried: one when it begins to fail, one a day while it
/// fails, and one when it works again.
#[derive(Debug, Default)]
struct FailureLog {
    /// The time of the last line about the failure.
    logged_at: Option<Timestamp>,
}

impl FailureLog {
    /// Logs the result of one run, if a line is due, and returns its value.
    fn record<T>(&mut self, node: &Node, task: &str, result: Result<T, StoreError>) -> Option<T> {
        let is_due = self.is_due(node.clock.now(), result.is_ok());
        match result {
            Ok(value) => {
                if is_due {
                    tracing::info!(task, "a background task works again");
                }
                Some(value)
            }
            Err(error) => {
                if is_due {
                    tracing::error!(%error, task, "a background task failed; it is retried");
                }
                None
            }
        }
    }

    fn is_due(&mut self, now: Timestamp, works: bool) -> bool {
        // A clock that was set back must not suppress the line.
        let is_recent = self
            .logged_at
            .is_some_and(|at| at <= now && now.millis_since(at) < REMIND_EVERY_MILLIS);
        let is_due = if works { self.logged_at.is_some() } else { !is_recent };
        match (works, is_due) {
            (true, _) => self.logged_at = None,
            (false, true) => self.logged_at = Some(now),
            (false, false) => {}
        }
        is_due
    }
}

/// Runs all tasks until the future is dropped.
pub(crate) async fn run(node: Node) {
    tokio::join!(
        run_due(&node),
        erase(&node),
        turn_over(&node),
        collect(&node),
        index_older_messages(&node),
        add_medium_sizes(&node),
        publish_profile(&node),
        junk::learn(&node),
        text_index::index(&node),
        compact_engine(&node),
        trim_heap()
    );
}

/// Handles entries whose time of publication or expiry has come.
async fn run_due(node: &Node) {
    let (mut events, mut failures) = (node.events.subscribe(), FailureLog::default());
    loop {
        let result = apply::run_due(node).await;
        if let Some(done @ 1..) = failures.record(node, "handling due entries", result) {
            tracing::debug!(done, "due entries were handled");
        }
        let next = feed::next_due(node).ok().flatten();
        let sleep = next.map_or(RUN_EVERY, |at| {
            Duration::from_millis(at.millis_since(node.clock.now()).max(1000)).min(RUN_EVERY)
        });
        let changed = async {
            loop {
                match events.recv().await {
                    Ok(Event::Timeline | Event::Outbox) | Err(RecvError::Lagged(_)) => return,
                    Ok(_) => {}
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            }
        };
        tokio::select! {
            () = tokio::time::sleep(sleep) => {}
            () = changed => {}
        }
    }
}

/// Removes deleted content: its files within a minute, its copies in log and snapshots within a
/// day.
async fn erase(node: &Node) {
    let mut events = node.events.subscribe();
    let (mut files, mut snapshots) = (FailureLog::default(), FailureLog::default());
    let (mut copies, mut rows) = (FailureLog::default(), FailureLog::default());
    loop {
        let undone = mailbox::undo_failed_copies(node).await;
        copies.record(node, "expunging the copies of a failed COPY", undone);
        let removed = mailbox::remove_expunged(node).await;
        rows.record(node, "deleting the rows of expunged messages", removed);
        let working = node.clone();
        // Both run even if the other fails.
        let work = move || (erasure::unlink(&working), erasure::compact(&working));
        let (removed, renewed) = blocking(work).await.unwrap_or_else(|error| {
            let ended = StoreError::from(error);
            (Err(ended.clone()), Err(ended))
        });
        let removed = files.record(node, "removing deleted files", removed);
        let renewed = snapshots.record(node, "writing the daily snapshot", renewed);
        let pause = match removed.zip(renewed) {
            Some((removed, renewed)) => {
                tracing::debug!(
                    files = removed.files,
                    small = removed.small,
                    packed = removed.packed,
                    ?renewed,
                    "deleted content was erased"
                );
                UNLINK_EVERY
            }
            None => RUN_EVERY,
        };
        tokio::time::sleep(pause).await;
        let next = erasure::next_due(node).map_or(RUN_EVERY, |at| {
            Duration::from_millis(at.millis_since(node.clock.now())).min(RUN_EVERY)
        });
        let erased = async {
            while !matches!(events.recv().await, Ok(Event::Erased) | Err(RecvError::Lagged(_))) {}
        };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = erased => {}
        }
    }
}

/// Completes the index of blobs and moves the files of an earlier version.
async fn turn_over(node: &Node) {
    let ended = Arc::new(AtomicBool::new(false));
    // Raised when this future is dropped, so that the thread ends.
    let _guard = EndFlag(ended.clone());
    let mut failures = FailureLog::default();
    loop {
        let (working, ended) = (node.clone(), ended.clone());
        let work = move || {
            photos::drop_forms(&working)?;
            working.blobs.turn_over(&working.store, &|| {
                std::thread::park_timeout(TURN_OVER_PAUSE);
                !ended.load(Ordering::Relaxed)
            })
        };
        let moved = blocking(work).await.unwrap_or_else(|error| Err(error.into()));
        match failures.record(node, "turning over the data folder", moved) {
            Some(0) => return,
            Some(moved) => tracing::info!(moved, "files of an earlier version were moved"),
            None => tokio::time::sleep(RUN_EVERY).await,
        }
    }
}

/// Raises a flag when dropped.
struct EndFlag(Arc<AtomicBool>);

impl Drop for EndFlag {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Compacts the storage engine when its files are much longer than what they hold, and few changes
/// are made.
async fn compact_engine(node: &Node) {
    let ended = Arc::new(AtomicBool::new(false));
    let _guard = EndFlag(ended.clone());
    let (mut failures, mut last) = (FailureLog::default(), None);
    loop {
        tokio::time::sleep(COMPACT_CHECK_EVERY).await;
        let position = node.store.position();
        let is_quiet = |last: u64| position.saturating_sub(last) <= COMPACT_CHANGES_MAX;
        if !last.replace(position).is_some_and(is_quiet) {
            continue;
        }
        let (store, ended) = (node.store.clone(), ended.clone());
        let work = move || {
            let is_due = store.engine_files()?.is_oversized;
            if is_due {
                // The new engine is filled from it, and the log gets shorter.
                store.snapshot()?;
                store.compact_engine(&|| {
                    std::thread::park_timeout(COMPACT_PAUSE);
                    !ended.load(Ordering::Relaxed)
                })?;
                freehold_heap::trim();
            }
            Ok::<_, StoreError>(is_due)
        };
        let compacted = blocking(work).await.unwrap_or_else(|error| Err(error.into()));
        match failures.record(node, "compacting the storage engine", compacted) {
            Some(false) => {}
            Some(true) => tokio::time::sleep(COMPACT_EVERY).await,
            None => tokio::time::sleep(RUN_EVERY).await,
        }
    }
}

/// Gives memory that is not needed back after the start, and while the process is larger than it
/// was at its smallest: what a load needed is free only after it.
async fn trim_heap() {
    let (mut least, mut wait) = (None::<u64>, 1);
    loop {
        tokio::time::sleep(TRIM_EVERY * wait).await;
        // Only Linux has the file; elsewhere memory is given back without help.
        let Some(before) = private_pages().await else { return };
        if least.is_some_and(|least| before <= least + TRIM_AFTER_PAGES) {
            least = least.min(Some(before));
            wait = 1;
            continue;
        }
        // The result does not matter: without free pages there is nothing to do.
        let _ = blocking(freehold_heap::trim).await;
        freehold_heap::unmap_program();
        let Some(after) = private_pages().await else { return };
        least = Some(least.map_or(after, |least| least.min(after)));
        wait = if before > after + TRIM_AFTER_PAGES { 1 } else { TRIM_WAIT_MAX };
    }
}

/// The pages of the process that no file backs: resident less shared of `/proc/self/statm`.
async fn private_pages() -> Option<u64> {
    let statm = tokio::fs::read_to_string("/proc/self/statm").await.ok()?;
    let mut fields = statm.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
    let (resident, shared) = (fields.next()??, fields.next()??);
    resident.checked_sub(shared)
}

/// Reads what lists and searches need of messages of earlier versions.
async fn index_older_messages(node: &Node) {
    let mut failures = FailureLog::default();
    while failures
        .record(node, "indexing older messages", mailbox::index_older_messages(node).await)
        .is_none()
    {
        tokio::time::sleep(RUN_EVERY).await;
    }
}

/// Makes the medium size of photos of earlier versions.
async fn add_medium_sizes(node: &Node) {
    let mut failures = FailureLog::default();
    while failures
        .record(node, "making sizes of older photos", photos::add_medium_sizes(node).await)
        .is_none()
    {
        tokio::time::sleep(RUN_EVERY).await;
    }
}

/// Publishes the profile in the feed once there is an identity: set-up may store either first.
async fn publish_profile(node: &Node) {
    let mut events = node.events.subscribe();
    loop {
        if let Err(error) = publish::announce_profile(node).await {
            tracing::error!(%error, "the profile could not be published");
        }
        while !matches!(events.recv().await, Ok(Event::Identity) | Err(RecvError::Lagged(_))) {}
    }
}

/// Removes blobs without a reference, and unfollow notices that were retried for long enough.
async fn collect(node: &Node) {
    // Not at the start: a collection may read all references and would delay the first requests.
    let mut every =
        tokio::time::interval_at(tokio::time::Instant::now() + COLLECT_FIRST_AFTER, COLLECT_EVERY);
    loop {
        every.tick().await;
        match friends::drop_expired_unfollow_notices(node).await {
            Ok(0) => {}
            Ok(dropped) => tracing::debug!(
                dropped,
                "unfollow notices were dropped: their nodes were unreachable for too long"
            ),
            Err(error) => tracing::error!(%error, "old unfollow notices could not be dropped"),
        }
        match mailbox::purge_old_messages(node).await {
            Ok(0) => {}
            Ok(deleted) => tracing::info!(deleted, "old messages in bin and junk were deleted"),
            Err(error) => tracing::error!(%error, "bin and junk could not be emptied"),
        }
        if let Err(error) = mailbox::learn_from_inbox(node).await {
            tracing::error!(%error, "the junk filter could not learn from the inbox");
        }
        if let Err(error) = mailbox::forget_old_lessons(node).await {
            tracing::error!(%error, "old lessons of the junk filter could not be forgotten");
        }
        if let Err(error) = mailbox::forget_old_refusals(node).await {
            tracing::error!(%error, "old refusals of mail could not be forgotten");
        }
        if let Err(error) = mailbox::relay::forget_old(node).await {
            tracing::error!(%error, "old verdicts on friends' mail could not be forgotten");
        }
        if let Err(error) = mailbox::forget_old_threads(node).await {
            tracing::error!(%error, "old ids of mail threads could not be forgotten");
        }
        let (store, blobs) = (node.store.clone(), node.blobs.clone());
        let work = move || {
            let collected = blobs.collect(&store)?;
            Ok((collected, blobs.rewrite_packs(&store, DEAD_PERCENT_MAX)?))
        };
        match blocking(work).await {
            Ok(Ok((collected, rewritten))) => tracing::debug!(
                files = collected.files,
                small = collected.small,
                packed = collected.packed,
                packs = rewritten.packs,
                freed = rewritten.freed,
                "unreferenced blobs were removed"
            ),
            Ok::<_, _>(Err::<_, StoreError>(error)) => {
                tracing::error!(%error, "unreferenced blobs could not be removed")
            }
            Err(error) => tracing::error!(%error, "the collection of blobs ended early"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    #[test]
    fn failure_is_logged_daily_and_recovery_once() {
        let mut failures = FailureLog::default();
        let mut is_due = |hour: u64, works: bool| failures.is_due(Timestamp(hour * HOUR), works);
        assert!(!is_due(0, true), "a success without a failure is not logged");
        assert!(is_due(1, false));
        assert!((2..25).all(|hour| !is_due(hour, false)));
        assert!(is_due(25, false), "a day later the task still fails");
        assert!(!is_due(26, false));
        assert!(is_due(27, true));
        assert!(!is_due(28, true));
        assert!(is_due(28, false), "the task fails again");
    }

    #[test]
    fn clock_set_back_does_not_suppress_failure() {
        let mut failures = FailureLog::default();
        assert!(failures.is_due(Timestamp(1000 * HOUR), false));
        assert!(failures.is_due(Timestamp(HOUR), false));
        assert!(!failures.is_due(Timestamp(2 * HOUR), false));
    }
}
