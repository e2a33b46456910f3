//! Writing: the next entry of one of this node's feed logs, and its outbox record, in the commit
//! that has a reason for it.

use super::change::Change;
use super::{
    BODY_LEN_MAX, Body, EntryAudience, EntryHeader, EntryId, FeedLogId, Lane, RawEntry, due,
    effects, rows,
};
use crate::clock::Timestamp;
use crate::domains;
use crate::hlc::Hlc;
use crate::node::Node;
use crate::outbox::{self, OutboxRecord};
use crate::row::Rows;
use crate::store::{StoreError, Tx};

/// Why an entry could not be written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AppendError {
    /// The node has not been claimed by anyone yet.
    #[error("this node has not been claimed yet")]
    Unclaimed,
    /// The node was retired, or the person's identity has ended: its entries would be void.
    #[error("this node was retired: it can't write for its person any more")]
    Retired,
    /// The body is over its limit.
    #[error("the text is {len} bytes as an entry, the limit is {len_max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        len_max: usize,
    },
    /// A reader would refuse the body (a field over its limit, too many photos).
    #[error("readers would refuse this: {0}")]
    NotReadable(crate::cbor::CborError),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The time of the next entry.
///
/// # Errors
/// The store's own.
pub fn moment(tx: &Tx<'_>, node: &Node) -> Result<Timestamp, StoreError> {
    Ok(next_hlc(tx, node.clock.now())?.time())
}

/// The hybrid clock of the next entry, if it is written at `now`.
///
/// # Errors
/// The store's own.
pub(crate) fn next_hlc(stored: &impl Rows, now: Timestamp) -> Result<Hlc, StoreError> {
    Ok(Hlc::next(rows::clock(stored)?, now))
}

/// Writes the next entry of a lane, public or control, and adds what it changes for readers to
/// `changes`. Every honest node drops the body at the time `expires`.
///
/// # Errors
/// When the node is unclaimed or retired, the body is too long or unreadable, or the store's own
/// error.
pub(crate) fn append(
    tx: &mut Tx<'_>,
    node: &Node,
    lane: Lane,
    body: &Body,
    expires: Option<Timestamp>,
    changes: &mut Vec<Change>,
) -> Result<EntryId, AppendError> {
    let identity = node.identity.log().ok_or(AppendError::Unclaimed)?;
    let person = identity.person();
    if identity.state().ended
        || !identity.live_nodes().any(|live| *live == node.identity.node_key())
    {
        return Err(AppendError::Retired);
    }
    let bytes = body.to_canonical(node.random.array());
    let too_long = || AppendError::TooLong { len: bytes.len(), len_max: BODY_LEN_MAX };
    let body_len = u32::try_from(bytes.len())
        .ok()
        .filter(|_| bytes.len() <= BODY_LEN_MAX)
        .ok_or_else(too_long)?;
    // An entry that readers refuse would stall the log at every friend.
    Body::from_canonical(body.kind(), &body.refs(), &bytes).map_err(AppendError::NotReadable)?;

    let log =
        FeedLogId { person, node: node.identity.node_key(), lane, epoch: node.identity.epoch() };
    let (seq, prev, generation) = match rows::log(tx, &log)? {
        Some(row) => (row.hi + 1, Some(EntryId(row.head)), row.generation),
        None => match rows::tip(tx, &log)? {
            Some(tip) => (0, Some(EntryId(tip.head)), tip.generation + 1),
            None => (0, None, 0),
        },
    };
    let (now, last) = (node.clock.now(), rows::clock(tx)?);
    let hlc = Hlc::next(last, now);
    if hlc < last {
        tracing::warn!(
            %last,
            %hlc,
            "this machine's clock was ahead; friends' nodes hold back entries of that time until \
             it comes"
        );
    }
    let header = EntryHeader {
        log,
        seq,
        prev,
        hlc,
        kind: body.kind(),
        body_len,
        body_hash: *blake3::hash(&bytes).as_bytes(),
        audience: EntryAudience::Public,
        refs: body.refs(),
        expires,
        understood: true,
    };
    let header_bytes = header.to_canonical();
    let signature = node.identity.sign(domains::ENTRY, &header_bytes);
    let id = EntryId::of(&header_bytes);
    let raw = RawEntry { header: header_bytes, signature, body: Some(bytes) };

    rows::put_entry(
        tx,
        &id,
        &raw,
        rows::Circumstances { seen: now, with_body: true, generation, waits: false },
    )?;
    rows::advance(tx, &log, seq, &id, generation)?;
    rows::put_clock(tx, hlc)?;
    effects::of_own(tx, node, &id, &header, generation, body, changes)?;
    if let Some(at) = expires {
        due::expire_at(tx, at, &id)?;
    }
    outbox::append(tx, &OutboxRecord { entry: id, log, seq })?;
    Ok(id)
}

/// Writes an entry of this node and applies nothing, for tests that need an entry and no noun.
///
/// # Errors
/// As [`append`].
#[cfg(any(test, feature = "testing"))]
pub fn append_only(
    tx: &mut Tx<'_>,
    node: &Node,
    lane: Lane,
    body: &Body,
) -> Result<EntryId, AppendError> {
    append(tx, node, lane, body, None, &mut Vec::new())
}
