//! Kinds of which only one entry counts for a person: the last Profile, the Homes of the highest
//! version. Every one is indexed, so that the one before counts again if a later one turns out to
//! be void.

use minicbor::{Decode, Encode};

use super::refs::Rank;
use super::{Body, EntryHeader, EntryId, HOMES_VERSION_MAX, Kind};
use crate::events::Event;
use crate::identity::PersonId;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// Person ‖ kind (one byte) ‖ version, or an epoch's place in its chain ‖ seq or 0 ‖ entry: the
/// last one counts.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct LatestRow {}

impl Record for LatestRow {
    const TABLE: Table = Table::new("feed_latest");
    const VERSION: u8 = 2;
}

/// The offset of the entry in a key.
const ENTRY_AT: usize = 49;

/// Indexes an entry if it is of such a kind.
pub(super) fn put(
    tx: &mut Tx<'_>,
    rank: &Rank,
    header: &EntryHeader,
    body: &Body,
) -> Result<(), StoreError> {
    if let Some(key) = key(rank, header, body) {
        row::put(tx, &key, &LatestRow {})?;
        tx.after(Event::Friends);
    }
    Ok(())
}

/// Removes a void entry from the index.
pub(super) fn delete(tx: &mut Tx<'_>, rank: &Rank, header: &EntryHeader, body: &Body) {
    if let Some(key) = key(rank, header, body) {
        row::delete::<LatestRow>(tx, &key);
        tx.after(Event::Friends);
    }
}

/// The entry of a kind that counts for a person.
pub(super) fn of(
    rows: &impl Rows,
    person: &PersonId,
    kind: Kind,
) -> Result<Option<EntryId>, StoreError> {
    let found = row::scan::<LatestRow>(rows, &Scan::prefix(&prefix(person, kind), 1).reversed())?;
    Ok(found.first().map(|(key, _)| EntryId(row::key_part(key, ENTRY_AT))))
}

fn prefix(person: &PersonId, kind: Kind) -> Vec<u8> {
    row::key(&[&person.0, &[u8::try_from(kind.number()).unwrap_or(u8::MAX)]])
}

fn key(rank: &Rank, header: &EntryHeader, body: &Body) -> Option<Vec<u8>> {
    let (major, minor) = match body {
        // A version that no honest node can reach in a lifetime is stored and forwarded, but does
        // not count.
        Body::Homes(homes) if homes.version <= HOMES_VERSION_MAX => (homes.version, 0),
        Body::Profile(_) => (rank.generation, rank.seq),
        _ => return None,
    };
    Some(row::key(&[
        &prefix(&header.log.person, header.kind),
        &major.to_be_bytes(),
        &minor.to_be_bytes(),
        &rank.id.0,
    ]))
}
