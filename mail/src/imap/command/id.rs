//! ID (RFC 2971): the server's name. The client's fields are parsed and dropped.

use super::Command;
use crate::imap::cursor::{Cursor, SyntaxError};
use freehold_mime::imap::Printer;

/// Most strings a client may send: thirty fields, each with its value (RFC 2971 3.3).
const STRINGS_MAX: usize = 60;

/// Parses and drops the client's fields.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, SyntaxError> {
    if cursor.is_done() {
        return Ok(Command::Id);
    }
    cursor.space()?;
    if !cursor.eat("NIL") && cursor.list(Cursor::nstring)?.len() > STRINGS_MAX {
        return Err(SyntaxError("too many fields"));
    }
    Ok(Command::Id)
}

/// Prints the server's name. The version is left out: ID is allowed before login, and a version
/// tells an attacker which flaws to try.
pub(crate) fn print(out: &mut Printer) {
    out.line("* ID (\"name\" \"Freehold\")");
}
