//! The envelope of one message: sender, recipients, and their parameters (RFC 5321 2.3.1, RFC 3461,
//! RFC 6152, RFC 6531).

use freehold_core::mailbox::queue::Notify;

use super::address::Mailbox;

/// The arguments of EHLO or HELO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The client's name; unverified.
    pub name: String,
    /// True for EHLO.
    pub extended: bool,
}

/// The arguments of MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The reverse path; `None` is the null sender `<>`, which never receives a report.
    pub mailbox: Option<Mailbox>,
    /// The declared size in bytes (RFC 1870).
    pub size: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub international: bool,
    /// RET=FULL: a failure report has the whole message (RFC 3461 4.3).
    pub return_full: bool,
    /// ENVID, decoded: the sender's identifier of this envelope (RFC 3461 4.4).
    pub envelope_id: Option<String>,
}

/// The arguments of RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address; `None` is the bare `<Postmaster>` (RFC 5321 4.5.1).
    pub mailbox: Option<Mailbox>,
    /// The reports that the sender wants, if the sender said so (RFC 3461 4.1).
    pub notify: Option<Notify>,
    /// ORCPT as given, `type;address` still encoded (RFC 3461 4.2).
    pub original: Option<String>,
}

/// The envelope of a message that is being received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The client's EHLO or HELO.
    pub hello: Hello,
    /// The login name, if the client logged in.
    pub login: Option<String>,
    /// The sender.
    pub sender: Sender,
    /// The accepted recipients.
    pub recipients: Vec<Recipient>,
}
