//! The `[mail]` section of the configuration. Every setting has a default that works on a laptop.

mod check;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mta_sts::Mode;
use freehold_listen::Network;
use serde::{Deserialize, Serialize};

pub use check::MailConfigError;

/// How mail is received, sent and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The name this node greets with and writes into trace headers; empty means the owner's mail
    /// domain.
    pub hostname: String,
    /// The largest message taken, in bytes.
    pub message_len_max: u64,
    /// MiB on the disk that mail from senders to whom the owner never wrote may use per day, all
    /// of them together.
    pub strangers_mib_per_day: u32,
    /// The part of it that one network may use: a /24 of IPv4, a /48 of IPv6.
    pub strangers_mib_per_network_day: u32,
    /// The most SMTP connections at one time, all clients together.
    pub smtp_connections_max: usize,
    /// The most SMTP connections at one time from one address (for IPv6: from one /64). Clients on
    /// this machine are held to the total alone.
    pub smtp_connections_per_address_max: usize,
    /// The most IMAP connections at one time, all clients together.
    pub imap_connections_max: usize,
    /// The most IMAP connections at one time from one address (for IPv6: from one /64). Clients on
    /// this machine are held to the total alone.
    pub imap_connections_per_address_max: usize,
    /// The DNS resolvers that are asked about the senders of mail, each an address with its port;
    /// empty for those of the machine.
    pub dns_servers: Vec<SocketAddr>,
    /// The block lists (DNSBL, RFC 5782) that are asked about the senders of mail, each by its
    /// zone.
    pub block_lists: Vec<String>,
    /// The proxies that pass connections through with a PROXY protocol header (version 2), on every
    /// mail port. From these networks a connection must begin with the header, from elsewhere none
    /// is read.
    pub proxy_protocol_from: Vec<Network>,
    /// How long a client of the SMTP port waits for the greeting, in milliseconds; one that sends
    /// anything before the greeting is refused.
    pub greeting_delay_ms: u64,
    /// How long an SMTP client may be silent, in seconds (RFC 5321 4.5.3.2.7 asks for at least
    /// 300).
    pub smtp_idle_timeout_secs: u64,
    /// Where mail for another domain is sent, as `"domain" = "host:port"`. A node on a laptop sends
    /// to no other domain.
    pub routes: BTreeMap<String, String>,
    /// The most recipients of the owner's mail in a day; a message beyond is held for the owner's
    /// decision.
    pub recipients_per_day: u64,
    /// The same for recipients to whom the owner never wrote before.
    pub new_recipients_per_day: u64,
    /// How long a message written in the browser waits before it is sent, so that it can be taken
    /// back, in seconds.
    pub undo_seconds: u64,
    /// A file of certificates (PEM) that may sign the certificate of a server that must prove its
    /// name (a smarthost, the servers of a domain with an MTA-STS policy), besides those of public
    /// authorities; empty for none.
    pub trusted_roots: String,
    /// Whether other servers must reach this node by verified TLS: the mode of the policy that
    /// `mta-sts.` of the owner's domain serves (MTA-STS, RFC 8461).
    pub mta_sts: MtaStsMode,
    /// The servers besides this machine that may send the owner's mail, as mechanisms of the SPF
    /// record such as `include:provider.example` (RFC 7208 5); `freehold dns` adds them.
    pub spf_senders: Vec<String>,
    /// The first pause before a message is tried again, in milliseconds; each further pause is
    /// longer, up to an hour.
    pub retry_first_ms: u64,
    /// How long a message is tried before its sender gets a delivery failure report, in hours.
    pub retry_hours_max: u64,
}

/// The mode of the owner's MTA-STS policy (RFC 8461 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MtaStsMode {
    /// Without verified TLS no mail comes.
    Enforce,
    /// Mail comes in any case; those who send report what would fail.
    Testing,
    /// There is no policy.
    None,
}

impl From<MtaStsMode> for Mode {
    fn from(mode: MtaStsMode) -> Self {
        match mode {
            MtaStsMode::Enforce => Self::Enforce,
            MtaStsMode::Testing => Self::Testing,
            MtaStsMode::None => Self::None,
        }
    }
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            hostname: String::new(),
            message_len_max: 50 * 1024 * 1024,
            strangers_mib_per_day: 1024,
            strangers_mib_per_network_day: 256,
            smtp_connections_max: 256,
            smtp_connections_per_address_max: 20,
            imap_connections_max: 256,
            imap_connections_per_address_max: 32,
            dns_servers: Vec::new(),
            block_lists: Vec::new(),
            proxy_protocol_from: Vec::new(),
            greeting_delay_ms: 0,
            smtp_idle_timeout_secs: 300,
            routes: BTreeMap::new(),
            recipients_per_day: 500,
            new_recipients_per_day: 100,
            undo_seconds: 10,
            trusted_roots: String::new(),
            mta_sts: MtaStsMode::Testing,
            spf_senders: Vec::new(),
            retry_first_ms: 1000,
            retry_hours_max: 48,
        }
    }
}

impl MailConfig {
    /// The caps on what the owner's programs send in a day.
    pub fn send_limits(&self) -> SendLimits {
        SendLimits {
            recipients: self.recipients_per_day,
            new_recipients: self.new_recipients_per_day,
        }
    }
}
