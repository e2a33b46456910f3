//! ENABLE (RFC 5161).

use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};

/// Most extensions named at once.
const NAMES_MAX: usize = 50;

/// Extensions the client wants on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enable {
    pub(crate) names: Vec<String>,
}

impl Enable {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let mut names = Vec::new();
        while cursor.eat(" ") {
            names.push(cursor.atom()?.to_ascii_uppercase());
        }
        if names.is_empty() || names.len() > NAMES_MAX {
            Err(Bad("nothing to enable, or too much"))
        } else {
            Ok(Self { names })
        }
    }
}

/// Enables what is known and says so; the rest is passed over.
pub(crate) fn run(cx: &mut Context, enable: &Enable) {
    let condstore = enable.names.iter().any(|name| name == "CONDSTORE");
    cx.condstore |= condstore;
    cx.out.line(if condstore { "* ENABLED CONDSTORE" } else { "* ENABLED" });
}
