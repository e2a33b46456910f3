//! The long-lived stream on which feeds travel, the same in both directions.
//!
//! 1. Each side sends Have: its own logs with their first and last entries.
//! 2. The other answers each log with Want (from the last entry it has: a fork shows itself there)
//!    or, when it has it all, with Ack.
//! 3. Entries answer a Want until the log's end; each load is acknowledged once it is durable. At
//!    most [`crate::limits::CREDIT`] bytes are on the way unacknowledged.
//! 4. After that, new entries come as Push the moment they are durable with their author. Who
//!    pushes faster than the rate allows must fall back to Have and wait to be asked.
//! 5. Lacking names entries whose bodies were dropped for an edit or a tombstone that has turned
//!    out to be void. The author's node answers with those that it has, and so does a friend whom
//!    the author asks for their own. What others hold is nobody's business.
//! 6. Fork shows two entries at one place of one log, signed by one key; Bye ends the stream and
//!    says when to come back.

use minicbor::bytes::ByteArray;
use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::SYNC_FRAME_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/sync/1";

/// Which log: what one node key says for one person in one lane since one start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Log {
    /// The author.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: [u8; 32],
    /// The suite of the node's key.
    #[n(2)]
    pub(crate) suite: u8,
    /// The node's key; zeros, which are no key, stand for one of another length: such a suite is
    /// not known here.
    #[cbor(n(4), encode_with = "minicbor::bytes::encode", decode_with = "node_key")]
    pub(crate) node: [u8; 32],
    /// The lane.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) lane: [u8; 16],
    /// The epoch.
    #[n(8)]
    pub(crate) epoch: u64,
}

/// A key of whatever length its suite has, so that a log of a newer suite does not spoil the offer
/// of the others.
fn node_key<C>(
    decoder: &mut minicbor::Decoder<'_>,
    _: &mut C,
) -> Result<[u8; 32], minicbor::decode::Error> {
    Ok(decoder.bytes()?.try_into().unwrap_or_default())
}

/// A log that is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Head {
    /// Which.
    #[n(0)]
    pub(crate) log: Log,
    /// The first entry that can be had.
    #[n(2)]
    pub(crate) lo: u64,
    /// The last.
    #[n(4)]
    pub(crate) hi: u64,
    /// The id of the last.
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
    /// The body; absent when it was deleted.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) body: Option<Vec<u8>>,
}

impl Entry {
    /// Bytes it weighs against the credit.
    pub(crate) fn len(&self) -> usize {
        // What CBOR wraps around the parts, rounded up.
        const WRAPPING: usize = 32;
        self.header.len() + self.signature.len() + self.body.as_ref().map_or(0, Vec::len) + WRAPPING
    }
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Reason {
    /// The node stops, or the owner ended the friendship.
    #[n(0)]
    Leaving,
    /// Too much, too fast.
    #[n(2)]
    Rate,
    /// What was sent did not verify.
    #[n(4)]
    Invalid,
    /// The disk is full, or the node is starting or stopping.
    #[n(6)]
    Busy,
    /// Strangers do not get this.
    #[n(8)]
    NotFriends,
}

/// What goes over a sync stream.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Sync {
    /// These logs can be had from me.
    #[n(0)]
    Have(#[n(0)] Vec<Head>),
    /// Send me this log from number `from` on.
    #[n(2)]
    Want {
        /// Which.
        #[n(0)]
        log: Log,
        /// The first entry wanted.
        #[n(1)]
        from: u64,
    },
    /// The answer to a Want, in the log's order.
    #[n(4)]
    Entries(#[n(0)] Vec<Entry>),
    /// New entries that nobody asked for.
    #[n(6)]
    Push(#[n(0)] Vec<Entry>),
    /// All up to number `through` is durable here.
    #[n(8)]
    Ack {
        /// Which log.
        #[n(0)]
        log: Log,
        /// The last durable entry.
        #[n(1)]
        through: u64,
    },
    /// Two entries at one place: proof that this log's key was used twice.
    #[n(10)]
    Fork {
        /// One.
        #[n(0)]
        one: Entry,
        /// The other.
        #[n(1)]
        other: Entry,
    },
    /// Send me the bodies of these entries of yours, or of mine, if you have them: Entries answer.
    #[n(14)]
    Lacking(#[n(0)] Vec<ByteArray<32>>),
    /// The end of this stream.
    #[n(12)]
    Bye {
        /// Why.
        #[n(0)]
        reason: Reason,
        /// Seconds to wait before the next.
        #[n(1)]
        retry_after: u32,
    },
}

impl Message for Sync {
    const LEN_MAX: usize = SYNC_FRAME_LEN_MAX;
}
