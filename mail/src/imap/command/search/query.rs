//! The search keys of a command with their charset.

use super::key::Key;
use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};

/// See the module's text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) key: Key,
    /// The charset is neither US-ASCII nor UTF-8: the keys were not parsed.
    pub(crate) is_unknown_charset: bool,
}

impl Query {
    /// Keys in US-ASCII or UTF-8.
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        Ok(Self { key: Key::parse(cursor)?, is_unknown_charset: false })
    }

    /// A charset and the keys in it.
    pub(crate) fn parse_in_charset(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let charset = cursor.astring()?.to_ascii_uppercase();
        cursor.space()?;
        if matches!(charset.as_slice(), b"US-ASCII" | b"UTF-8") {
            return Self::parse(cursor);
        }
        // The response names the supported charsets. The rest may not be UTF-8: it is not parsed.
        cursor.run(|_| true);
        Ok(Self { key: Key::All, is_unknown_charset: true })
    }

    /// The keys.
    ///
    /// # Errors
    /// When the charset is not supported (RFC 3501 6.4.4, BADCHARSET).
    pub(crate) fn key(self) -> Result<Key, Completion> {
        if self.is_unknown_charset {
            return Err(Completion::no("unsupported charset").code("BADCHARSET (US-ASCII UTF-8)"));
        }
        Ok(self.key)
    }
}
