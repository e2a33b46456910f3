//! The limits of an app password: the protocols it is for, and the time until which it is valid.

use std::fmt;
use std::str::FromStr;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::logins::Protocol;

/// The protocols that an app password is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AppScope {
    /// IMAP and submission.
    #[default]
    #[n(0)]
    Both,
    /// IMAP alone, with changes to the mailbox.
    #[n(1)]
    Read,
    /// Submission alone.
    #[n(2)]
    Send,
}

/// A text that is no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the scope of an app password is read, send or both")]
pub struct NotAScope;

impl AppScope {
    /// Whether an app password with this scope opens sessions of `protocol`.
    pub fn covers(self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Imap => self != Self::Send,
            Protocol::Smtp => self != Self::Read,
            Protocol::Web => false,
        }
    }

    /// Its name: `both`, `read` or `send`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Read => "read",
            Self::Send => "send",
        }
    }
}

impl fmt::Display for AppScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AppScope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Self, NotAScope> {
        [Self::Both, Self::Read, Self::Send]
            .into_iter()
            .find(|scope| scope.name() == text)
            .ok_or(NotAScope)
    }
}

/// The limits of an app password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppLimits {
    /// The protocols it is for.
    pub scope: AppScope,
    /// The time from which it is no longer valid.
    pub expires: Option<Timestamp>,
}

impl AppLimits {
    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}
