//! The search keys of a command with their charset.

use super::key::Key;
use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};

/// See the module's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) key: Key,
    /// Why the keys were not parsed.
    refusal: Option<Refusal>,
}

/// Why keys that RFC 3501 allows are refused. The command gets NO, and a search with SAVE then
/// empties `$` (RFC 5182 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// The charset is neither US-ASCII nor UTF-8.
    Charset,
    /// The keys are over a limit.
    Limit(&'static str),
}

impl Query {
    /// Keys in US-ASCII or UTF-8.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        match Key::parse(cursor) {
            Ok(key) => Ok(Self { key, refusal: None }),
            Err(SyntaxError(text)) if cursor.is_over_limit() => {
                Ok(Self::refused(cursor, Refusal::Limit(text)))
            }
            Err(error) => Err(error),
        }
    }

    /// True if the keys were not parsed.
    #[cfg(test)]
    pub(crate) fn is_refused(&self) -> bool {
        self.refusal.is_some()
    }

    /// Drops the rest of the command.
    fn refused(cursor: &mut Cursor<'_>, refusal: Refusal) -> Self {
        cursor.run(|_| true);
        Self { key: Key::All, refusal: Some(refusal) }
    }

    /// A charset and the keys in it.
    pub(crate) fn parse_in_charset(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let charset = match cursor.peek() {
            Some(b'"' | b'{') => cursor.string()?,
            _ => cursor.atom()?.into_bytes(),
        };
        let charset = charset.to_ascii_uppercase();
        cursor.space()?;
        if matches!(charset.as_slice(), b"US-ASCII" | b"UTF-8") {
            return Self::parse(cursor);
        }
        // The response names the supported charsets. The rest may not be UTF-8: it is not parsed.
        Ok(Self::refused(cursor, Refusal::Charset))
    }

    /// The keys.
    ///
    /// # Errors
    /// When the charset is not supported (RFC 3501 6.4.4, BADCHARSET), or the keys are over a
    /// limit.
    pub(crate) fn key(self) -> Result<Key, Completion> {
        match self.refusal {
            None => Ok(self.key),
            Some(Refusal::Charset) => {
                Err(Completion::no("unsupported charset").code("BADCHARSET (US-ASCII UTF-8)"))
            }
            Some(Refusal::Limit(text)) => Err(Completion::no(text).code("LIMIT")),
        }
    }
}
