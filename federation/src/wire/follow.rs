//! Becoming friends.
//!
//! 1. Bob's node calls the node an invite names; Noise or QUIC proves that it is that node.
//! 2. After the hello it sends a Request with the invite's token. Alice's node consumes the token
//!    in the commit that makes Bob a friend and answers Accept; a token that is not good is
//!    answered with Reject. A request without one is kept for Alice to decide, and answered with
//!    Pending.
//! 3. Accept makes Alice a friend on Bob's side. Whoever steals an invite can use it once; whoever
//!    replays a Request finds the token gone; whoever floods finds one request per peer and hour,
//!    and 200 pending in all.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::FOLLOW_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/follow/1";

/// What one node tells another about friendship.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Follow {
    /// Let us be friends.
    #[n(0)]
    Request(#[n(0)] Request),
    /// We are; the addresses are the accepting node's.
    #[n(2)]
    Accept(#[n(0)] Introduction),
    /// The person has been asked.
    #[n(4)]
    Pending,
    /// No. Blocked, expired and full look alike from outside.
    #[n(6)]
    Reject,
    /// We are friends no longer. Said until it is noted, at most for thirty days.
    #[n(8)]
    Unfollow,
    /// The other side has taken note.
    #[n(10)]
    Noted,
}

impl Message for Follow {
    const LEN_MAX: usize = FOLLOW_LEN_MAX;
}

/// A wish to be friends.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Request {
    /// The invite's token, if there was an invite.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) token: Option<[u8; 16]>,
    /// A few words to the other person, plain text.
    #[n(1)]
    pub(crate) note: String,
    /// Who asks, and where they are found.
    #[n(2)]
    pub(crate) from: Introduction,
}

/// How a person is called and where their node is found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Introduction {
    /// The name, plain text.
    #[n(0)]
    pub(crate) name: String,
    /// Multiaddrs, at most [`crate::limits::ADDRESSES_MAX`].
    #[n(2)]
    pub(crate) addresses: Vec<String>,
}
