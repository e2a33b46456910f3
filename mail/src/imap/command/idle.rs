//! IDLE (RFC 2177): changes are reported as they happen, until the client sends `DONE`.

use crate::imap::completion::Completion;

/// The completion for the client's line during IDLE.
pub(crate) fn finish(line: &[u8]) -> Completion {
    if line.trim_ascii().eq_ignore_ascii_case(b"DONE") {
        Completion::ok("idle ended")
    } else {
        Completion::bad("only DONE ends IDLE")
    }
}
