//! Mail that this node sends to the world for friends, whose own port 25 is closed: federation
//! receives it, mail checks the signature and sends it.
//!
//! 1. [`offered`] says whether a message is wanted: its friend may use this node, the sender is at
//!    the friend's own domain, and the share of the day has room.
//! 2. [`take`] stores the text, which waits for mail ([`unverified`]).
//! 3. Mail verifies the signature of the author's domain (DKIM, RFC 6376) over the bytes as
//!    received, and [`accept`] moves the message into the queue, in one commit with the verdict; or
//!    [`refuse`] drops it.
//!
//! On disk a row for each message that waits, and its verdict under the same key, so that a friend
//! who asks again gets the same answer and nobody gets the message twice.

mod offer;
mod take;
mod verdict;

use minicbor::{Decode, Encode};

use super::from_friend::FriendMailError;
use super::idempotency::IdempotencyKey;
use crate::clock::Timestamp;
use crate::identity::PersonId;
use crate::node::Node;
use crate::row::{self, Record};
use crate::shares::{Allowance, Limit, Share};
use crate::store::{BlobId, Scan, StoreError, Table};

pub use offer::{Offered, RelayPause, offered};
pub use take::{RelayError, RelayRequest, take};
pub use verdict::{Unverified, accept, forget, forget_old, refuse, unverified, verdict};

/// Messages that are sent for one friend per day (in UTC).
pub const RELAYED_MESSAGES_PER_DAY: u64 = 100;
/// Recipients to whom mail of one friend is sent per day.
pub const RELAYED_RECIPIENTS_PER_DAY: u64 = 200;
/// MiB of mail that are taken of one friend per day.
pub const RELAYED_MIB_PER_DAY: u32 = 200;

/// Why a friend's message is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum RelayRefusal {
    /// The owner has not allowed it, or the person is no friend.
    #[n(0)]
    NotAllowed,
    /// The sender or an author is not at the friend's own domain.
    #[n(1)]
    Spoofed,
    /// This node could not confirm the friend's domain yet.
    #[n(2)]
    Unconfirmed,
    /// No good signature of the author's domain.
    #[n(3)]
    Unsigned,
    /// The header is too long, or has too many Received fields (RFC 5321 6.3).
    #[n(4)]
    BadHeader,
    /// It was sent on by this node before (RFC 5321 6.3).
    #[n(5)]
    Loop,
    /// This node sends nothing to the world itself.
    #[n(6)]
    NoRoute,
    /// It goes to none of the recipients from here.
    #[n(7)]
    NoRecipient,
}

impl From<FriendMailError> for RelayError {
    fn from(error: FriendMailError) -> Self {
        Self::Refused(match error {
            FriendMailError::NotFriends => RelayRefusal::NotAllowed,
            FriendMailError::Spoofed => RelayRefusal::Spoofed,
            FriendMailError::Unconfirmed => RelayRefusal::Unconfirmed,
            FriendMailError::Loop | FriendMailError::HeaderTooLong => RelayRefusal::BadHeader,
            FriendMailError::Deliver(super::DeliverError::Store(error)) => return error.into(),
            FriendMailError::Deliver(error) => {
                return StoreError::Unavailable(error.to_string()).into();
            }
        })
    }
}

/// The outcome of a message that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayVerdict {
    /// It is or was in the queue, but for the recipients at these places.
    Accepted(Vec<u16>),
    /// It is not sent on.
    Refused(RelayRefusal),
}

/// The name of a message that waits for the check of its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayKey(IdempotencyKey);

/// The key of a friend's message.
fn key(person: &PersonId, id: &[u8; 16]) -> RelayKey {
    RelayKey(IdempotencyKey::of(&[b"relayed", &person.0, id]))
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct ToRow {
    #[n(0)]
    address: String,
    #[n(1)]
    notify: Option<super::queue::Notify>,
}

/// A message whose signature is not checked yet.
#[derive(Clone, Encode, Decode)]
#[cbor(map)]
struct WaitingRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    person: [u8; 32],
    #[n(1)]
    sender: String,
    #[n(2)]
    to: Vec<ToRow>,
    /// The places of the recipients who are left out of `to`.
    #[n(3)]
    refused: Vec<u16>,
    #[n(4)]
    blob: BlobId,
    #[n(5)]
    size: u64,
    #[n(6)]
    arrived: Timestamp,
    /// The trace field before the text when it is sent.
    #[n(7)]
    trace: String,
    /// The addresses in From.
    #[n(8)]
    authors: Vec<String>,
}

impl Record for WaitingRow {
    const TABLE: Table = Table::referring("mail_relay_waiting");
    const VERSION: u8 = 1;
}

/// The verdict on a message.
#[derive(Encode, Decode)]
#[cbor(map)]
struct DoneRow {
    #[n(0)]
    at: Timestamp,
    #[n(1)]
    refusal: Option<RelayRefusal>,
    #[n(2)]
    refused: Vec<u16>,
}

impl Record for DoneRow {
    const TABLE: Table = Table::new("mail_relay_done");
    const VERSION: u8 = 1;
}

/// A friend's share of a day in messages and bytes.
fn mail_allowance(person: PersonId) -> Allowance {
    let bytes = Limit::mib(RELAYED_MIB_PER_DAY).bytes;
    Allowance {
        share: Share::RelayedMail(person),
        limit: Limit { bytes, count: RELAYED_MESSAGES_PER_DAY },
    }
}

/// A friend's share of a day in recipients.
fn recipients_allowance(person: PersonId) -> Allowance {
    Allowance {
        share: Share::RelayedRecipients(person),
        limit: Limit { bytes: u64::MAX, count: RELAYED_RECIPIENTS_PER_DAY },
    }
}

/// Broken invariants of the messages that wait, a sentence each.
pub(super) fn check(node: &Node, wrong: &mut Vec<String>) -> Result<(), StoreError> {
    for (key, row) in row::scan::<WaitingRow>(&node.store, &Scan::prefix(&[], usize::MAX))? {
        let id = data_encoding::HEXLOWER.encode(&key);
        if node.blobs.open(&row.blob).is_err() {
            wrong.push(format!("friend's message {id}: its bytes are missing"));
        }
        if row::get::<DoneRow>(&node.store, &key)?.is_some() {
            wrong.push(format!("friend's message {id}: it waits and has a verdict"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
