//! Mail that a friend's node is to send to the world.
//!
//! The exchange is that of [`super::mail`]: an Offer, Send, sealed pieces, and Accepted after the
//! commit. The envelope and the answers are others. Before Accepted the receiver verifies the
//! signature of the author's domain (DKIM); a sender that gets Later with [`Cause::Checking`]
//! offers the message again with the same id.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::{MAIL_ENVELOPE_LEN_MAX, MAIL_REPLY_LEN_MAX};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/relay/1";

/// The envelope (RFC 5321 2.3.1).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Envelope {
    /// The reverse-path; empty for a report.
    #[n(0)]
    pub(crate) from: String,
    /// The recipients, at most [`crate::limits::MAIL_RECIPIENTS_MAX`].
    #[n(2)]
    pub(crate) to: Vec<To>,
}

impl Message for Envelope {
    const LEN_MAX: usize = MAIL_ENVELOPE_LEN_MAX;
}

/// A recipient.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct To {
    /// The address.
    #[n(0)]
    pub(crate) address: String,
    /// The reports that the sender wants (NOTIFY, RFC 3461 4.1): [`REPORT_FAILURE`] and
    /// [`REPORT_DELAY`] added.
    #[n(2)]
    pub(crate) reports: u8,
}

/// A report after a permanent failure.
pub(crate) const REPORT_FAILURE: u8 = 1;
/// A report after a long delay.
pub(crate) const REPORT_DELAY: u8 = 2;

/// The answer to an Offer, and to a message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Reply {
    /// The message may follow. It is not sent to the recipients at these places.
    #[n(0)]
    Send(#[n(0)] Vec<u16>),
    /// The message is in the queue, now or before, but for the recipients at these places.
    #[n(2)]
    Accepted(#[n(0)] Vec<u16>),
    /// It is not taken.
    #[n(4)]
    Refused(#[n(0)] Refusal),
    /// Not now: the sender may try again after so many seconds.
    #[n(6)]
    Later(#[n(0)] u32, #[n(1)] Cause),
}

impl Message for Reply {
    const LEN_MAX: usize = MAIL_REPLY_LEN_MAX;
}

/// Why a message may come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Cause {
    /// Too many offers.
    #[n(0)]
    Busy,
    /// The sender's share of the day is used up.
    #[n(2)]
    OverLimit,
    /// The disk is full.
    #[n(4)]
    Full,
    /// The signature is not verified yet.
    #[n(6)]
    Checking,
}

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(crate) enum Refusal {
    /// The sender is no friend, or may not use this node.
    #[n(0)]
    NotAllowed,
    /// It goes to none of the recipients from here.
    #[n(2)]
    NoRecipient,
    /// The message is longer than this node takes.
    #[n(4)]
    TooLarge,
    /// The sender or an author is not at the friend's own domain.
    #[n(6)]
    Spoofed,
    /// The receiver could not confirm the friend's domain yet.
    #[n(8)]
    Unconfirmed,
    /// No good signature of the author's domain.
    #[n(10)]
    Unsigned,
    /// Too many Received fields, or too long a header.
    #[n(12)]
    BadHeader,
    /// The receiver has sent it on before.
    #[n(14)]
    Loop,
    /// The receiver sends nothing to the world itself.
    #[n(16)]
    NoRoute,
    /// The sealed parts do not open, or are of another length than offered.
    #[n(18)]
    Unreadable,
}
