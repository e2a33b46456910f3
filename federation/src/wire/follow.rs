//! Follow requests: two persons become friends, or cease to be.
//!
//! 1. Bob's node dials the node that Alice's invite names; Noise or QUIC proves its key.
//! 2. After the hello it sends a Request with the invite's token. Alice's node consumes the token
//!    in the commit that makes Bob a friend, and answers Accept; it answers an invalid token with
//!    Reject. A Request without a token is stored for Alice to decide, and answered with Pending.
//! 3. Accept makes Alice a friend on Bob's side.
//!
//! A stolen invite can be used once; a replayed Request is rejected, because its token is consumed.
//! A flood is limited to one request per peer and hour, and 200 pending requests in all.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::FOLLOW_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/follow/1";

/// A follow message.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Follow {
    /// A wish to be friends.
    #[n(0)]
    Request(#[n(0)] Request),
    /// The request is accepted; the addresses are the accepting node's.
    #[n(2)]
    Accept(#[n(0)] Introduction),
    /// The request waits for the person's decision.
    #[n(4)]
    Pending,
    /// The request is rejected. Blocked, expired and full have the same answer.
    #[n(6)]
    Reject,
    /// The friendship has ended. Sent again until it is confirmed, for thirty days at most.
    #[n(8)]
    Unfollow,
    /// An Accept or Unfollow is confirmed.
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
    /// A note to the other person, plain text.
    #[n(1)]
    pub(crate) note: String,
    /// The requesting person.
    #[n(2)]
    pub(crate) from: Introduction,
}

/// A person's name, and the addresses of their node.
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
