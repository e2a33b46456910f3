//! Object ids (OBJECTID, RFC 8474): a letter for the kind of object, then the id that the store has
//! for it. The letter keeps the kinds apart and the id from beginning with a digit (RFC 8474 4).

use std::fmt::{Display, Formatter, Result};

use freehold_core::mailbox::{FolderId, MessageId, ThreadId};

use super::cursor::{Cursor, SyntaxError};

/// Longest object id (RFC 8474 7).
const LEN_MAX: usize = 255;

/// MAILBOXID: stable over RENAME, never reused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MailboxId(pub(crate) FolderId);

/// EMAILID: COPY and MOVE keep it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EmailId(pub(crate) MessageId);

/// THREADID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadObjectId(pub(crate) ThreadId);

impl Display for MailboxId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "F{}", self.0.0)
    }
}

impl Display for EmailId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "M{}", self.0)
    }
}

impl Display for ThreadObjectId {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "T{}", self.0)
    }
}

/// `objectid`: letters, digits, `_` and `-`.
pub(crate) fn parse(cursor: &mut Cursor<'_>) -> std::result::Result<String, SyntaxError> {
    let id = cursor.run(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    if id.is_empty() || id.len() > LEN_MAX {
        return Err(SyntaxError("not an object id"));
    }
    Ok(String::from_utf8_lossy(id).into_owned())
}

/// The message with this EMAILID; `None` if no message can have it.
pub(crate) fn email(id: &str) -> Option<MessageId> {
    id.strip_prefix('M')?.parse().ok()
}

/// The thread with this THREADID; `None` if no thread can have it.
pub(crate) fn thread(id: &str) -> Option<ThreadId> {
    id.strip_prefix('T')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_ids_round_trip_and_are_valid() {
        let (email_id, thread_id) = (MessageId([0x0a; 16]), ThreadId([0xff; 16]));
        assert_eq!(email(&EmailId(email_id).to_string()), Some(email_id));
        assert_eq!(thread(&ThreadObjectId(thread_id).to_string()), Some(thread_id));
        assert_eq!(email(&ThreadObjectId(thread_id).to_string()), None);
        assert_eq!(email("M0A0a"), None);
        for printed in [
            MailboxId(FolderId(u32::MAX)).to_string(),
            EmailId(email_id).to_string(),
            ThreadObjectId(thread_id).to_string(),
        ] {
            let mut cursor = Cursor::new(printed.as_bytes());
            assert_eq!(parse(&mut cursor).unwrap(), printed);
            assert!(cursor.is_done());
        }
    }

    #[test]
    fn malformed_object_id_is_refused() {
        for text in ["", "\"M1\"", "(M1)", " M1", "*", &"M".repeat(256), "\u{e4}"] {
            assert!(parse(&mut Cursor::new(text.as_bytes())).is_err(), "{text}");
        }
    }
}
