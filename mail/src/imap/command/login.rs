//! LOGIN (RFC 3501 6.2.3).

use crate::imap::cursor::{Cursor, SyntaxError};

/// A user name and a password; neither is ever logged.
#[derive(PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Login")
    }
}

impl Login {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let user = cursor.astring()?;
        cursor.space()?;
        let password = cursor.astring()?;
        let text = |bytes| {
            String::from_utf8(bytes).map_err(|_| SyntaxError("name and password must be UTF-8"))
        };
        Ok(Self { user: text(user)?, password: text(password)? })
    }
}
