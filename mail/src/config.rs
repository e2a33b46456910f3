//! The mail section of the configuration file. Every field has a default that works on a laptop.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How mail is received, sent and read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailConfig {
    /// The name this node greets with and writes into trace headers; empty means the owner's mail
    /// domain.
    pub hostname: String,
    /// The largest message taken, in bytes.
    pub message_len_max: u64,
    /// The most SMTP connections at one time, all clients together.
    pub smtp_connections_max: usize,
    /// The most SMTP connections at one time from one address; clients on this machine are not
    /// counted.
    pub smtp_connections_per_address_max: usize,
    /// The most IMAP connections at one time, all clients together.
    pub imap_connections_max: usize,
    /// The most IMAP connections at one time from one address; clients on this machine are not
    /// counted.
    pub imap_connections_per_address_max: usize,
    /// How long a client of the SMTP port waits for the greeting, in milliseconds; one that speaks
    /// before it is turned away.
    pub greeting_delay_ms: u64,
    /// How long an SMTP client may be silent, in seconds (RFC 5321 4.5.3.2.7 asks for at least
    /// 300).
    pub smtp_idle_timeout_secs: u64,
    /// Where mail for another domain goes, as `"domain" = "host:port"`. A node on a laptop sends
    /// nowhere else.
    pub routes: BTreeMap<String, String>,
    /// The first pause before a message is tried again, in milliseconds; each further pause is
    /// longer, up to an hour.
    pub retry_first_ms: u64,
    /// How long a message is tried before its sender is told that it could not be delivered, in
    /// hours.
    pub retry_hours_max: u64,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            hostname: String::new(),
            message_len_max: 50 * 1024 * 1024,
            smtp_connections_max: 256,
            smtp_connections_per_address_max: 20,
            imap_connections_max: 256,
            imap_connections_per_address_max: 32,
            greeting_delay_ms: 0,
            smtp_idle_timeout_secs: 300,
            routes: BTreeMap::new(),
            retry_first_ms: 1000,
            retry_hours_max: 48,
        }
    }
}
