//! A person's identity log. Any peer may fetch it: the log is public, and its signatures prove it.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::{IDENTITY_GET_LEN_MAX, OPS_LEN_MAX};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/identity/1";

/// Requests the operations of a person's log from number `from` (the first is 0).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Get {
    /// The person.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: [u8; 32],
    /// The number of the first operation to send.
    #[n(2)]
    pub(crate) from: u32,
}

impl Message for Get {
    const LEN_MAX: usize = IDENTITY_GET_LEN_MAX;
}

/// The operations, as many as fit; none if the person is unknown or there are no more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ops {
    /// Each in its exact bytes.
    #[n(0)]
    pub(crate) ops: Vec<ByteVec>,
    /// True if there are more.
    #[n(2)]
    pub(crate) more: bool,
}

impl Message for Ops {
    const LEN_MAX: usize = OPS_LEN_MAX;
}
