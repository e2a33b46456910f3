//! The log lines of refused logins, for the owner and for programs such as fail2ban.
//!
//! A line has the protocol, the client's address and whether the user name is the owner's. It has
//! neither the user name, which may be a password typed into the wrong field, nor the password.

use std::fmt;
use std::net::IpAddr;

use minicbor::{Decode, Encode};

use super::{LoginError, ProgramLoginError};
use crate::node::Node;
use crate::profile;

/// The protocol of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Protocol {
    /// The site.
    #[n(0)]
    Web,
    /// IMAP.
    #[n(1)]
    Imap,
    /// Submission.
    #[n(2)]
    Smtp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Protocol {
    /// The protocol's name in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Imap => "imap",
            Self::Smtp => "smtp",
        }
    }
}

/// Logs a refused login. `user` is the given user name, which the site does not ask for. The lines
/// are bounded: so many in a minute, and one for each time that a network has to wait.
pub fn report_refused_login(
    node: &Node,
    protocol: Protocol,
    from: IpAddr,
    user: Option<&str>,
    error: &LoginError,
) {
    let now = node.clock.now();
    let throttle = match protocol {
        Protocol::Web => &node.logins.browsers,
        Protocol::Imap | Protocol::Smtp => &node.logins.programs,
    };
    if let LoginError::TooOften { .. } = error
        && !throttle.is_first_refusal(from.into())
    {
        return;
    }
    let Some(left_out) = throttle.log.take(now) else { return };
    if left_out > 0 {
        tracing::info!("{left_out} refused logins were not logged: too many in a minute");
    }
    let user = match user.map(|user| profile::is_login_name(node, user)) {
        None => "",
        Some(Ok(true)) => ", user name known",
        Some(Ok(false)) => ", user name unknown",
        Some(Err(_)) => ", user name not checked",
    };
    match error {
        LoginError::Wrong => tracing::info!("login failed: {protocol} from {from}{user}"),
        LoginError::TooOften { retry_after_ms } => {
            let wait = retry_after_ms.div_ceil(1000);
            tracing::info!("login refused: {protocol} from {from}{user}, must wait {wait} s");
        }
        LoginError::Store(_) => {}
    }
}

/// [`report_refused_login`] for a mail program. An app password that is right and not permitted is
/// reported with the reason.
pub fn report_refused_program(
    node: &Node,
    protocol: Protocol,
    from: IpAddr,
    user: &str,
    error: &ProgramLoginError,
) {
    let reason = match error {
        ProgramLoginError::Refused(error) => {
            return report_refused_login(node, protocol, from, Some(user), error);
        }
        ProgramLoginError::Expired => "its app password has expired",
        ProgramLoginError::OutOfScope(_) => "its app password is not for this protocol",
    };
    let Some(left_out) = node.logins.programs.log.take(node.clock.now()) else { return };
    if left_out > 0 {
        tracing::info!("{left_out} refused logins were not logged: too many in a minute");
    }
    tracing::info!("login refused: {protocol} from {from}, {reason}");
}
