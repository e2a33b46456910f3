//! The ports for mail clients. The process opens them and reports them here; the site shows them to
//! the owner, and mail programs ask for them (`settings`).

mod settings;

use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mta_sts::Mode;
use freehold_core::profile::Profile;

pub(crate) use settings::routes;

/// The host and the ports that a mail client is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailEndpoints {
    /// The host name of the mail server, if the configuration sets one; else the owner's domain.
    pub host: Option<String>,
    /// The port of IMAP with implicit TLS (RFC 8314 3.2).
    pub imaps: u16,
    /// The port of submission with implicit TLS (RFC 8314 3.3).
    pub smtps: u16,
    /// True if both listen on the loopback interface only.
    pub is_loopback_only: bool,
    /// The longest message that is taken from mail clients, in bytes.
    pub message_len_max: u64,
    /// A file of certificates (PEM) that a server's may be signed by, besides those of public
    /// authorities; empty for none.
    pub trusted_roots: String,
    /// The domains to which the node can send, besides the owner's.
    pub domains: Vec<String>,
    /// The caps on what the owner sends in a day.
    pub limits: SendLimits,
    /// How long a message of the form waits, so that it can be taken back, in milliseconds.
    pub undo_ms: u64,
    /// The mode of the domain's MTA-STS policy.
    pub mta_sts: Mode,
}

impl MailEndpoints {
    /// The host name for a mail client.
    pub(crate) fn host(&self, owner: &Profile) -> String {
        if self.is_loopback_only {
            return "localhost".to_owned();
        }
        self.host.clone().unwrap_or_else(|| owner.domain.clone())
    }
}
