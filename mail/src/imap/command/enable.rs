//! ENABLE (RFC 5161): CONDSTORE and QRESYNC (RFC 7162), UTF8=ACCEPT (RFC 6855), IMAP4rev2 (RFC
//! 9051).

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::enabled::Enabled;

/// Most extensions named at once.
const NAMES_MAX: usize = 50;

/// The extensions to enable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Enable {
    /// As the client named them, those that are known.
    known: Vec<&'static str>,
    pub(crate) enabled: Enabled,
}

impl Enable {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let (mut known, mut enabled) = (Vec::new(), Enabled::default());
        let mut count = 0usize;
        while cursor.eat(" ") {
            let name = match cursor.atom()?.to_ascii_uppercase().as_str() {
                "CONDSTORE" => "CONDSTORE",
                "QRESYNC" => {
                    enabled.qresync = true;
                    "QRESYNC"
                }
                "IMAP4REV2" => {
                    enabled.rev2 = true;
                    "IMAP4rev2"
                }
                "UTF8=ACCEPT" => {
                    enabled.utf8 = true;
                    "UTF8=ACCEPT"
                }
                // RFC 5161 3.1: a name that is unknown, or can't be enabled, is ignored.
                _ => "",
            };
            count = count.saturating_add(1);
            if !name.is_empty() && !known.contains(&name) {
                known.push(name);
            }
        }
        // RFC 7162 3.2.3: QRESYNC enables CONDSTORE too.
        enabled.condstore = known.contains(&"CONDSTORE") || enabled.qresync;
        if count == 0 || count > NAMES_MAX {
            Err(SyntaxError("no extensions, or too many"))
        } else {
            Ok(Self { known, enabled })
        }
    }

    /// The refusal while a folder is selected: an extension that changes the form of names and
    /// texts must be enabled before (RFC 5161 3.1, RFC 6855 3). CONDSTORE may be enabled later (RFC
    /// 7162 3.1.2.1).
    pub(crate) fn refusal_in_folder(&self) -> Option<Completion> {
        let changes_texts = self.enabled.takes_utf8();
        changes_texts.then(|| Completion::bad("enable this before a folder is selected"))
    }
}

/// Lists the extensions that were enabled.
pub(crate) fn run(cx: &mut Context, enable: &Enable) {
    cx.enable(enable.enabled);
    cx.out.raw("* ENABLED");
    for name in &enable.known {
        cx.out.raw(" ").raw(name);
    }
    cx.out.end();
}
