//! Refused mail of the last 30 days: a wanted message that was refused must not vanish unseen.
//!
//! On disk a row under `time ‖ random`, and the text of a message that was taken before it was
//! refused. A client costs a row by each refusal: a network and all of them together have a share
//! per day, and a refusal beyond it is not recorded.

mod head;

use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::deliver::{self, DeliverError, Delivery, delivered_to};
use super::folders::{Folder, FolderId, SpecialUse, special_folder};
use super::idempotency::IdempotencyKey;
use super::read::{Message, message};
use super::senders;
use crate::blobs::Pinned;
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::mailbox::Flags;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};
use freehold_mime::text::one_line;

pub use head::{RefusedHead, refused_head};

/// How long a refusal is listed, in milliseconds.
const LISTED_MS: u64 = 30 * 24 * 3_600_000;
/// The longest text in a row, in bytes.
const FIELD_LEN_MAX: usize = 320;
/// The most recipients in a row.
const RECIPIENTS_MAX: usize = 5;
/// The longest message whose text is stored, in bytes.
const TEXT_LEN_MAX: u64 = 5 * 1024 * 1024;
/// The share of the refusals of one network per day.
const OF_NETWORK: Limit = Limit { bytes: 8 * 1024 * 1024, count: 30 };
/// The share of all refusals per day.
const OF_ALL: Limit = Limit { bytes: 32 * 1024 * 1024, count: 300 };
/// How many expired rows one commit deletes: more than one commit adds.
const FORGOTTEN_EACH: usize = 4;
/// How many expired rows one commit of [`forget_old_refusals`] deletes.
const FORGOTTEN_AT_ONCE: usize = 500;

/// A message or a recipient that is refused.
#[derive(Debug)]
pub struct Refusal {
    /// The address of the client.
    pub address: IpAddr,
    /// The sender in the envelope; empty for a report.
    pub sender: String,
    /// The recipients in the envelope.
    pub recipients: Vec<String>,
    /// The reply: its code, enhanced status code and text.
    pub reply: String,
    /// The message, if it was taken before it was refused.
    pub text: Option<Pinned>,
}

/// The name of a refusal in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusalId(pub [u8; 16]);

/// A refusal of the last 30 days.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Its name in the list.
    pub id: RefusalId,
    /// When it was refused.
    pub at: Timestamp,
    /// The address of the client.
    pub address: String,
    /// The sender in the envelope; empty for a report.
    pub sender: String,
    /// The first recipients in the envelope.
    pub recipients: Vec<String>,
    /// The reply: its code, enhanced status code and text.
    pub reply: String,
    /// True if the message can be fetched back.
    pub has_text: bool,
}

/// Why a refused message was not fetched back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchBackError {
    /// There is no such refusal any more, or its text was not stored.
    #[error("the text of this message was not kept")]
    NoText,
    /// The delivery failed.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
}

impl From<StoreError> for FetchBackError {
    fn from(error: StoreError) -> Self {
        Self::Deliver(error.into())
    }
}

/// Under `time ‖ random`.
#[derive(Encode, Decode)]
#[cbor(map)]
struct RefusedRow {
    #[n(0)]
    address: String,
    #[n(1)]
    sender: String,
    #[n(2)]
    recipients: Vec<String>,
    #[n(3)]
    reply: String,
    #[n(4)]
    text: Option<BlobId>,
}

impl Record for RefusedRow {
    const TABLE: Table = Table::referring("mailbox_refused");
    const VERSION: u8 = 1;
}

/// The parts of a refusal that were recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// True if the refusal is in the list.
    pub is_listed: bool,
    /// True if its text is stored.
    pub has_text: bool,
}

/// Records a refusal, unless the shares of the day are used up.
///
/// # Errors
/// When a row is damaged or the store refuses.
pub async fn record_refusal(node: &Node, refusal: Refusal) -> Result<Recorded, StoreError> {
    let (reading, address) = (node.clone(), refusal.address);
    let (now, random) = (node.clock.now(), node.random.array::<8>());
    let look = move || {
        let network = senders::network_key(&reading, address)?;
        let allowances = [
            Allowance { share: Share::RefusalsOfNetwork(network), limit: OF_NETWORK },
            Allowance { share: Share::Refusals, limit: OF_ALL },
        ];
        Ok::<_, StoreError>((has_room(&reading.store, now, &allowances)?, allowances))
    };
    // A client that guesses addresses must not hold up the commits of others.
    let (is_listed, allowances) = try_blocking(look).await?;
    if !is_listed {
        return Ok(Recorded::default());
    }
    let text = refusal.text.as_ref().filter(|text| text.len <= TEXT_LEN_MAX).cloned();
    let row = RefusedRow {
        address: refusal.address.to_canonical().to_string(),
        sender: clipped(&refusal.sender),
        recipients: refusal.recipients.iter().take(RECIPIENTS_MAX).map(|r| clipped(r)).collect(),
        reply: clipped(&refusal.reply),
        text: text.as_ref().map(|text| text.id),
    };
    let commit = move |tx: &mut Tx<'_>| {
        // Others may have used it up since.
        if !has_room(tx, now, &allowances)? {
            return Ok(Recorded::default());
        }
        if let Some(text) = &text {
            tx.attach(text);
        }
        row::put(tx, &row::key(&[&now.0.to_be_bytes(), &random]), &row)?;
        let lens: Vec<u64> = text.iter().map(|text| text.len).collect();
        let cost = shares::cost(tx, &lens);
        for allowance in &allowances {
            shares::charge(tx, now, allowance, cost, 1)?;
        }
        forget(tx, now, FORGOTTEN_EACH)?;
        Ok(Recorded { is_listed: true, has_text: text.is_some() })
    };
    node.store.commit(commit).await
}

/// True if some of each share is left.
fn has_room(
    rows: &impl Rows,
    now: Timestamp,
    allowances: &[Allowance],
) -> Result<bool, StoreError> {
    for allowance in allowances {
        if !shares::has_room(rows, now, allowance)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// One line of at most [`FIELD_LEN_MAX`] bytes.
fn clipped(text: &str) -> String {
    one_line(text, FIELD_LEN_MAX)
}

/// Deletes some expired rows, and returns their number.
fn forget(tx: &mut Tx<'_>, now: Timestamp, max: usize) -> Result<usize, StoreError> {
    let mut forgotten = 0;
    for (key, _) in tx.scan(RefusedRow::TABLE, &Scan::prefix(&[], max))? {
        if time_of(&key).plus_millis(LISTED_MS) >= now {
            break;
        }
        row::delete::<RefusedRow>(tx, &key);
        forgotten += 1;
    }
    Ok(forgotten)
}

fn time_of(key: &[u8]) -> Timestamp {
    Timestamp(u64::from_be_bytes(row::key_part(key, 0)))
}

/// Deletes the refusals of more than 30 days ago with their texts, and returns their number.
///
/// # Errors
/// When the store refuses.
pub async fn forget_old_refusals(node: &Node) -> Result<usize, StoreError> {
    let (now, mut forgotten) = (node.clock.now(), 0);
    loop {
        let batch = node.store.commit(move |tx| forget(tx, now, FORGOTTEN_AT_ONCE)).await?;
        forgotten += batch;
        if batch < FORGOTTEN_AT_ONCE {
            return Ok(forgotten);
        }
    }
}

/// The refusals of the last 30 days, newest first, at most `max`; with `before` only earlier ones.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn refusals(
    node: &Node,
    before: Option<RefusalId>,
    max: usize,
) -> Result<Vec<Refused>, StoreError> {
    let mut scan = Scan::prefix(&[], max).reversed();
    if let Some(before) = before {
        scan = scan.after(&before.0);
    }
    let (found, now) = (row::scan::<RefusedRow>(&node.store, &scan)?, node.clock.now());
    let listed = found.into_iter().filter(|(key, _)| time_of(key).plus_millis(LISTED_MS) >= now);
    Ok(listed.map(|(key, row)| refused(&key, row)).collect())
}

fn refused(key: &[u8], row: RefusedRow) -> Refused {
    let RefusedRow { address, sender, recipients, reply, text } = row;
    Refused {
        id: RefusalId(row::key_part(key, 0)),
        at: time_of(key),
        address,
        sender,
        recipients,
        reply,
        has_text: text.is_some(),
    }
}

/// Puts a refused message into the inbox and takes it off the list. A second call finds the message
/// of the first.
///
/// # Errors
/// When its text was not stored, or the delivery fails.
pub async fn fetch_back(node: &Node, id: RefusalId) -> Result<Message, FetchBackError> {
    let (reading, key) = (node.clone(), IdempotencyKey::of(&[b"refused", &id.0]));
    let found = try_blocking(move || {
        let row = row::get::<RefusedRow>(&reading.store, &id.0)?;
        let Some(blob) = row.and_then(|row| row.text) else {
            return Ok(Found::Fetched(match delivered_to(&reading, key)? {
                Some((folder, uid)) => message(&reading, folder, uid)?,
                None => None,
            }));
        };
        let pinned = reading.blobs.pin(&blob)?;
        let folder = special_folder(&reading, SpecialUse::Inbox)?;
        let is_there = |folder: Folder| Found::Listed(pinned, folder.id);
        Ok::<_, StoreError>(folder.map_or(Found::Fetched(None), is_there))
    });
    let (blob, folder) = match found.await? {
        Found::Listed(blob, folder) => (blob, folder),
        Found::Fetched(message) => return message.ok_or(FetchBackError::NoText),
    };
    let (internal_date, flags) = (time_of(&id.0), Flags::default());
    let delivery = Delivery { folder, blob, id: key, internal_date, flags };
    let message = deliver::deliver(node, delivery).await?;
    // After a crash in between, the message is found by its key, and leaves the list then.
    let leave = move |tx: &mut Tx<'_>| {
        row::delete::<RefusedRow>(tx, &id.0);
        Ok::<_, StoreError>(())
    };
    node.store.commit(leave).await?;
    Ok(message)
}

/// A refused message that is to be fetched back.
enum Found {
    /// Its text, and the inbox.
    Listed(Pinned, FolderId),
    /// It has left the list, or had no text: the message that was fetched, if it is still there.
    Fetched(Option<Message>),
}

#[cfg(test)]
mod tests;
