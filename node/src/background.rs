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

mod failure_log;
mod junk;
mod memory;
mod storage;
mod text_index;

use std::time::Duration;

use freehold_core::blocking::blocking;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_core::{apply, feed, friends, mailbox, photos, publish};
use tokio::sync::broadcast::error::RecvError;

use failure_log::FailureLog;

/// The longest sleep between two runs of a task, so that a changed system clock is noticed.
const RUN_EVERY: Duration = Duration::from_secs(600);
/// A pack is rewritten when more than this part of its bytes is dead, in percent.
const DEAD_PERCENT_MAX: u64 = 40;
/// The delay before the first collection of unreferenced blobs.
const COLLECT_FIRST_AFTER: Duration = Duration::from_secs(900);
/// The pause between two collections of unreferenced blobs.
const COLLECT_EVERY: Duration = Duration::from_secs(6 * 3600);
/// Runs all tasks until the future is dropped.
pub(crate) async fn run(node: Node) {
    tokio::join!(
        run_due(&node),
        storage::erase(&node),
        storage::turn_over(&node),
        collect(&node),
        index_older_messages(&node),
        add_medium_sizes(&node),
        publish_profile(&node),
        junk::learn(&node),
        text_index::index(&node),
        storage::compact_engine(&node),
        memory::trim_heap()
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
