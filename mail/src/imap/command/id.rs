//! ID (RFC 2971): the server's name. What the client says of itself is read and forgotten.

use super::Command;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};

/// Most strings a client may send: thirty fields, each with its value (RFC 2971 3.3).
const STRINGS_MAX: usize = 60;

/// Reads and drops the parameters.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Command, Bad> {
    if cursor.is_done() {
        return Ok(Command::Id);
    }
    cursor.space()?;
    if !cursor.eat("NIL") && cursor.list(Cursor::nstring)?.len() > STRINGS_MAX {
        return Err(Bad("too many fields"));
    }
    Ok(Command::Id)
}

/// Says what this is. The version is nobody's business before a login, and of no use after it.
pub(crate) fn run(cx: &mut Context) {
    cx.out.line("* ID (\"name\" \"Freehold\")");
}
