//! Random tokens, handed out once; the store has their hashes.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::random::Random;

/// A text is not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token")]
pub struct NotAToken;

/// A random secret of `N` bytes; displayed as base64url, never in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Token<const N: usize>([u8; N]);

/// The token in the cookie of a logged-in browser.
pub type SessionToken = Token<32>;
/// The token in the one-time set-up link.
pub type SetupToken = Token<16>;

impl<const N: usize> Token<N> {
    pub(crate) fn generate(random: &Random) -> Self {
        Self(random.array())
    }

    pub(crate) fn of(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; N] {
        &self.0
    }

    /// The hash in the store.
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
