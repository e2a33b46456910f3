//! Random secrets handed out once; the store keeps their hashes.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::random::Random;

/// Text that is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct NotAToken;

/// A random secret of `N` bytes; shown as base64url, never in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Token<const N: usize>([u8; N]);

/// What a logged-in browser holds in its cookie.
pub type SessionToken = Token<32>;
/// What the one-time set-up link carries.
pub type SetupToken = Token<16>;

impl<const N: usize> Token<N> {
    pub(crate) fn made(random: &Random) -> Self {
        Self(random.array())
    }

    /// What the store keeps of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        *blake3::hash(&self.0).as_bytes()
    }
}

impl<const N: usize> fmt::Display for Token<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl<const N: usize> fmt::Debug for Token<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<const N: usize> FromStr for Token<N> {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| NotAToken)?;
        bytes.try_into().map(Self).map_err(|_| NotAToken)
    }
}
