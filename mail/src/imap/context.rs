//! What every command works with, whatever state the session is in.

use std::net::IpAddr;
use std::sync::Arc;

use freehold_core::node::Node;

use super::outlines::Outlines;
use super::print::Printer;

/// What all sessions share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The largest message APPEND takes, in bytes.
    pub(crate) message_len_max: u64,
    /// Headers and structures lately asked for.
    pub(crate) outlines: Outlines,
}

/// Whether others could listen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// TLS.
    Tls,
    /// In the clear, but client and server are one machine.
    Loopback,
    /// In the clear over a network: no password may be sent.
    Open,
}

/// The connection, as far as the session must know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) privacy: Privacy,
    /// Whether STARTTLS can be offered.
    pub(crate) may_start_tls: bool,
    pub(crate) from: IpAddr,
}

/// See the module's text.
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) shared: Arc<Shared>,
    /// What is to be sent.
    pub(crate) out: Printer,
    pub(crate) link: Link,
    /// Whether the client wants modification sequences with every change (RFC 7162 3.1).
    pub(crate) condstore: bool,
}
