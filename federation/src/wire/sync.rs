//! The long-lived stream that synchronises feeds, the same in both directions.
//!
//! 1. Each side sends Have: its own logs with their first and last entries.
//! 2. The other answers each log with Want (from the last entry it holds, which shows a fork) or,
//!    if it holds the whole log, with Ack.
//! 3. Entries answer a Want up to the log's end; each batch is acknowledged once it is durable. At
//!    most [`crate::limits::CREDIT`] bytes are unacknowledged.
//! 4. After that, each new entry is sent as Push once it is durable at its author. A node that
//!    would exceed the rate of pushes sends Have instead and waits for a Want.
//! 5. Lacking names entries whose bodies were dropped for an edit or a tombstone that is void, as
//!    was found later. The author's node answers with those that it has, and so does a friend whom
//!    the author asks for the author's own. Nobody gets bodies of a third person.
//! 6. Fork carries two entries with one number in one log, signed by one key. Bye ends the stream
//!    and sends the time to wait before the next.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::SYNC_FRAME_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/sync/1";

/// A feed log: the entries that one node key has signed for one person in one lane and epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Log {
    /// The author.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: [u8; 32],
    /// The suite of the node's key.
    #[n(2)]
    pub(crate) suite: u8,
    /// The node's key; zeros, which are not a valid key, for a key of another length, whose suite
    /// is unknown here.
    #[cbor(n(4), encode_with = "minicbor::bytes::encode", decode_with = "node_key")]
    pub(crate) node: [u8; 32],
    /// The lane.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) lane: [u8; 16],
    /// The epoch.
    #[n(8)]
    pub(crate) epoch: u64,
}

/// Reads a key of any length: a log of a newer suite must not make the whole offer invalid.
fn node_key<C>(
    decoder: &mut minicbor::Decoder<'_>,
    _: &mut C,
) -> Result<[u8; 32], minicbor::decode::Error> {
    Ok(decoder.bytes()?.try_into().unwrap_or_default())
}

/// An offered log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Head {
    /// The log.
    #[n(0)]
    pub(crate) log: Log,
    /// The number of the first entry that can be requested.
    #[n(2)]
    pub(crate) lo: u64,
    /// The number of the last entry.
    #[n(4)]
    pub(crate) hi: u64,
    /// The id of the last entry.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
}

/// An entry in its exact bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Entry {
    /// The signed header.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) header: Vec<u8>,
    /// Its signature.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub(crate) signature: Vec<u8>,
    /// The body; absent if it was deleted.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) body: Option<Vec<u8>>,
}

impl Entry {
    /// Bytes that count against the credit.
    pub(crate) fn len(&self) -> usize {
        // Bytes of CBOR around the parts, rounded up.
        const OVERHEAD: usize = 32;
        self.header.len() + self.signature.len() + self.body.as_ref().map_or(0, Vec::len) + OVERHEAD
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Reason {
    /// The node stops, or the owner ended the friendship.
    #[n(0)]
    Leaving,
    /// A rate or the credit was exceeded.
    #[n(2)]
    Rate,
    /// A message was invalid, or an entry did not verify.
    #[n(4)]
    Invalid,
    /// The store failed: the disk is full, or the node starts or stops.
    #[n(6)]
    Busy,
    /// The message is for friends only.
    #[n(8)]
    NotFriends,
}

/// A message on a sync stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Sync {
    /// The sender offers these logs.
    #[n(0)]
    Have(#[n(0)] Vec<Head>),
    /// Requests the entries of a log from number `from` on.
    #[n(2)]
    Want {
        /// The log.
        #[n(0)]
        log: Log,
        /// The first entry to send.
        #[n(1)]
        from: u64,
    },
    /// The answer to a Want, in the log's order, or to a Lacking.
    #[n(4)]
    Entries(#[n(0)] Vec<Entry>),
    /// New entries, not requested.
    #[n(6)]
    Push(#[n(0)] Vec<Entry>),
    /// All entries up to number `through` are durable at the sender.
    #[n(8)]
    Ack {
        /// The log.
        #[n(0)]
        log: Log,
        /// The last durable entry.
        #[n(1)]
        through: u64,
        /// Milliseconds until that entry takes effect, if it is from the future by the sender's
        /// clock and held back. Earlier versions do not send it.
        #[n(2)]
        held_ms: Option<u64>,
    },
    /// Two entries with one number: the proof that the log has forked.
    #[n(10)]
    Fork {
        /// One entry.
        #[n(0)]
        one: Entry,
        /// The other entry.
        #[n(1)]
        other: Entry,
    },
    /// Requests the bodies of these entries of either side; Entries is the answer.
    #[n(14)]
    Lacking(#[n(0)] Vec<ByteArray<32>>),
    /// The end of this stream.
    #[n(12)]
    Bye {
        /// The reason.
        #[n(0)]
        reason: Reason,
        /// Seconds to wait before the next stream.
        #[n(1)]
        retry_after: u32,
    },
}

impl Message for Sync {
    const LEN_MAX: usize = SYNC_FRAME_LEN_MAX;
}
