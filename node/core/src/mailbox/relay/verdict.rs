//! The verdict on a friend's message: the crate of mail gives it, federation reads it.

use super::{DoneRow, RelayKey, RelayRefusal, RelayVerdict, WaitingRow, key};
use crate::blobs::SMALL_LEN_MAX;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::mailbox::discard;
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::queue::{NewRecipient, QueueId, Relayed, insert_relayed};
use crate::node::Node;
use crate::row;
use crate::store::{BlobId, Scan, StoreError, Tx};

/// How long a verdict is remembered, in milliseconds: longer than a sender tries, two days.
const REMEMBERED_MS: u64 = 4 * 24 * 60 * 60 * 1000;
/// How many verdicts one commit forgets.
const FORGOTTEN_AT_ONCE: usize = 500;

/// A message whose signature is to be checked.
#[derive(Clone, Debug)]
pub struct Unverified {
    /// Its name.
    pub key: RelayKey,
    /// The text as received.
    pub blob: BlobId,
    /// The addresses in From.
    pub authors: Vec<String>,
    /// When it came.
    pub arrived: Timestamp,
}

/// The messages whose signatures are to be checked, at most `limit`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn unverified(node: &Node, limit: usize) -> Result<Vec<Unverified>, StoreError> {
    let rows = row::scan::<WaitingRow>(&node.store, &Scan::prefix(&[], limit))?;
    let unverified = |(key, row): (Vec<u8>, WaitingRow)| Unverified {
        key: RelayKey(IdempotencyKey(row::key_part(&key, 0))),
        blob: row.blob,
        authors: row.authors,
        arrived: row.arrived,
    };
    Ok(rows.into_iter().map(unverified).collect())
}

/// The verdict on a friend's message with this id, if there is one.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn verdict(
    node: &Node,
    person: &PersonId,
    id: &[u8; 16],
) -> Result<Option<RelayVerdict>, StoreError> {
    let row = row::get::<DoneRow>(&node.store, &key(person, id).0.0)?;
    Ok(row.map(|row| match row.refusal {
        Some(refusal) => RelayVerdict::Refused(refusal),
        None => RelayVerdict::Accepted(row.refused),
    }))
}

/// Queues a message whose signature is good, in the commit of its verdict.
///
/// # Errors
/// When the store refuses.
pub async fn accept(node: &Node, key: RelayKey) -> Result<(), StoreError> {
    let now = node.clock.now();
    let queue_it = move |tx: &mut Tx<'_>| {
        // A sender that gave up meanwhile would report a failure of what was delivered.
        tx.mark_essential();
        let Some(row) = row::get::<WaitingRow>(tx, &key.0.0)? else { return Ok(()) };
        let to = |to: super::ToRow| NewRecipient {
            address: to.address,
            notify: to.notify,
            original: None,
        };
        let relayed = Relayed {
            person: PersonId(row.person),
            from: row.sender,
            recipients: row.to.into_iter().map(to).collect(),
            blob: row.blob,
            size: row.size,
            prefix: row.trace,
        };
        let id = IdempotencyKey::of(&[b"relayed item", &key.0.0]);
        insert_relayed(tx, QueueId(id.0), relayed, now)?;
        row::delete::<WaitingRow>(tx, &key.0.0);
        row::put(tx, &key.0.0, &DoneRow { at: now, refusal: None, refused: row.refused })?;
        tx.after(Event::Relay);
        Ok::<_, StoreError>(())
    };
    node.store.commit(queue_it).await
}

/// Drops a message, and records why.
///
/// # Errors
/// When the store refuses.
pub async fn refuse(node: &Node, key: RelayKey, refusal: RelayRefusal) -> Result<(), StoreError> {
    remove(node, key, Some(refusal)).await
}

/// Drops a message without a verdict: its sender offers it again.
///
/// # Errors
/// When the store refuses.
pub async fn forget(node: &Node, key: RelayKey) -> Result<(), StoreError> {
    remove(node, key, None).await
}

async fn remove(
    node: &Node,
    key: RelayKey,
    refusal: Option<RelayRefusal>,
) -> Result<(), StoreError> {
    let now = node.clock.now();
    let removed = node
        .store
        .commit(move |tx: &mut Tx<'_>| {
            let Some(row) = row::get::<WaitingRow>(tx, &key.0.0)? else { return Ok(None) };
            row::delete::<WaitingRow>(tx, &key.0.0);
            if refusal.is_some() {
                row::put(tx, &key.0.0, &DoneRow { at: now, refusal, refused: Vec::new() })?;
            }
            tx.after(Event::Relay);
            Ok::<_, StoreError>(Some((row.blob, row.size)))
        })
        .await?;
    match removed {
        Some((blob, size)) if size > SMALL_LEN_MAX as u64 => discard(node, blob).await,
        _ => Ok(()),
    }
}

/// Forgets verdicts after which no sender asks any more; returns their number.
///
/// # Errors
/// When the store refuses.
pub async fn forget_old(node: &Node) -> Result<usize, StoreError> {
    let now = node.clock.now();
    let mut forgotten = 0;
    loop {
        let rows = row::scan::<DoneRow>(&node.store, &Scan::prefix(&[], usize::MAX))?;
        let is_old = |row: &DoneRow| now.millis_since(row.at) >= REMEMBERED_MS;
        let old = rows.into_iter().filter(|(_, row)| is_old(row)).map(|(key, _)| key);
        let old: Vec<Vec<u8>> = old.take(FORGOTTEN_AT_ONCE).collect();
        if old.is_empty() {
            return Ok(forgotten);
        }
        forgotten += old.len();
        let delete = move |tx: &mut Tx<'_>| {
            for key in &old {
                row::delete::<DoneRow>(tx, key);
            }
            Ok::<_, StoreError>(())
        };
        node.store.commit(delete).await?;
    }
}
