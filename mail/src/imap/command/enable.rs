//! ENABLE (RFC 5161).

use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// Most extensions named at once.
const NAMES_MAX: usize = 50;

/// The extensions to enable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enable {
    pub(crate) names: Vec<String>,
}

impl Enable {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut names = Vec::new();
        while cursor.eat(" ") {
            names.push(cursor.atom()?.to_ascii_uppercase());
        }
        if names.is_empty() || names.len() > NAMES_MAX {
            Err(SyntaxError("no extensions, or too many"))
        } else {
            Ok(Self { names })
        }
    }
}

/// Enables the known extensions and lists them; unknown ones are ignored (RFC 5161 3.1).
pub(crate) fn run(cx: &mut Context, enable: &Enable) {
    let condstore = enable.names.iter().any(|name| name == "CONDSTORE");
    cx.condstore |= condstore;
    cx.out.line(if condstore { "* ENABLED CONDSTORE" } else { "* ENABLED" });
}
