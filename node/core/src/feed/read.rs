//! Reading stored entries: heads, entries, bodies. All of them are durable; none is from a commit
//! that is still being made.

use super::{
    Body, EntryHeader, EntryId, FeedLogHead, FeedLogId, Homes, Kind, ProfileBody, RawEntry, rows,
};
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::Rows;
use crate::store::StoreError;

/// The most logs of one person that are read.
const LOGS_MAX: usize = 4_096;
/// The most entries read in one call.
const ENTRIES_MAX: usize = 256;

/// The heads of a person's logs in the well-known lanes, each log after the one it continues. For a
/// private lane see [`head`].
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn heads(node: &Node, person: &PersonId) -> Result<Vec<FeedLogHead>, StoreError> {
    let mut logs = rows::logs(&node.store, person, LOGS_MAX)?;
    logs.sort_by_key(|(_, row)| row.generation);
    Ok(logs
        .into_iter()
        .filter(|(log, _)| log.lane.is_well_known())
        .map(|(log, row)| rows::log_head(log, &row))
        .collect())
}

/// The head of one log.
///
/// # Errors
/// As [`heads`].
pub fn head(node: &Node, log: &FeedLogId) -> Result<Option<FeedLogHead>, StoreError> {
    Ok(rows::log(&node.store, log)?.map(|row| rows::log_head(*log, &row)))
}

/// The entries of a log from `from_seq` on: at most `entries_max`, and no more once `bytes_max` is
/// reached (but always one, if there is one).
///
/// # Errors
/// As [`heads`].
pub fn read(
    node: &Node,
    log: &FeedLogId,
    from_seq: u64,
    entries_max: usize,
    bytes_max: usize,
) -> Result<Vec<RawEntry>, StoreError> {
    let (mut all, mut len) = (Vec::new(), 0usize);
    // A log that was cut may still have places beyond its end.
    let Some(held) = rows::log(&node.store, log)? else { return Ok(all) };
    for (_, id) in rows::places(&node.store, log, from_seq, entries_max.min(ENTRIES_MAX))?
        .into_iter()
        .take_while(|(seq, _)| *seq <= held.hi)
    {
        let Some(raw) = entry(node, &id)? else { break };
        len += raw.header.len() + raw.signature.0.len() + raw.body.as_ref().map_or(0, Vec::len);
        if len > bytes_max && !all.is_empty() {
            break;
        }
        all.push(raw);
    }
    Ok(all)
}

/// One entry by its id.
///
/// # Errors
/// As [`heads`].
pub fn entry(node: &Node, id: &EntryId) -> Result<Option<RawEntry>, StoreError> {
    rows::entry(&node.store, id)?.map(|row| rows::raw(&node.store, id, row)).transpose()
}

/// The header of an entry.
///
/// # Errors
/// As [`heads`].
pub fn header_of(node: &Node, id: &EntryId) -> Result<Option<EntryHeader>, StoreError> {
    rows::entry(&node.store, id)?.map(|row| rows::header(id, &row)).transpose()
}

/// The header of the entry with this number in a log.
///
/// # Errors
/// As [`heads`].
pub fn header_at(
    node: &Node,
    log: &FeedLogId,
    seq: u64,
) -> Result<Option<EntryHeader>, StoreError> {
    match rows::places(&node.store, log, seq, 1)?.first() {
        Some((found, id)) if *found == seq => header_of(node, id),
        _ => Ok(None),
    }
}

/// The header of an entry, and its body if that is still stored and understood.
///
/// # Errors
/// As [`heads`].
pub fn opened(
    node: &Node,
    id: &EntryId,
) -> Result<Option<(EntryHeader, Option<Body>)>, StoreError> {
    opened_in(&node.store, id)
}

fn opened_in(
    rows: &impl Rows,
    id: &EntryId,
) -> Result<Option<(EntryHeader, Option<Body>)>, StoreError> {
    let Some(row) = rows::entry(rows, id)? else { return Ok(None) };
    let header = rows::header(id, &row)?;
    let raw = rows::raw(rows, id, row)?;
    let body =
        raw.body.and_then(|bytes| Body::from_canonical(header.kind, &header.refs, &bytes).ok());
    Ok(Some((header, body)))
}

/// The body that counts for a person, of a kind of which only one does: the last Profile, or the
/// Homes of the highest version.
///
/// # Errors
/// As [`heads`].
pub fn latest(rows: &impl Rows, person: &PersonId, kind: Kind) -> Result<Option<Body>, StoreError> {
    Ok(latest_entry(rows, person, kind)?.map(|(_, body)| body))
}

/// [`latest`] with its header.
///
/// # Errors
/// As [`heads`].
pub fn latest_entry(
    rows: &impl Rows,
    person: &PersonId,
    kind: Kind,
) -> Result<Option<(EntryHeader, Body)>, StoreError> {
    let Some(id) = super::latest::of(rows, person, kind)? else { return Ok(None) };
    Ok(opened_in(rows, &id)?.and_then(|(header, body)| Some((header, body?))))
}

/// The position of an entry among those of its node in one lane. No clock decides this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LanePosition {
    /// The number of earlier epochs.
    pub generation: u64,
    /// The sequence number in its epoch.
    pub seq: u64,
}

/// An entry's log and its position.
///
/// # Errors
/// As [`heads`].
pub fn position(
    node: &Node,
    id: &EntryId,
) -> Result<Option<(FeedLogId, LanePosition)>, StoreError> {
    let Some(row) = rows::entry(&node.store, id)? else { return Ok(None) };
    let header = rows::header(id, &row)?;
    Ok(Some((header.log, LanePosition { generation: row.generation, seq: header.seq })))
}

/// The newest addresses of a person that are known here.
///
/// # Errors
/// When the store is unavailable or a row is damaged.
pub fn homes_of(node: &Node, person: &PersonId) -> Result<Option<Homes>, StoreError> {
    Ok(match latest(&node.store, person, Kind::Homes)? {
        Some(Body::Homes(homes)) => Some(homes),
        _ => None,
    })
}

/// The newest profile of a person that is known here.
///
/// # Errors
/// As [`heads`].
pub fn profile_of(node: &Node, person: &PersonId) -> Result<Option<ProfileBody>, StoreError> {
    Ok(match latest(&node.store, person, Kind::Profile)? {
        Some(Body::Profile(profile)) => Some(profile),
        _ => None,
    })
}
