//! Where a next hop is, and what it must prove before it gets a message.

use freehold_core::blocking::try_blocking;
use freehold_core::smarthost::{self, Smarthost};

use crate::queue::result::AttemptResult;
use crate::queue::route::NextHop;
use crate::state::MailState;

/// The connection to a next hop.
#[derive(Clone, Debug)]
pub(crate) struct Destination {
    /// `host:port`.
    pub(super) server: String,
    pub(super) encryption: Encryption,
    pub(super) login: Option<Login>,
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
#[derive(Clone)]
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
    /// The connection to `hop`.
    pub(super) async fn of(state: &MailState, hop: &NextHop) -> Result<Self, AttemptResult> {
        match hop {
            NextHop::Configured(server) => {
                Ok(Self { server: server.clone(), encryption: Encryption::IfOffered, login: None })
            }
            NextHop::Smarthost => {
                let node = state.node.clone();
                let smarthost = try_blocking(move || smarthost::get(&node)).await?;
                let removed =
                    || AttemptResult::Deferred("451 4.4.0 the smarthost was removed".to_owned());
                smarthost.as_ref().map(Self::smarthost).ok_or_else(removed)
            }
        }
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
        Self { server: smarthost.server(), encryption, login }
    }
}
