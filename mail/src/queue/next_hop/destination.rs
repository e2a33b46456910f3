//! Where a next hop is, and what it must prove before it gets a message.

use std::net::SocketAddr;

use freehold_core::blocking::try_blocking;
use freehold_core::mta_sts::Mode;
use freehold_core::smarthost::{self, Smarthost};

use super::mail_servers::{self, Server};
use crate::mta_sts;
use crate::queue::result::AttemptResult;
use crate::queue::route::NextHop;
use crate::state::MailState;

/// The connection to a next hop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// `host:port`; certificates are for this name.
    pub(super) server: String,
    /// The address to connect to, if DNS was asked already.
    pub(super) address: Option<SocketAddr>,
    pub(super) encryption: Encryption,
    pub(super) login: Option<Login>,
    /// The domain whose policy (MTA-STS, RFC 8461) demands the encryption.
    pub(super) policy_of: Option<String>,
}

/// When the connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encryption {
    /// If the server offers STARTTLS; its certificate is not verified (RFC 7435).
    IfOffered,
    /// After STARTTLS, which the server must offer, with a certificate for its name.
    AfterStartTls,
    /// From the first byte, with a certificate for its name (RFC 8314 3.3).
    FromFirstByte,
}

/// A login (RFC 4954).
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({:?})", self.user)
    }
}

impl Destination {
    /// The connections to `hop`, in the order in which they are tried; never none.
    pub(super) async fn of(state: &MailState, hop: &NextHop) -> Result<Vec<Self>, AttemptResult> {
        match hop {
            NextHop::Configured(server) => Ok(vec![Self::opportunistic(server.clone(), None)]),
            NextHop::Direct(domain) => {
                let unanswered = || "451 4.4.3 there is no DNS resolver".to_owned();
                let dns = state.dns.get();
                let dns = dns.ok_or_else(|| AttemptResult::Deferred(unanswered()))?;
                let (own, random) = (state.hostname().await, &state.node.random);
                let policy = mta_sts::policy(state, dns, domain).await?;
                let enforced = policy.filter(|policy| policy.mode == Mode::Enforce);
                let servers =
                    mail_servers::find(dns, domain, enforced.as_ref(), &own, random).await?;
                let opened = servers.into_iter().map(|Server { name, address }| match enforced {
                    Some(_) => Self::verified(name, address, domain),
                    None => Self::opportunistic(name, Some(address)),
                });
                Ok(opened.collect())
            }
            NextHop::Smarthost => {
                let node = state.node.clone();
                let smarthost = try_blocking(move || smarthost::get(&node)).await?;
                let removed =
                    || AttemptResult::Deferred("451 4.4.0 the smarthost was removed".to_owned());
                let to = smarthost.as_ref().map(Self::smarthost).ok_or_else(removed)?;
                Ok(vec![to])
            }
        }
    }

    fn opportunistic(server: String, address: Option<SocketAddr>) -> Self {
        let encryption = Encryption::IfOffered;
        Self { server, address, encryption, login: None, policy_of: None }
    }

    /// A server of `domain`, which demands verified TLS (RFC 8461 5).
    fn verified(server: String, address: SocketAddr, domain: &str) -> Self {
        let encryption = Encryption::AfterStartTls;
        let policy_of = Some(domain.to_owned());
        Self { server, address: Some(address), encryption, login: None, policy_of }
    }

    /// The server as an error names it.
    pub(super) fn shown(&self) -> &str {
        match &self.policy_of {
            Some(_) => self.server.rsplit_once(':').map_or(&self.server, |(host, _)| host),
            None => "the smarthost",
        }
    }

    /// The part of an error that says by whom the encryption is demanded.
    pub(super) fn demand(&self) -> String {
        let demand = |domain| format!(", which the MTA-STS policy of {domain} demands");
        self.policy_of.as_ref().map(demand).unwrap_or_default()
    }

    /// The connection to the smarthost. Only on this machine it may be in the clear.
    pub(crate) fn smarthost(smarthost: &Smarthost) -> Self {
        let encryption = match smarthost.is_this_machine() {
            _ if smarthost.begins_with_tls() => Encryption::FromFirstByte,
            true => Encryption::IfOffered,
            false => Encryption::AfterStartTls,
        };
        let Smarthost { user, password, .. } = smarthost.clone();
        let login = (!user.is_empty()).then_some(Login { user, password });
        Self { server: smarthost.server(), address: None, encryption, login, policy_of: None }
    }
}
