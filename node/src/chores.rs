//! What a node does by itself while it runs: entries that fall due; what was deleted leaves files,
//! log and snapshots; a snapshot a day; photos are sealed or laid open as those who may see them
//! change; and, at night's pace, blobs that no row needs any more and farewells that nobody was
//! there to hear.

use std::time::Duration;

use freehold_core::blocking::blocking;
use freehold_core::clock::Timestamp;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_core::{erasure, feed, friends, photos, profile};
use tokio::sync::broadcast::error::RecvError;

/// The longest sleep between looks, so that a clock that was set is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// When unneeded blobs are first collected.
const COLLECT_FIRST_AFTER: Duration = Duration::from_secs(900);
/// How often unneeded blobs are collected.
const COLLECT_EVERY: Duration = Duration::from_secs(6 * 3600);
/// The shortest time between two looks for files to remove: all rows are read for each.
const UNLINK_EVERY: Duration = Duration::from_secs(60);

/// How often it is said that a chore still fails, in milliseconds.
const REMIND_EVERY_MILLIS: u64 = 24 * 3600 * 1000;

/// What is said of a chore that is tried again and again: when it begins to fail, once a day while
/// it does, and when it works again.
#[derive(Debug, Default)]
struct Complaint {
    /// When it was last said that it fails.
    said: Option<Timestamp>,
}

impl Complaint {
    /// Hears how the chore went this time; gives what came of it.
    fn hear<T>(&mut self, node: &Node, chore: &str, went: Result<T, StoreError>) -> Option<T> {
        let is_news = self.is_news(node.clock.now(), went.is_ok());
        match went {
            Ok(done) => {
                if is_news {
                    tracing::info!(chore, "a chore works again");
                }
                Some(done)
            }
            Err(error) => {
                if is_news {
                    tracing::error!(%error, chore, "a chore fails; it is tried again and again");
                }
                None
            }
        }
    }

    fn is_news(&mut self, now: Timestamp, works: bool) -> bool {
        // A clock that was set back must not silence it.
        let is_fresh = self
            .said
            .is_some_and(|said| said <= now && now.millis_since(said) < REMIND_EVERY_MILLIS);
        let is_news = if works { self.said.is_some() } else { !is_fresh };
        match (works, is_news) {
            (true, _) => self.said = None,
            (false, true) => self.said = Some(now),
            (false, false) => {}
        }
        is_news
    }
}

/// Works until the task is dropped.
pub(crate) async fn run(node: Node) {
    tokio::join!(due(&node), erase(&node), settle(&node), collect(&node), announce(&node));
}

/// Entries that were held until due, and those that expire.
async fn due(node: &Node) {
    let (mut events, mut complaint) = (node.events.subscribe(), Complaint::default());
    loop {
        let went = feed::run_due(node).await;
        if let Some(done @ 1..) = complaint.hear(node, "handling entries that fell due", went) {
            tracing::debug!(done, "entries fell due");
        }
        let next = feed::next_due(node).ok().flatten();
        let sleep = next.map_or(LOOK_EVERY, |at| {
            Duration::from_millis(at.millis_since(node.clock.now()).max(1000)).min(LOOK_EVERY)
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

/// Files of what was deleted, soon; its traces in log and snapshots, within the day.
async fn erase(node: &Node) {
    let mut events = node.events.subscribe();
    let (mut files, mut past) = (Complaint::default(), Complaint::default());
    loop {
        let working = node.clone();
        // Neither waits for the other to succeed.
        let work = move || (erasure::unlink(&working), erasure::renew(&working));
        let (removed, renewed) = blocking(work).await.unwrap_or_else(|error| {
            let ended = StoreError::Unavailable(error.to_string());
            (Err(ended.clone()), Err(ended))
        });
        let removed = files.hear(node, "removing the files of what was deleted", removed);
        let renewed = past.hear(node, "the day's snapshot, without what was deleted", renewed);
        let pause = match removed.zip(renewed) {
            Some((removed, renewed)) => {
                tracing::debug!(
                    files = removed.files,
                    small = removed.small,
                    ?renewed,
                    "the past was looked after"
                );
                UNLINK_EVERY
            }
            None => LOOK_EVERY,
        };
        tokio::time::sleep(pause).await;
        let next = erasure::next_due(node).map_or(LOOK_EVERY, |at| {
            Duration::from_millis(at.millis_since(node.clock.now())).min(LOOK_EVERY)
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

/// Photos that only the owner sees lie sealed, and those that anyone may see do not.
async fn settle(node: &Node) {
    let mut events = node.events.subscribe();
    let looking = node.clone();
    // Once: an older version may have left some open, and no change of theirs may come.
    match blocking(move || photos::note_open(&looking)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::error!(%error, "it could not be told which photos lie open and should not")
        }
        Err(error) => tracing::error!(%error, "the look for photos that lie open ended early"),
    }
    loop {
        let working = node.clone();
        match blocking(move || photos::settle(&working)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(left)) => tracing::debug!(left, "photos in use are sealed or laid open later"),
            Ok(Err(error)) => {
                tracing::error!(%error, "a photo could not be sealed or laid open; it is tried again")
            }
            Err(error) => tracing::error!(%error, "the sealing of photos ended early"),
        }
        let changed = async {
            while !matches!(events.recv().await, Ok(Event::Public) | Err(RecvError::Lagged(_))) {}
        };
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = changed => {}
        }
    }
}

/// The profile is told in the feed once there is an identity to tell it; set-up may come in either
/// order.
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
    let mut every =
        tokio::time::interval_at(tokio::time::Instant::now() + COLLECT_FIRST_AFTER, COLLECT_EVERY);
    loop {
        every.tick().await;
        match friends::drop_old_farewells(node).await {
            Ok(0) => {}
            Ok(dropped) => tracing::debug!(
                dropped,
                "nodes that were not reached for long are not told any more that a friendship ended"
            ),
            Err(error) => tracing::error!(%error, "old farewells could not be forgotten"),
        }
        let (store, blobs) = (node.store.clone(), node.blobs.clone());
        match blocking(move || blobs.collect(&store)).await {
            Ok(Ok(collected)) => tracing::debug!(
                files = collected.files,
                small = collected.small,
                "unneeded blobs were removed"
            ),
            Ok(Err(error)) => tracing::error!(%error, "unneeded blobs could not be removed"),
            Err(error) => tracing::error!(%error, "the collection ended early"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600 * 1000;

    #[test]
    fn a_chore_that_fails_all_day_is_complained_of_once_and_so_is_that_it_works_again() {
        let mut complaint = Complaint::default();
        let mut is_said = |hour: u64, works: bool| complaint.is_news(Timestamp(hour * HOUR), works);
        assert!(!is_said(0, true), "that it works is nothing new");
        assert!(is_said(1, false));
        assert!((2..25).all(|hour| !is_said(hour, false)));
        assert!(is_said(25, false), "a day later it still fails");
        assert!(!is_said(26, false));
        assert!(is_said(27, true));
        assert!(!is_said(28, true));
        assert!(is_said(28, false), "another time it begins to fail");
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_silence_it() {
        let mut complaint = Complaint::default();
        assert!(complaint.is_news(Timestamp(1000 * HOUR), false));
        assert!(complaint.is_news(Timestamp(HOUR), false));
        assert!(!complaint.is_news(Timestamp(2 * HOUR), false));
    }
}
