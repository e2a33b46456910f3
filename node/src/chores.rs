//! What a node does by itself while it runs: entries that fall due; what was deleted leaves files, log and snapshots; a snapshot a day;
//! photos are sealed or laid open as those who may see them change; and, at night's pace, blobs that no row needs any more and farewells that nobody was there to hear.

use std::time::Duration;

use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_core::{feed, friends, history, photos, profile};
use tokio::sync::broadcast::error::RecvError;

/// The longest sleep between looks, so that a clock that was set is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// When unneeded blobs are first collected.
const COLLECT_FIRST_AFTER: Duration = Duration::from_secs(900);
/// How often unneeded blobs are collected.
const COLLECT_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The shortest time between two looks for files to remove: all rows are read for each.
const UNLINK_EVERY: Duration = Duration::from_secs(60);

/// Works until the task is dropped.
pub(crate) async fn run(node: Node) {
    tokio::join!(due(&node), erase(&node), settle(&node), collect(&node), announce(&node));
}

/// Entries that were held until due, and those that expire.
async fn due(node: &Node) {
    let mut events = node.events.subscribe();
    loop {
        match feed::run_due(node).await {
            Ok(0) => {}
            Ok(done) => tracing::debug!(done, "entries fell due"),
            Err(error) => tracing::error!(%error, "entries that fell due could not be handled"),
        }
        let next = feed::next_due(node).ok().flatten();
        let sleep = next.map_or(LOOK_EVERY, |at| Duration::from_millis(at.millis_since(node.clock.now()).max(1000)).min(LOOK_EVERY));
        let changed = async {
            loop {
                match events.recv().await {
                    Ok(Event::Timeline | Event::Journal) | Err(RecvError::Lagged(_)) => return,
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

/// Files of what was deleted, soon; its traces in log and snapshots, within the day.
async fn erase(node: &Node) {
    let mut events = node.events.subscribe();
    loop {
        let working = node.clone();
        // Neither waits for the other to succeed.
        let work = move || (history::unlink(&working), history::renew(&working));
        let done = match tokio::task::spawn_blocking(work).await {
            Ok((removed, renewed)) => removed.and_then(|removed| Ok((removed, renewed?))),
            Err(error) => Err(StoreError::Unavailable(error.to_string())),
        };
        let pause = match done {
            Ok((removed, renewed)) => {
                tracing::debug!(files = removed.files, small = removed.small, ?renewed, "the past was looked after");
                UNLINK_EVERY
            }
            Err(error) => {
                tracing::error!(%error, "what was deleted could not be made to vanish; it is tried again");
                LOOK_EVERY
            }
        };
        tokio::time::sleep(pause).await;
        let next =
            history::next_due(node).map_or(LOOK_EVERY, |at| Duration::from_millis(at.millis_since(node.clock.now())).min(LOOK_EVERY));
        let erased = async { while !matches!(events.recv().await, Ok(Event::Erased) | Err(RecvError::Lagged(_))) {} };
        tokio::select! {
            () = tokio::time::sleep(next) => {}
            () = erased => {}
        }
    }
}

/// Photos that only the owner sees lie sealed, and those that anyone may see do not.
async fn settle(node: &Node) {
    let mut events = node.events.subscribe();
    loop {
        let working = node.clone();
        match tokio::task::spawn_blocking(move || photos::settle(&working)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(left)) => tracing::debug!(left, "photos in use are sealed or laid open later"),
            Ok(Err(error)) => tracing::error!(%error, "a photo could not be sealed or laid open; it is tried again"),
            Err(error) => tracing::error!(%error, "the sealing of photos ended early"),
        }
        let changed = async { while !matches!(events.recv().await, Ok(Event::Public) | Err(RecvError::Lagged(_))) {} };
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = changed => {}
        }
    }
}

/// The profile is told in the feed once there is an identity to tell it; set-up may come in either order.
async fn announce(node: &Node) {
    let mut events = node.events.subscribe();
    loop {
        if let Err(error) = profile::announce(node).await {
            tracing::error!(%error, "the profile could not be announced");
        }
        while !matches!(events.recv().await, Ok(Event::Identity) | Err(RecvError::Lagged(_))) {}
    }
}

/// Blobs that no row refers to any more, and farewells that were tried for long enough.
async fn collect(node: &Node) {
    // Not at once: a node that has just started has better things to do than to read all its rows.
    let mut every = tokio::time::interval_at(tokio::time::Instant::now() + COLLECT_FIRST_AFTER, COLLECT_EVERY);
    loop {
        every.tick().await;
        match friends::drop_old_farewells(node).await {
            Ok(0) => {}
            Ok(dropped) => tracing::debug!(dropped, "nodes that were not reached for long are not told any more that a friendship ended"),
            Err(error) => tracing::error!(%error, "old farewells could not be forgotten"),
        }
        let (store, blobs) = (node.store.clone(), node.blobs.clone());
        match tokio::task::spawn_blocking(move || blobs.collect(&store)).await {
            Ok(Ok(collected)) => tracing::debug!(files = collected.files, small = collected.small, "unneeded blobs were removed"),
            Ok(Err(error)) => tracing::error!(%error, "unneeded blobs could not be removed"),
            Err(error) => tracing::error!(%error, "the collection ended early"),
        }
    }
}
