//! Checks after every step, and checks once the network is repaired. They judge who may see a post
//! by the list of friendships, not by the code under test.

use std::collections::BTreeSet;

use freehold_core::feed::EntryId;
use freehold_core::{check, feed, outbox, timeline};

use super::person::{Person, label};
use super::photos;
use super::{FRIENDS, HOSTILE};

fn are_friends(one: usize, other: usize) -> bool {
    FRIENDS.iter().any(|pair| *pair == (one, other) || *pair == (other, one))
}

fn ensure(condition: bool, error: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(error()) }
}

/// The heads of logs that were found without a gap.
pub(super) type CheckedLogs = BTreeSet<(usize, EntryId)>;

/// The check after each step: no gap, no fork of an honest author, no entry at a node that may not
/// read it, no entry that its author has lost, and no acknowledged entry missing.
pub(super) fn check_step(people: &[Person], checked: &mut CheckedLogs) -> Result<(), String> {
    for (reader, me) in people.iter().enumerate() {
        for (author, friend) in
            people.iter().enumerate().filter(|(author, _)| *author != reader && reader != HOSTILE)
        {
            let heads = feed::heads(&me.node, &friend.id).unwrap();
            if !are_friends(reader, author) {
                ensure(heads.is_empty(), || {
                    format!("{reader} holds entries of {author}, who is not a friend")
                })?;
                continue;
            }
            for head in heads {
                if checked.insert((reader, head.head)) {
                    let stored = feed::read(&me.node, &head.log, 0, 256, usize::MAX).unwrap();
                    ensure(stored.len() as u64 == (head.hi + 1).min(256), || {
                        format!("a gap in {author}'s log at {reader}")
                    })?;
                }
                if author == HOSTILE {
                    continue;
                }
                let is_lost = feed::entry(&friend.node, &head.head).unwrap().is_none();
                let is_allowed = !is_lost || friend.lost_logs.contains(&head.log);
                ensure(is_allowed, || {
                    format!("{reader} holds an entry of {author} lost by its author")
                })?;
            }
            let forks = feed::forks(&me.node, &friend.id).unwrap();
            ensure(author == HOSTILE || forks.is_empty(), || {
                format!("unexpected fork of {author}'s log at {reader}")
            })?;
            if author != HOSTILE && !me.has_lost_data {
                check_acknowledged(me, friend)
                    .map_err(|error| format!("{error}, of {author}'s at {reader}"))?;
            }
        }
    }
    Ok(())
}

/// The last entry that a friend's node has acknowledged is stored there, and so are all before it,
/// because a log has no gaps.
fn check_acknowledged(me: &Person, author: &Person) -> Result<(), String> {
    let Some(before) = outbox::cursor(&author.node, &me.id).unwrap().checked_sub(1) else {
        return Ok(());
    };
    let acknowledged = outbox::read(&author.node, before, 1).unwrap();
    let is_stored = acknowledged
        .iter()
        .all(|(_, record)| feed::entry(&me.node, &record.entry).unwrap().is_some());
    ensure(is_stored, || "an acknowledged entry is missing".to_owned())
}

/// Every friend holds every log of every friend as its author does, shows the author's posts with
/// all photos, and has no body of a deleted post.
pub(super) fn check_converged(people: &[Person]) -> Result<(), String> {
    for (reader, me) in people.iter().enumerate().take(HOSTILE) {
        let items = timeline::page(&me.node, None, 10_000).unwrap();
        for (author, friend) in
            people.iter().enumerate().take(HOSTILE).filter(|(author, _)| *author != reader)
        {
            let shown: BTreeSet<String> = items
                .iter()
                .filter(|item| item.author == friend.id)
                .map(|item| label(&item.text))
                .collect();
            if !are_friends(reader, author) {
                ensure(shown.is_empty(), || {
                    format!("{reader} shows {author}, who is not a friend")
                })?;
                continue;
            }
            for head in feed::heads(&friend.node, &friend.id).unwrap() {
                let stored = feed::head(&me.node, &head.log).unwrap();
                let is_complete = stored.is_some_and(|held| {
                    held == head || (held.hi > head.hi && friend.lost_logs.contains(&head.log))
                });
                ensure(is_complete, || {
                    format!("entries of {author} missing at {reader}: {stored:?}, not {head:?}")
                })?;
            }
            let posts: BTreeSet<String> = friend.record.posts.values().cloned().collect();
            let missing: Vec<_> = posts
                .difference(&shown)
                .filter(|text| !friend.lost_texts.contains(*text))
                .collect();
            ensure(missing.is_empty(), || {
                format!("texts of {author} missing at {reader}: {missing:?}")
            })?;
            let unexpected: Vec<_> = shown
                .difference(&posts)
                .filter(|text| !friend.lost_texts.contains(*text))
                .collect();
            ensure(unexpected.is_empty(), || {
                format!("unexpected texts of {author} at {reader}: {unexpected:?}")
            })?;
            for (post, text) in friend.record.posts.iter().filter(|(_, text)| shown.contains(*text))
            {
                ensure(photos::are_complete(&me.node, post, text), || {
                    format!("photo missing at {reader}, of {author}'s {text:?}")
                })?;
            }
            for post in &friend.record.deleted {
                let body = feed::entry(&me.node, post).unwrap().and_then(|entry| entry.body);
                ensure(body.is_none(), || {
                    format!("{reader} has a body that {author} has deleted")
                })?;
            }
        }
    }
    Ok(())
}

/// Every entry, row and blob of every honest node is verified again.
pub(super) fn check_integrity(people: &[Person]) -> Result<(), String> {
    for (number, person) in people.iter().enumerate().take(HOSTILE) {
        let checked = feed::check(&person.node).unwrap();
        ensure(checked.entries > 0 && checked.wrong.is_empty(), || {
            format!("{number}: {:#?}", checked.wrong)
        })?;
        let report =
            check::check(&person.node.store, &person.node.blobs, &|_, _, _| Ok(())).unwrap();
        ensure(report.is_sound(), || format!("{number}: {report:?}"))?;
    }
    Ok(())
}
