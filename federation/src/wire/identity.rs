//! A person's identity log, asked for by whoever wants to know the person. Anyone may ask: the log
//! is public and verifies itself.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::{IDENTITY_GET_LEN_MAX, OPS_LEN_MAX};

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/identity/1";

/// Asks for the operations of a person's log from number `from` (the first is 0).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Get {
    /// The person.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: [u8; 32],
    /// The first operation wanted.
    #[n(2)]
    pub(crate) from: u32,
}

impl Message for Get {
    const LEN_MAX: usize = IDENTITY_GET_LEN_MAX;
}

/// The operations, as many as fit; none when the person is unknown or there is nothing newer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Ops {
    /// Each in its exact bytes.
    #[n(0)]
    pub(crate) ops: Vec<ByteVec>,
    /// There are more.
    #[n(2)]
    pub(crate) more: bool,
}

impl Message for Ops {
    const LEN_MAX: usize = OPS_LEN_MAX;
}
