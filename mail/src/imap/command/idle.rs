//! IDLE (RFC 2177): the connection waits for either side; `DONE` ends it.

use crate::imap::answer::Done;

/// What the client's line means while idle.
pub(crate) fn finish(line: &[u8]) -> Done {
    if line.trim_ascii().eq_ignore_ascii_case(b"DONE") {
        Done::ok("idle is over")
    } else {
        Done::bad("DONE ends IDLE, nothing else")
    }
}
