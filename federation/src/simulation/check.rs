//! What must hold after every step, and what must hold once the network is whole again. Who may see
//! what is judged by the script.

use std::collections::BTreeSet;

use freehold_core::feed::EntryId;
use freehold_core::{check, feed, outbox, timeline};

use super::person::{Person, label};
use super::photos;
use super::{FRIENDS, LIAR};

fn are_friends(one: usize, other: usize) -> bool {
    FRIENDS.iter().any(|pair| *pair == (one, other) || *pair == (other, one))
}

fn holds(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// The logs that were whole when they were last looked at, up to the entries they ended with.
pub(super) type Whole = BTreeSet<(usize, EntryId)>;

/// Looks at everybody after each step: no gap, no fork by the honest, nothing with those who may
/// not see it, nothing that its author has lost, and nothing acknowledged that is not there.
pub(super) fn look(people: &[Person], whole: &mut Whole) -> Result<(), String> {
    for (reader, me) in people.iter().enumerate() {
        for (author, friend) in
            people.iter().enumerate().filter(|(author, _)| *author != reader && reader != LIAR)
        {
            let heads = feed::heads(&me.node, &friend.id).unwrap();
            if !are_friends(reader, author) {
                holds(heads.is_empty(), || {
                    format!("{reader} holds what {author} has not told them")
                })?;
                continue;
            }
            for head in heads {
                if whole.insert((reader, head.head)) {
                    let held = feed::read(&me.node, &head.log, 0, 256, usize::MAX).unwrap();
                    holds(held.len() as u64 == (head.hi + 1).min(256), || {
                        format!("a gap in {author}'s log at {reader}")
                    })?;
                }
                if author == LIAR {
                    continue;
                }
                let is_lost = feed::entry(&friend.node, &head.head).unwrap().is_none();
                let is_excused = !is_lost || friend.abandoned_logs.contains(&head.log);
                holds(is_excused, || format!("{reader} holds what {author}'s own node has lost"))?;
            }
            let forks = feed::forks(&me.node, &friend.id).unwrap();
            holds(author == LIAR || forks.is_empty(), || {
                format!("{reader} takes honest {author} for a liar")
            })?;
            if author != LIAR && !me.has_lost {
                what_is_acknowledged_is_there(me, friend)
                    .map_err(|wrong| format!("{wrong}, of {author}'s at {reader}"))?;
            }
        }
    }
    Ok(())
}

/// The last entry that a friend's node has acknowledged is there, and so is all before it, for a
/// log has no gaps.
fn what_is_acknowledged_is_there(me: &Person, author: &Person) -> Result<(), String> {
    let Some(before) = outbox::cursor(&author.node, &me.id).unwrap().checked_sub(1) else {
        return Ok(());
    };
    let acknowledged = outbox::read(&author.node, before, 1).unwrap();
    let is_there = acknowledged
        .iter()
        .all(|(_, record)| feed::entry(&me.node, &record.entry).unwrap().is_some());
    holds(is_there, || "an entry that was acknowledged is not there".to_owned())
}

/// Every friend holds every log of every friend as its author does, sees what the script says with
/// all its photos, and has kept nothing of what was taken back.
pub(super) fn all_have_come_together(people: &[Person]) -> Result<(), String> {
    for (reader, me) in people.iter().enumerate().take(LIAR) {
        let items = timeline::page(&me.node, None, 10_000).unwrap();
        for (author, friend) in
            people.iter().enumerate().take(LIAR).filter(|(author, _)| *author != reader)
        {
            let seen: BTreeSet<String> = items
                .iter()
                .filter(|item| item.author == friend.id)
                .map(|item| label(&item.text))
                .collect();
            if !are_friends(reader, author) {
                holds(seen.is_empty(), || format!("{reader} sees {author}, who is no friend"))?;
                continue;
            }
            for head in feed::heads(&friend.node, &friend.id).unwrap() {
                let held = feed::head(&me.node, &head.log).unwrap();
                let is_whole = held.is_some_and(|held| {
                    held == head || (held.hi > head.hi && friend.abandoned_logs.contains(&head.log))
                });
                holds(is_whole, || {
                    format!("{reader} lacks entries of {author}: {held:?}, not {head:?}")
                })?;
            }
            let said: BTreeSet<String> = friend.words.said.values().cloned().collect();
            let missing: Vec<_> =
                said.difference(&seen).filter(|text| !friend.abandoned.contains(*text)).collect();
            holds(missing.is_empty(), || format!("{reader} lacks {missing:?} of {author}"))?;
            let too_much: Vec<_> =
                seen.difference(&said).filter(|text| !friend.abandoned.contains(*text)).collect();
            holds(too_much.is_empty(), || {
                format!("{reader} sees too much of {author}: {too_much:?}")
            })?;
            for (post, text) in friend.words.said.iter().filter(|(_, text)| seen.contains(*text)) {
                holds(photos::are_there(&me.node, post, text), || {
                    format!("{reader} lacks a photo of {author}'s {text:?}")
                })?;
            }
            for post in &friend.words.taken_back {
                let kept = feed::entry(&me.node, post).unwrap().and_then(|entry| entry.body);
                holds(kept.is_none(), || {
                    format!("{reader} has kept a body that {author} has taken back")
                })?;
            }
        }
    }
    Ok(())
}

/// Every entry on every honest node verifies anew, and so do its rows and blobs.
pub(super) fn everything_is_sound(people: &[Person]) -> Result<(), String> {
    for (number, person) in people.iter().enumerate().take(LIAR) {
        let checked = feed::check(&person.node).unwrap();
        holds(checked.entries > 0 && checked.wrong.is_empty(), || {
            format!("{number}: {:#?}", checked.wrong)
        })?;
        let report =
            check::check(&person.node.store, &person.node.blobs, &|_, _, _| Ok(())).unwrap();
        holds(report.is_sound(), || format!("{number}: {report:?}"))?;
    }
    Ok(())
}
