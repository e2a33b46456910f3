//! The data folder kept small: deleted content, the files of an earlier version, and the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use freehold_core::blocking::blocking;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_core::{erasure, mailbox, photos};
use tokio::sync::broadcast::error::RecvError;

use super::RUN_EVERY;
use super::failure_log::FailureLog;

/// The shortest pause between two removals of deleted files.
const UNLINK_EVERY: Duration = Duration::from_secs(60);

/// The pause between two steps of turning over an old data folder, so that it delays nothing else.
const TURN_OVER_PAUSE: Duration = Duration::from_millis(20);
/// The pause between two looks at the size of the storage engine's files.
const COMPACT_CHECK_EVERY: Duration = Duration::from_secs(15);
/// The engine is not compacted while more changes than this are made between two looks.
const COMPACT_CHANGES_MAX: u64 = 150;
/// The shortest pause between two compactions.
const COMPACT_EVERY: Duration = Duration::from_secs(3600);
/// The pause between two steps of a compaction, so that it delays nothing else.
const COMPACT_PAUSE: Duration = Duration::from_millis(10);

/// Removes deleted content: its files within a minute, its copies in log and snapshots within a
/// day.
pub(super) async fn erase(node: &Node) {
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
pub(super) async fn turn_over(node: &Node) {
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
pub(super) async fn compact_engine(node: &Node) {
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
