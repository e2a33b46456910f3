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

    /// True if CONDSTORE is among them.
    pub(crate) fn names_condstore(&self) -> bool {
        self.names.iter().any(|name| name == "CONDSTORE")
    }
}

/// Lists the extensions that were enabled; unknown ones are ignored (RFC 5161 3.1).
pub(crate) fn run(cx: &mut Context, enable: &Enable) {
    cx.out.line(if enable.names_condstore() { "* ENABLED CONDSTORE" } else { "* ENABLED" });
}
