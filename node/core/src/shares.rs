//! Shares of the disk: how much other people may make this node store per day (in UTC). The owner's
//! mail has shares too, in recipients.
//!
//! A share is charged in the commit of the change that it pays for, so it costs no sync of its own
//! and a restart does not give it anew. The cost is what the change takes on the disk: each copy of
//! its rows, and its blobs as they are sealed. On disk a row under `kind ‖ day ‖ subject`, so that
//! the rows of earlier days are found and deleted.
//!
//! An attacker gets the share of the day and one change more, because what is left of a share need
//! only be above zero. Content that arrives slowly is on the disk before it is charged: it holds
//! a [`Reservation`] meanwhile.

mod reservation;

use minicbor::{Decode, Encode};

use crate::blobs::{self, SMALL_LEN_MAX};
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How many rows of earlier days one charge deletes: more than it adds.
const DELETED_EACH: usize = 4;

pub use reservation::Reservation;

/// A kind of content, and the person or network that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// The entries of a friend.
    Entries(PersonId),
    /// The photos of a friend.
    Photos(PersonId),
    /// Mail of unknown senders from one network, named by a keyed hash.
    MailOfNetwork([u8; 16]),
    /// Mail of all unknown senders.
    MailOfStrangers,
    /// Recipients of the owner's mail.
    Recipients,
    /// Those to whom the owner never wrote before.
    NewRecipients,
    /// Refused mail from one network, named by a keyed hash.
    RefusalsOfNetwork([u8; 16]),
    /// All refused mail.
    Refusals,
    /// Mail from a friend's node.
    MailOfFriend(PersonId),
    /// Mail that this node sends to the world for a friend.
    RelayedMail(PersonId),
    /// The recipients of such mail.
    RelayedRecipients(PersonId),
}

/// A day's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Entries, photos, messages or recipients.
    pub count: u64,
}

impl Limit {
    /// No limit.
    pub const NONE: Self = Self { bytes: u64::MAX, count: u64::MAX };

    /// So many MiB, and no limit on their number.
    pub const fn mib(mib: u32) -> Self {
        Self { bytes: (mib as u64) << 20, count: u64::MAX }
    }
}

/// A share with its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The share.
    pub share: Share,
    /// Its limit per day.
    pub limit: Limit,
}

/// The part of a share that was used on the day.
#[derive(Clone, Copy, Default, Encode, Decode)]
#[cbor(map)]
struct UsedRow {
    #[n(0)]
    bytes: u64,
    #[n(1)]
    count: u64,
    /// True if nothing was left after the last charge.
    #[n(2)]
    is_used_up: bool,
}

impl Record for UsedRow {
    const TABLE: Table = Table::new("shares_used");
    const VERSION: u8 = 1;
}

impl UsedRow {
    fn has_reached(&self, limit: &Limit) -> bool {
        self.bytes >= limit.bytes || self.count >= limit.count
    }
}

impl Share {
    fn kind(&self) -> u8 {
        match self {
            Self::Entries(_) => 0,
            Self::Photos(_) => 1,
            Self::MailOfNetwork(_) => 2,
            Self::MailOfStrangers => 3,
            Self::Recipients => 4,
            Self::NewRecipients => 5,
            Self::RefusalsOfNetwork(_) => 6,
            Self::Refusals => 7,
            Self::MailOfFriend(_) => 8,
            Self::RelayedMail(_) => 9,
            Self::RelayedRecipients(_) => 10,
        }
    }

    fn subject(&self) -> &[u8] {
        match self {
            Self::Entries(person)
            | Self::Photos(person)
            | Self::MailOfFriend(person)
            | Self::RelayedMail(person)
            | Self::RelayedRecipients(person) => &person.0,
            Self::MailOfNetwork(network) | Self::RefusalsOfNetwork(network) => network,
            Self::MailOfStrangers | Self::Recipients | Self::NewRecipients | Self::Refusals => &[],
        }
    }

    fn name(&self) -> Vec<u8> {
        row::key(&[&[self.kind()], self.subject()])
    }

    fn key(&self, now: Timestamp) -> Vec<u8> {
        row::key(&[&[self.kind()], &day(now).to_be_bytes(), self.subject()])
    }
}

fn day(now: Timestamp) -> u64 {
    now.0 / DAY_MS
}

/// Returns true if some of today's share is left.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn has_room(
    rows: &impl Rows,
    now: Timestamp,
    allowance: &Allowance,
) -> Result<bool, StoreError> {
    let used = row::get::<UsedRow>(rows, &allowance.share.key(now))?.unwrap_or_default();
    Ok(!used.has_reached(&allowance.limit))
}

/// Returns true if `count` more fit into today's share.
///
/// # Errors
/// As [`has_room`].
pub(crate) fn has_room_for(
    rows: &impl Rows,
    now: Timestamp,
    allowance: &Allowance,
    count: u64,
) -> Result<bool, StoreError> {
    let used = row::get::<UsedRow>(rows, &allowance.share.key(now))?.unwrap_or_default();
    Ok(used.count.saturating_add(count) <= allowance.limit.count)
}

/// Returns true if the last charge of today used up the share.
///
/// # Errors
/// As [`has_room`].
pub fn is_used_up(rows: &impl Rows, now: Timestamp, share: Share) -> Result<bool, StoreError> {
    let used = row::get::<UsedRow>(rows, &share.key(now))?;
    Ok(used.is_some_and(|used| used.is_used_up))
}

/// The cost of a change on the disk: its rows, its small blobs, and the file of a longer blob of
/// each length in `blob_lens`.
pub(crate) fn cost(tx: &Tx<'_>, blob_lens: &[u64]) -> u64 {
    let files = blob_lens.iter().filter(|len| **len > SMALL_LEN_MAX as u64);
    tx.disk_cost() + files.map(|len| blobs::file_len(*len)).sum::<u64>()
}

/// Charges a share within the commit of the change that it pays for, and deletes some rows of
/// earlier days.
///
/// # Errors
/// As [`has_room`], and when the change is over its limits.
pub(crate) fn charge(
    tx: &mut Tx<'_>,
    now: Timestamp,
    allowance: &Allowance,
    bytes: u64,
    count: u64,
) -> Result<(), StoreError> {
    let (share, key) = (allowance.share, allowance.share.key(now));
    let mut used = row::get::<UsedRow>(tx, &key)?.unwrap_or_default();
    used.bytes = used.bytes.saturating_add(bytes);
    used.count = used.count.saturating_add(count);
    used.is_used_up = used.has_reached(&allowance.limit);
    row::put(tx, &key, &used)?;
    let today = row::key(&[&[share.kind()], &day(now).to_be_bytes()]);
    for (key, _) in tx.scan(UsedRow::TABLE, &Scan::prefix(&[share.kind()], DELETED_EACH))? {
        // The row of a later day was written before the clock was set back.
        if !key.starts_with(&today) {
            row::delete::<UsedRow>(tx, &key);
        }
    }
    Ok(())
}

/// Uses up the rest of today's share, because the next piece of content does not fit into it.
///
/// # Errors
/// As [`has_room`], and when the store refuses.
pub async fn use_up(node: &Node, allowance: Allowance) -> Result<(), StoreError> {
    let now = node.clock.now();
    let charge_rest = move |tx: &mut Tx<'_>| {
        let key = allowance.share.key(now);
        let used = row::get::<UsedRow>(tx, &key)?.unwrap_or_default();
        let rest = allowance.limit.bytes.saturating_sub(used.bytes);
        charge(tx, now, &allowance, rest, 0)
    };
    node.store.commit(charge_rest).await
}

#[cfg(test)]
mod tests;
