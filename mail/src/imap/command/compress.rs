//! COMPRESS (RFC 4978), with the only mechanism DEFLATE.

use crate::imap::completion::Completion;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::link::Link;

/// Parses the mechanism.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    cursor.space()?;
    match cursor.atom()?.eq_ignore_ascii_case("DEFLATE") {
        true => Ok(()),
        false => Err(SyntaxError("unknown mechanism")),
    }
}

/// Refuses a second layer (RFC 4978 3).
pub(crate) fn refusal(link: &Link) -> Option<Completion> {
    link.is_compressed
        .then(|| Completion::no("the connection is compressed").code("COMPRESSIONACTIVE"))
}
