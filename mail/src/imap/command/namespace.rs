//! NAMESPACE (RFC 2342): one person, one space, levels parted by `/`.

use crate::imap::context::Context;

/// Prints it.
pub(crate) fn run(cx: &mut Context) {
    cx.out.line("* NAMESPACE ((\"\" \"/\")) NIL NIL");
}
