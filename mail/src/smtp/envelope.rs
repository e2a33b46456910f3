//! The envelope of one message: who sends it to whom, and what they asked for (RFC 5321 2.3.1, RFC
//! 3461, RFC 6152, RFC 6531).

use super::address::Mailbox;

/// How the client introduced itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name it gave: a claim, nothing more.
    pub name: String,
    /// EHLO rather than HELO.
    pub extended: bool,
}

/// What stands in MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// The reverse path; `None` is the null sender `<>`, to whom nothing is ever reported.
    pub mailbox: Option<Mailbox>,
    /// The declared size in bytes (RFC 1870).
    pub size: Option<u64>,
    /// BODY=8BITMIME (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 (RFC 6531).
    pub international: bool,
    /// RET: only the headers come back with a report (RFC 3461 4.3).
    pub return_headers_only: bool,
    /// ENVID, decoded: the sender's name for this envelope (RFC 3461 4.4).
    pub envelope_id: Option<String>,
}

/// When a recipient's sender wants to hear of it (RFC 3461 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notify {
    /// When it was delivered.
    pub success: bool,
    /// When it could not be delivered.
    pub failure: bool,
    /// When it takes long.
    pub delay: bool,
}

impl Default for Notify {
    fn default() -> Self {
        Self { success: false, failure: true, delay: true }
    }
}

/// What stands in RCPT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The address; `None` is the bare `<Postmaster>` (RFC 5321 4.5.1).
    pub mailbox: Option<Mailbox>,
    /// When to report.
    pub notify: Notify,
    /// ORCPT as given, `type;address` still encoded (RFC 3461 4.2).
    pub original: Option<String>,
}

/// The envelope of the message being given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// How the client introduced itself.
    pub hello: Hello,
    /// Who logged in, by the name given.
    pub login: Option<String>,
    /// Who sends it.
    pub sender: Sender,
    /// To whom, those accepted.
    pub recipients: Vec<Recipient>,
}
