//! The first exchange on a connection: each node names its person.
//!
//! 1. The dialing node sends its Hello, the other answers with its own.
//! 2. Each looks up the other's identity log, fetches newer operations, and checks that the log
//!    certifies the node key that Noise or QUIC has proved. A node with a false claim is therefore
//!    a stranger.
//!
//! A hello is repeated on an open connection when the sender's identity log or clock has changed.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::HELLO_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/hello/1";

/// A node's claim of its person.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Hello {
    /// The person, if the node has an owner.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: Option<[u8; 32]>,
    /// The number of operations in the person's identity log.
    #[n(2)]
    pub(crate) ops: u32,
    /// The hash of the last of them.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
    /// Abilities beyond this release's protocols, one bit each; unknown bits are ignored.
    #[n(1)]
    pub(crate) capabilities: u64,
    /// The message versions that the node knows.
    #[n(3)]
    pub(crate) versions: Vec<u8>,
    /// A random number, drawn at the node's start. Another number than before means that the
    /// connections from before are dead, even if they look open from here.
    #[n(5)]
    pub(crate) run: u64,
    /// The node's clock, in milliseconds since the Unix epoch. Earlier versions do not send it.
    #[n(7)]
    pub(crate) clock: Option<u64>,
    /// Another run of the receiver's node, whose hellos alternate with those of this run: a copy of
    /// its data folder is running. Earlier versions do not send it.
    #[n(9)]
    pub(crate) copy: Option<u64>,
}

impl Message for Hello {
    const LEN_MAX: usize = HELLO_LEN_MAX;
}
