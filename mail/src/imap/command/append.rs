//! APPEND (RFC 3501 6.3.11; APPENDUID, RFC 4315 3; APPENDLIMIT, RFC 7889). The message goes from
//! the socket into a blob as it comes.

use freehold_core::blobs::{AtRest, BlobWriter};
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Delivery, FolderId, IdempotencyKey};
use freehold_core::store::StoreError;

use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::flags;
use crate::imap::framer::Announced;

/// A message up to this long travels with its row's commit; a longer one is written to the disk on
/// a thread that may wait.
const FINISH_IN_PLACE_LEN_MAX: u64 = 128 * 1024;

/// What stands before the message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: String,
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
    pub(crate) date: Option<Timestamp>,
}

impl Head {
    /// Reads a command up to the literal it just announced. `None` when it is no APPEND, or the
    /// literal is not its message.
    pub(crate) fn parse(text: &[u8]) -> Option<Result<Self, Bad>> {
        let mut cursor = Cursor::new(text);
        let tag = cursor.tag().ok()?;
        if !cursor.eat(" APPEND ") {
            return None;
        }
        // A folder's name may be a literal as well: it is there only when it has been received.
        let name = cursor.mailbox().ok()?;
        Some(Self::parse_rest(cursor, tag, name))
    }

    fn parse_rest(mut cursor: Cursor<'_>, tag: String, name: String) -> Result<Self, Bad> {
        cursor.space()?;
        let mut flags = Vec::new();
        if cursor.peek() == Some(b'(') {
            flags = cursor.list(Cursor::flag)?;
            cursor.space()?;
        }
        let mut date = None;
        if cursor.peek() == Some(b'"') {
            date = Some(cursor.moment()?);
            cursor.space()?;
        }
        if cursor.peek() == Some(b'{') {
            Ok(Self { tag, name, flags, date })
        } else {
            Err(Bad("a message is missing"))
        }
    }
}

/// A message on its way in.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) tag: String,
    into: Result<Target, Done>,
}

#[derive(Debug)]
struct Target {
    writer: BlobWriter,
    len: u64,
    folder: FolderId,
    uid_validity: u32,
    flags: freehold_core::mailbox::Flags,
    date: Option<Timestamp>,
}

impl Append {
    /// Prepares to take a message. Where that is refused, a message that comes in any case is
    /// received and dropped.
    pub(crate) fn start(cx: &Context, head: Head, literal: Announced) -> Self {
        let into = target(cx, &head, literal);
        Self { tag: head.tag, into }
    }

    /// The refusal, for a client that waits to hear.
    pub(crate) fn refused(&self) -> Option<Done> {
        self.into.as_ref().err().cloned()
    }

    /// Takes the next piece.
    pub(crate) fn write(&mut self, piece: &[u8]) {
        if let Ok(target) = &mut self.into
            && let Err(error) = target.writer.write(piece)
        {
            self.into = Err(error.into());
        }
    }

    /// Keeps the message.
    pub(crate) async fn finish(self, cx: &mut Context) -> Result<Done, Done> {
        let Target { writer, len, folder, uid_validity, flags, date } = self.into?;
        let blob = if len <= FINISH_IN_PLACE_LEN_MAX {
            writer.finish()?
        } else {
            // Making it durable takes the disk a while.
            let finished = tokio::task::spawn_blocking(move || writer.finish()).await;
            finished.map_err(|error| Done::from(StoreError::Unavailable(error.to_string())))??
        };
        let internal_date = date.unwrap_or_else(|| cx.node.clock.now());
        let id = IdempotencyKey::new(&cx.node);
        let message =
            mailbox::deliver(&cx.node, Delivery { folder, blob, id, internal_date, flags }).await?;
        Ok(Done::ok("appended").code(format!("APPENDUID {uid_validity} {}", message.uid)))
    }
}

fn target(cx: &Context, head: &Head, literal: Announced) -> Result<Target, Done> {
    if literal.len > cx.shared.message_len_max {
        return Err(Done::no("the message is too large").code("TOOBIG"));
    }
    if literal.len == 0 {
        return Err(Done::no("an empty message is no message"));
    }
    let folder = mailbox::folder_named(&cx.node, &head.name)?.ok_or_else(Done::try_create)?;
    let flags = flags::from_wire(&head.flags)?;
    let writer = cx.node.blobs.writer(AtRest::Sealed, literal.len)?;
    Ok(Target {
        writer,
        len: literal.len,
        folder: folder.id,
        uid_validity: folder.uid_validity,
        flags,
        date: head.date,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_is_read_at_its_own_literal() {
        let head =
            Head::parse(b"a APPEND \"INBOX\" (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {10+}\r\n")
                .unwrap()
                .unwrap();
        assert_eq!((head.name.as_str(), head.flags.len(), head.date.is_some()), ("INBOX", 2, true));
        assert!(Head::parse(b"a APPEND {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND {5}\r\ninbox {3}\r\n").unwrap().is_ok());
        assert!(Head::parse(b"a SEARCH SUBJECT {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND x (\\Seen {5}\r\n").unwrap().is_err());
    }
}
