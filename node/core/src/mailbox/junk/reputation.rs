//! The reputation of authors, domains and networks: how many of their messages the owner called
//! junk, and how many were wanted.

use minicbor::{Decode, Encode};

use super::bayes::Counts;
use super::judge::Origin;
use crate::clock::Timestamp;
use crate::node::KeyedHash;
use crate::row::{self, Record, Rows};
use crate::store::{StoreError, Table, Tx};

/// The fewest messages of one kind that make a reputation.
const MESSAGES_MIN: u32 = 2;
/// The number of messages that makes a firm one.
const MESSAGES_FIRM: u32 = 5;
/// How many times as many messages one kind must have, if there are both.
const CLEAR: u32 = 10;

/// Under a keyed hash of kind and name.
#[derive(Clone, Copy, Debug, Encode, Decode)]
#[cbor(map)]
pub(super) struct ReputationRow {
    #[n(0)]
    pub(super) counts: Counts,
    /// When it last changed.
    #[n(1)]
    pub(super) changed: Timestamp,
}

impl Record for ReputationRow {
    const TABLE: Table = Table::new("junk_reputation");
    const VERSION: u8 = 1;
}

/// A reputation from -2 (firmly wanted) to 2 (firmly junk); 0 says nothing.
pub(super) fn grade(counts: Counts) -> i16 {
    let of = |count: u32| if count >= MESSAGES_FIRM { 2 } else { 1 };
    let Counts { junk, wanted } = counts;
    if junk >= MESSAGES_MIN && junk >= wanted.saturating_mul(CLEAR) {
        of(junk)
    } else if wanted >= MESSAGES_MIN && wanted >= junk.saturating_mul(CLEAR) {
        -of(wanted)
    } else {
        0
    }
}

/// The reputations of one message's origin.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reputations {
    pub(super) author: Counts,
    pub(super) domain: Counts,
    pub(super) network: Counts,
}

/// The keys of an origin: author, domain and network. Author and domain count only if proven.
pub(super) fn keys(rows: &impl Rows, origin: &Origin) -> Result<[Option<[u8; 16]>; 3], StoreError> {
    let hash = KeyedHash::new(rows, "junk.reputation")?;
    let key = |kind: &str, name: &[u8]| hash.of(&[kind.as_bytes(), name].concat());
    Ok([
        origin.author.as_ref().map(|author| key("author:", author.as_bytes())),
        origin.domain.as_ref().map(|domain| key("domain:", domain.as_bytes())),
        origin.network.as_ref().map(|network| key("network:", &**network)),
    ])
}

/// Reads the reputations of an origin.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub(super) fn of(rows: &impl Rows, origin: &Origin) -> Result<Reputations, StoreError> {
    let counts = |key: Option<[u8; 16]>| -> Result<Counts, StoreError> {
        let Some(key) = key else { return Ok(Counts::default()) };
        Ok(row::get::<ReputationRow>(rows, &key)?.map(|row| row.counts).unwrap_or_default())
    };
    let [author, domain, network] = keys(rows, origin)?.map(counts);
    Ok(Reputations { author: author?, domain: domain?, network: network? })
}

/// Changes the reputations of an origin within the commit of a lesson.
pub(super) fn change(
    tx: &mut Tx<'_>,
    origin: &Origin,
    now: Timestamp,
    change: impl Fn(&mut Counts),
) -> Result<(), StoreError> {
    for key in keys(tx, origin)?.into_iter().flatten() {
        let new = ReputationRow { counts: Counts::default(), changed: now };
        let mut row = row::get::<ReputationRow>(tx, &key)?.unwrap_or(new);
        change(&mut row.counts);
        row.changed = now;
        row::put(tx, &key, &row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reputation_needs_messages_of_clearly_one_kind() {
        let grade = |junk, wanted| grade(Counts { junk, wanted });
        assert_eq!([grade(0, 0), grade(1, 0), grade(0, 1)], [0, 0, 0]);
        assert_eq!([grade(2, 0), grade(5, 0), grade(0, 2), grade(0, 9)], [1, 2, -1, -2]);
        assert_eq!([grade(9, 1), grade(10, 1), grade(3, 3), grade(2, 30)], [0, 2, 0, -2]);
    }
}
