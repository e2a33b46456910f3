//! The state that every mail session and the queue share.

use std::sync::Arc;

use freehold_core::blocking::try_blocking;
use freehold_core::log_budget::LogBudget;
use freehold_core::node::Node;
use freehold_core::profile;
use freehold_listen::{Acceptor, Admission, ConnectionLimiter, Drain, LimitNames, TlsConfig};

use crate::MailConfig;
use crate::authentication::Undecided;
use crate::dns::LazyDns;
use crate::mta_sts::FailedFetches;
use crate::smtp::guesses::Guesses;

/// The node, the mail configuration, TLS and the running tasks. Cheap to clone.
#[derive(Clone)]
pub struct MailState {
    /// The node whose owner's mail is served.
    pub node: Node,
    /// The `[mail]` section.
    pub config: Arc<MailConfig>,
    /// The certificate and key for STARTTLS and implicit TLS.
    pub tls: TlsConfig,
    /// Every running task, and the signal to stop: a session between two messages or commands then
    /// sends 421 or BYE; one in the middle of a message continues for a while, then sends 421.
    pub drain: Drain,
    /// The resolvers.
    pub(crate) dns: LazyDns,
    /// The budget for log lines about refused recipients.
    pub(crate) refusals: LogBudget,
    /// The unknown recipients of each network.
    pub(crate) guesses: Guesses,
    /// The messages that are to be tried again because DNS did not answer.
    pub(crate) undecided: Undecided,
    /// The MTA-STS policies that could not be fetched lately.
    pub(crate) failed_fetches: FailedFetches,
}

impl MailState {
    /// The state of a running mail server for `node`.
    pub fn new(node: Node, config: MailConfig, tls: impl Into<TlsConfig>) -> Self {
        let dns = LazyDns::new(&config.dns_servers);
        Self {
            node,
            config: Arc::new(config),
            tls: tls.into(),
            drain: Drain::new(),
            dns,
            refusals: LogBudget::default(),
            guesses: Guesses::default(),
            undecided: Undecided::default(),
            failed_fetches: FailedFetches::default(),
        }
    }

    /// The name this node uses in greetings, EHLO and trace headers.
    pub async fn hostname(&self) -> String {
        if !self.config.hostname.is_empty() {
            return self.config.hostname.clone();
        }
        let node = self.node.clone();
        match try_blocking(move || profile::get(&node)).await {
            Ok(Some(profile)) => profile.domain,
            _ => "localhost".to_owned(),
        }
    }

    /// Runs `work` until it ends or the stop timeout has passed.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.drain.spawn(work);
    }

    /// A limiter that measures time by the node's clock.
    pub(crate) fn limiter(&self, total_max: usize, per_net_max: usize) -> ConnectionLimiter {
        ConnectionLimiter::new(total_max, per_net_max, self.node.clock.clone())
    }
}

/// The settings of SMTP's limits.
pub(crate) const SMTP_LIMITS: LimitNames = LimitNames {
    total: "mail.smtp_connections_max",
    per_net: "mail.smtp_connections_per_address_max",
};
/// The settings of IMAP's limits.
pub(crate) const IMAP_LIMITS: LimitNames = LimitNames {
    total: "mail.imap_connections_max",
    per_net: "mail.imap_connections_per_address_max",
};

/// The rules for accepting connections on a mail port. A client over the limits receives
/// `refusal`, which is empty on a port that begins with TLS: the client could not read it.
pub(crate) fn acceptor(
    config: &MailConfig,
    limiter: ConnectionLimiter,
    names: LimitNames,
    refusal: &'static [u8],
) -> Acceptor {
    Acceptor::new(limiter, Admission::KeepOldest)
        .proxies(&config.proxy_protocol_from)
        .limits_named(names)
        .refusal(refusal)
}
