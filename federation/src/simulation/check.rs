//! What must hold after every step, and what must hold once the network is whole again. Who may see what is judged by the script.

use std::collections::BTreeSet;

use freehold_core::{feed, timeline};

use super::person::{Person, label};
use super::{FRIENDS, LIAR};

fn are_friends(one: usize, other: usize) -> bool {
    FRIENDS.iter().any(|pair| *pair == (one, other) || *pair == (other, one))
}

/// Looks at everybody after each step: no gap, no fork by the honest, nothing with those who may not see it, nothing that its
/// author has lost.
pub(super) fn look(people: &[Person], at: &str) {
    for (reader, me) in people.iter().enumerate() {
        for (author, friend) in people.iter().enumerate().filter(|(author, _)| *author != reader && reader != LIAR) {
            let heads = feed::heads(&me.node, &friend.id).unwrap();
            if !are_friends(reader, author) {
                assert!(heads.is_empty(), "{at}: {reader} holds what {author} has not told them");
                continue;
            }
            for head in heads {
                let held = feed::read(&me.node, &head.log, 0, 256, usize::MAX).unwrap();
                assert_eq!(held.len() as u64, (head.hi + 1).min(256), "{at}: a gap in {author}'s log at {reader}");
                if author == LIAR {
                    continue;
                }
                let is_lost = feed::entry(&friend.node, &head.head).unwrap().is_none();
                assert!(!is_lost || friend.abandoned_logs.contains(&head.log), "{at}: {reader} holds what {author}'s own node has lost");
            }
            let forks = feed::forks(&me.node, &friend.id).unwrap();
            assert!(author == LIAR || forks.is_empty(), "{at}: {reader} takes honest {author} for a liar");
        }
    }
}

/// Every friend holds every log of every friend as its author does, and sees what the script says.
pub(super) fn all_have_come_together(people: &[Person], at: &str) {
    for (reader, me) in people.iter().enumerate().take(LIAR) {
        let items = timeline::page(&me.node, None, 10_000).unwrap();
        for (author, friend) in people.iter().enumerate().take(LIAR).filter(|(author, _)| *author != reader) {
            let seen: BTreeSet<String> = items.iter().filter(|item| item.author == friend.id).map(|item| label(&item.text)).collect();
            if !are_friends(reader, author) {
                assert!(seen.is_empty(), "{at}: {reader} sees {author}, who is no friend");
                continue;
            }
            for head in feed::heads(&friend.node, &friend.id).unwrap() {
                let held = feed::head(&me.node, &head.log).unwrap();
                let is_whole = held.is_some_and(|held| held == head || (held.hi > head.hi && friend.abandoned_logs.contains(&head.log)));
                assert!(is_whole, "{at}: {reader} lacks entries of {author}: {held:?}, not {head:?}");
            }
            let said: BTreeSet<String> = friend.said.values().cloned().collect();
            let missing: Vec<_> = said.difference(&seen).filter(|text| !friend.abandoned.contains(*text)).collect();
            let too_much: Vec<_> = seen.difference(&said).filter(|text| !friend.abandoned.contains(*text)).collect();
            assert!(missing.is_empty() && too_much.is_empty(), "{at}: {reader} lacks {missing:?} of {author}, and sees {too_much:?}");
        }
    }
}

/// Every entry on every honest node verifies anew.
pub(super) fn everything_verifies(people: &[Person], at: &str) {
    for (number, person) in people.iter().enumerate().take(LIAR) {
        let checked = feed::check(&person.node).unwrap();
        assert!(checked.entries > 0 && checked.wrong.is_empty(), "{at}, {number}: {:#?}", checked.wrong);
    }
}
