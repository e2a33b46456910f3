//! Mail between friends' nodes, without SMTP.
//!
//! 1. The sender opens a stream and sends an Offer: the size, and the envelope, sealed to the KEM
//!    key of the receiver's node ([`freehold_core::sealed_stream`]).
//! 2. The answer is Send; or Accepted, if a message with this id was stored before; or a refusal.
//! 3. After Send, the message follows in raw frames: sealed pieces of
//!    [`crate::limits::MAIL_PIECE_LEN`] bytes of the text, the last one shorter.
//! 4. Accepted is sent after the commit. A sender that misses it offers the message again.
//!
//! A reader takes mail of friends alone, and of each a bounded number per hour. The suite names the
//! kind of the KEM key.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::{MAIL_ENVELOPE_LEN_MAX, MAIL_OFFER_LEN_MAX, MAIL_REPLY_LEN_MAX};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/mail/1";

/// Offers a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Offer {
    /// The message's id, the same in each try.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) id: [u8; 16],
    /// Bytes in the message's text.
    #[n(2)]
    pub(crate) size: u64,
    /// The suite of the KEM key that it is sealed to.
    #[n(4)]
    pub(crate) suite: u8,
    /// The encapsulated key.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub(crate) encapsulated: Vec<u8>,
    /// The sealed [`Envelope`], the head of the sealed stream.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub(crate) envelope: Vec<u8>,
}

impl Message for Offer {
    const LEN_MAX: usize = MAIL_OFFER_LEN_MAX;
}

/// The envelope (RFC 5321 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Envelope {
    /// The reverse-path; empty for a report.
    #[n(0)]
    pub(crate) from: String,
    /// The recipients, at most [`crate::limits::MAIL_RECIPIENTS_MAX`].
    #[n(2)]
    pub(crate) to: Vec<String>,
}

impl Message for Envelope {
    const LEN_MAX: usize = MAIL_ENVELOPE_LEN_MAX;
}

/// The answer to an Offer, and to a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Reply {
    /// The message may follow. The recipients at these places are not the owner's.
    #[n(0)]
    Send(#[n(0)] Vec<u16>),
    /// The message is stored, now or before, but for the recipients at these places.
    #[n(2)]
    Accepted(#[n(0)] Vec<u16>),
    /// It is not taken.
    #[n(4)]
    Refused(#[n(0)] Refusal),
    /// Not now: the sender may try again after so many seconds.
    #[n(6)]
    Later(#[n(0)] u32),
}

impl Message for Reply {
    const LEN_MAX: usize = MAIL_REPLY_LEN_MAX;
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Refusal {
    /// The sender is no friend.
    #[n(0)]
    NotFriends,
    /// No recipient is the owner.
    #[n(2)]
    NoSuchRecipient,
    /// The message is longer than this node takes.
    #[n(4)]
    TooLarge,
    /// An author is not at the sender's own domain.
    #[n(6)]
    Spoofed,
    /// The receiver could not confirm the sender's domain yet.
    #[n(8)]
    Unconfirmed,
    /// A rule of the receiver.
    #[n(10)]
    ByRule,
    /// Too many Received fields, or too long a header.
    #[n(12)]
    BadHeader,
    /// The sealed parts do not open, or are of another length than offered.
    #[n(14)]
    Unreadable,
}
