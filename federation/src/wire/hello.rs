//! The first exchange on a connection: who is who.
//!
//! 1. The one who called sends its Hello, the other answers with its own.
//! 2. Each looks up the other's identity log, fetches what is newer, and checks that it names the
//!    node key that Noise or QUIC has proved. A person claimed falsely is thereby a stranger,
//!    whatever the Hello says.

use minicbor::{Decode, Encode};

use super::Message;
use crate::limits::HELLO_LEN_MAX;

/// The protocol's name.
pub(crate) const PROTOCOL: &str = "/freehold/hello/1";

/// Who a node says it is.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Hello {
    /// The person, once the node has been claimed.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(crate) person: Option<[u8; 32]>,
    /// How many operations the person's identity log has.
    #[n(2)]
    pub(crate) ops: u32,
    /// The hash of the last of them.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub(crate) head: [u8; 32],
    /// What the node can do beyond this release's protocols, a bit each; unknown bits are ignored.
    #[n(1)]
    pub(crate) capabilities: u64,
    /// Message versions it speaks.
    #[n(3)]
    pub(crate) versions: Vec<u8>,
    /// A number drawn at the node's start: another one means that connections from before are dead,
    /// whatever they look like from here.
    #[n(5)]
    pub(crate) run: u64,
}

impl Message for Hello {
    const LEN_MAX: usize = HELLO_LEN_MAX;
}
