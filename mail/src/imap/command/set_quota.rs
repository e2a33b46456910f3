//! SETQUOTA (RFC 9208 4.1.3), which is always refused: the disk sets the limits. So the capability
//! QUOTASET is not announced (RFC 9208 3.1).

use super::Command;
use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};

/// Parses and drops the quota root and the limits.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, SyntaxError> {
    cursor.space()?;
    cursor.astring()?;
    cursor.space()?;
    cursor.list(|cursor| {
        cursor.atom()?;
        cursor.space()?;
        cursor.number64()
    })?;
    Ok(Command::SetQuota)
}

/// The refusal.
pub(crate) fn refusal() -> Completion {
    Completion::no("the limits are those of the disk").code("NOPERM")
}
