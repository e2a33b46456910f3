//! NAMESPACE (RFC 2342): one personal namespace, with `/` as the hierarchy delimiter.

use freehold_mime::imap::Printer;

/// Prints the namespaces.
pub(crate) fn print(out: &mut Printer) {
    out.line("* NAMESPACE ((\"\" \"/\")) NIL NIL");
}
