//! APPEND (RFC 3501 6.3.11; APPENDUID, RFC 4315 3; APPENDLIMIT, RFC 7889). The message is spooled
//! into a blob while it is received.
//!
//! A message with NUL is refused: no literal may contain one (RFC 3501 4.3.1), and one in a
//! literal8 could be fetched unchanged only with BINARY (RFC 3516), which is not offered.

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Delivery, Flags, FolderId, IdempotencyKey};
use freehold_core::node::Node;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::flags;
use crate::imap::framer::Literal;
use crate::spool::{Spool, SpoolFile};

/// The command in front of the message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: String,
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
    pub(crate) date: Option<Timestamp>,
}

impl Head {
    /// Parses a command up to the literal that it just announced. `None` when it is not an APPEND,
    /// or the literal is not its message.
    pub(crate) fn parse(text: &[u8]) -> Option<Result<Self, Completion>> {
        let mut cursor = Cursor::new(text);
        let tag = cursor.tag().ok()?;
        if !cursor.eat(" APPEND ") {
            return None;
        }
        // A folder's name may be a literal too: then this fails until that literal is received.
        let name = cursor.mailbox().ok()?;
        Some(Self::parse_rest(cursor, tag, name))
    }

    fn parse_rest(mut cursor: Cursor<'_>, tag: String, name: String) -> Result<Self, Completion> {
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
        // `~{n}` is a literal8 (RFC 3516 6).
        cursor.eat("~");
        if cursor.peek() != Some(b'{') {
            return Err(SyntaxError("a message is missing").into());
        }
        if cursor.has_bad_name() {
            return Err(Completion::bad_name());
        }
        Ok(Self { tag, name, flags, date })
    }
}

/// A message that is being received.
#[derive(Debug)]
pub(crate) struct Append {
    spool: Spool,
    folder: FolderId,
    uid_validity: u32,
    flags: Flags,
    date: Option<Timestamp>,
    is_literal8: bool,
    has_nul: bool,
}

impl Append {
    /// Prepares to receive a message. Blocks.
    pub(crate) fn start(cx: &Context, head: Head, literal: Literal) -> Result<Self, Completion> {
        if literal.len > cx.shared.message_len_max {
            return Err(Completion::no("the message is too large").code("TOOBIG"));
        }
        if literal.len == 0 {
            return Err(Completion::no("the message is empty"));
        }
        let folder =
            mailbox::folder_named(&cx.node, &head.name)?.ok_or_else(Completion::try_create)?;
        let flags = flags::from_wire(&head.flags)?;
        Ok(Self {
            spool: Spool::new(SpoolFile::create(&cx.node.blobs, literal.len)?),
            folder: folder.id,
            uid_validity: folder.uid_validity,
            flags,
            date: head.date,
            is_literal8: literal.binary,
            has_nul: false,
        })
    }

    /// Takes the next piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) {
        self.has_nul |= piece.contains(&0);
        if !self.has_nul {
            self.spool.write(piece).await;
        }
    }

    /// Stores the message; it is durable on return.
    pub(crate) async fn finish(self, node: &Node) -> Result<Completion, Completion> {
        let Self { spool, folder, uid_validity, flags, date, is_literal8, has_nul } = self;
        match (has_nul, is_literal8) {
            (false, _) => {}
            // RFC 3516 4.4.
            (true, true) => {
                return Err(Completion::no("the message has a NUL").code("UNKNOWN-CTE"));
            }
            (true, false) => return Err(Completion::bad("a literal has a NUL")),
        }
        let delivery = Delivery {
            folder,
            blob: spool.finish().await?,
            id: IdempotencyKey::new(node),
            internal_date: date.unwrap_or_else(|| node.clock.now()),
            flags,
        };
        let message = mailbox::append(node, delivery).await?;
        Ok(Completion::ok("appended").code(format!("APPENDUID {uid_validity} {}", message.uid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_head_is_parsed_at_its_message_literal() {
        let head =
            Head::parse(b"a APPEND \"INBOX\" (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {10+}\r\n")
                .unwrap()
                .unwrap();
        assert_eq!((head.name.as_str(), head.flags.len(), head.date.is_some()), ("INBOX", 2, true));
        assert!(Head::parse(b"a APPEND {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND {5}\r\ninbox {3}\r\n").unwrap().is_ok());
        assert!(Head::parse(b"a SEARCH SUBJECT {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND x (\\Seen {5}\r\n").unwrap().is_err());
        assert!(Head::parse(b"a APPEND x ~{5}\r\n").unwrap().is_ok());
        assert!(Head::parse(b"a APPEND x ~~{5}\r\n").unwrap().is_err());
    }
}
