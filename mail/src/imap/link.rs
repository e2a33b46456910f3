//! The properties of a connection that a session depends on.

use crate::sasl::ScramOffer;

/// The protection of the connection against eavesdropping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// TLS.
    Tls,
    /// In the clear, with client and server on one machine.
    Loopback,
    /// In the clear over a network: no password is accepted.
    Cleartext,
}

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    pub(crate) privacy: Privacy,
    /// True if STARTTLS is offered.
    pub(crate) may_start_tls: bool,
    /// The SCRAM mechanisms that are offered.
    pub(crate) scram: ScramOffer,
    /// True after COMPRESS.
    pub(crate) is_compressed: bool,
    /// The largest message that APPEND takes, in bytes.
    pub(crate) message_len_max: u64,
}
