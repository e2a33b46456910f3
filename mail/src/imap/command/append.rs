//! APPEND (RFC 3501 6.3.11; MULTIAPPEND, RFC 3502; APPENDUID, RFC 4315 3; APPENDLIMIT, RFC 7889).
//! Each message is spooled into a blob while it is received; one commit stores them all.
//!
//! A message with NUL is refused: no literal may contain one (RFC 3501 4.3.1), and one in a
//! literal8 could be fetched unchanged only with BINARY (RFC 3516), which is not offered.

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Delivery, Flags, FolderId, IdempotencyKey};
use freehold_core::node::Node;

use super::replace::{self, Replaced};
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::flags;
use crate::imap::framer::Literal;
use crate::imap::selected::Selected;
use crate::imap::sequence::{self, Numbering};
use crate::spool::{Spool, SpoolFile};
use freehold_mime::imap::Printer;

/// The command in front of its first message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) tag: String,
    /// The message that REPLACE replaces.
    pub(crate) replaced: Option<replace::Named>,
    pub(crate) name: String,
    pub(crate) message: MessageHead,
}

/// The arguments in front of each message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MessageHead {
    pub(crate) flags: Vec<String>,
    pub(crate) date: Option<Timestamp>,
}

impl Head {
    /// Parses a command up to the literal that it just announced. `None` when it is neither an
    /// APPEND nor a REPLACE, or the literal is not its message.
    pub(crate) fn parse(text: &[u8]) -> Option<Result<Self, Completion>> {
        let mut cursor = Cursor::new(text);
        let tag = cursor.tag().ok()?;
        let replaced = if cursor.eat(" APPEND ") {
            None
        } else {
            let by = if cursor.eat(" UID") { Numbering::Uid } else { Numbering::Sequence };
            if !cursor.eat(" REPLACE ") {
                return None;
            }
            match replace::Named::parse(&mut cursor, by) {
                Ok(named) => Some(named),
                Err(error) => return Some(Err(error.into())),
            }
        };
        // A folder's name may be a literal too: then this fails until that literal is received.
        let name = cursor.mailbox().ok()?;
        let message = match MessageHead::parse_at(&mut cursor) {
            Ok(_) if cursor.has_bad_name() => return Some(Err(Completion::bad_name())),
            Ok(message) => message,
            Err(error) => return Some(Err(error.into())),
        };
        Some(Ok(Self { tag, replaced, name, message }))
    }
}

impl MessageHead {
    /// Parses the text between a message and the literal of the next one (RFC 3502 6.3.11).
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Completion> {
        Ok(Self::parse_at(&mut Cursor::new(text))?)
    }

    fn parse_at(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
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
            return Err(SyntaxError("a message is missing"));
        }
        Ok(Self { flags, date })
    }
}

/// The messages that are being received.
#[derive(Debug)]
pub(crate) struct Append {
    folder: FolderId,
    uid_validity: u32,
    /// The message that the new one replaces.
    replaced: Option<Replaced>,
    /// The longest message, in bytes.
    message_len_max: u64,
    /// The messages that are complete.
    complete: Vec<Delivery>,
    incoming: Incoming,
}

/// The message that is being received.
#[derive(Debug)]
struct Incoming {
    spool: Spool,
    flags: Flags,
    date: Option<Timestamp>,
    is_literal8: bool,
    has_nul: bool,
}

impl Append {
    /// Prepares to receive the first message. Blocks.
    pub(crate) fn start(
        cx: &Context,
        selected: Option<&Selected>,
        head: Head,
        literal: Literal,
    ) -> Result<Self, Completion> {
        let message_len_max = cx.shared.message_len_max;
        check_len(literal, message_len_max)?;
        let replaced = head.replaced.map(|named| named.find(selected)).transpose()?;
        let folder =
            mailbox::folder_named(&cx.node, &head.name)?.ok_or_else(Completion::try_create)?;
        let flags = flags::from_wire(&head.message.flags)?;
        let spool = Spool::new(SpoolFile::create(&cx.node.blobs, literal.len)?);
        Ok(Self {
            folder: folder.id,
            uid_validity: folder.uid_validity,
            replaced,
            message_len_max,
            complete: Vec::new(),
            incoming: Incoming::new(spool, flags, head.message.date, literal),
        })
    }

    /// Prepares to receive a further message (RFC 3502 6.3.11).
    pub(crate) async fn next(
        self,
        node: &Node,
        head: MessageHead,
        literal: Literal,
    ) -> Result<Self, Completion> {
        check_len(literal, self.message_len_max)?;
        let flags = flags::from_wire(&head.flags)?;
        if self.replaced.is_some() {
            return Err(Completion::bad("REPLACE takes one message"));
        }
        let Self { folder, mut complete, incoming, .. } = self;
        complete.push(incoming.finish(node, folder).await?);
        if complete.len() >= mailbox::APPENDED_TOGETHER_MAX {
            return Err(Completion::no("too many messages in one command").code("LIMIT"));
        }
        let spool = Spool::create(&node.blobs, literal.len).await?;
        Ok(Self { complete, incoming: Incoming::new(spool, flags, head.date, literal), ..self })
    }

    /// Takes the next piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) {
        self.incoming.has_nul |= piece.contains(&0);
        if !self.incoming.has_nul {
            self.incoming.spool.write(piece).await;
        }
    }

    /// Stores the messages, all or none; they are durable on return.
    pub(crate) async fn finish(self, node: &Node) -> Result<Appended, Completion> {
        let Self { folder, uid_validity, replaced, mut complete, incoming, .. } = self;
        let last = incoming.finish(node, folder).await?;
        let messages = if let Some(Replaced { folder, uid }) = replaced {
            vec![mailbox::replace(node, last, folder, uid).await?]
        } else if complete.is_empty() {
            vec![mailbox::append(node, last).await?]
        } else {
            complete.push(last);
            mailbox::append_all(node, folder, complete).await?
        };
        let uids = messages.iter().map(|message| message.uid).collect();
        Ok(Appended { uid_validity, uids, has_replaced: replaced.is_some() })
    }
}

/// The messages stored by an APPEND or REPLACE.
#[derive(Debug)]
pub(crate) struct Appended {
    uid_validity: u32,
    uids: Vec<u32>,
    has_replaced: bool,
}

impl Appended {
    /// Prints what goes before the other changes, and returns the completion. After a REPLACE the
    /// client knows the new UID before it is sent the EXPUNGE (RFC 8508 3.3).
    pub(crate) fn print(&self, out: &mut Printer) -> Completion {
        let code = format!("APPENDUID {} {}", self.uid_validity, sequence::write(&self.uids));
        if !self.has_replaced {
            return Completion::ok("appended").code(code);
        }
        out.line(format!("* OK [{code}] the new message is stored"));
        Completion::ok("replaced")
    }
}

/// Refuses a message by its length.
fn check_len(literal: Literal, message_len_max: u64) -> Result<(), Completion> {
    match literal.len {
        // RFC 3502 6.3.11: a client ends a command that it does not want to finish so.
        0 => Err(Completion::no("the message is empty")),
        len if len > message_len_max => {
            Err(Completion::no("the message is too large").code("TOOBIG"))
        }
        _ => Ok(()),
    }
}

impl Incoming {
    fn new(spool: Spool, flags: Flags, date: Option<Timestamp>, literal: Literal) -> Self {
        Self { spool, flags, date, is_literal8: literal.binary, has_nul: false }
    }

    /// The message, ready to be stored.
    async fn finish(self, node: &Node, folder: FolderId) -> Result<Delivery, Completion> {
        match (self.has_nul, self.is_literal8) {
            (false, _) => {}
            // RFC 3516 4.4.
            (true, true) => {
                return Err(Completion::no("the message has a NUL").code("UNKNOWN-CTE"));
            }
            (true, false) => return Err(Completion::bad("a literal has a NUL")),
        }
        Ok(Delivery {
            folder,
            blob: self.spool.finish().await?,
            id: IdempotencyKey::new(node),
            internal_date: self.date.unwrap_or_else(|| node.clock.now()),
            flags: self.flags,
        })
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
        let message = &head.message;
        assert_eq!(
            (head.name.as_str(), message.flags.len(), message.date.is_some()),
            ("INBOX", 2, true)
        );
        assert!(Head::parse(b"a APPEND {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND {5}\r\ninbox {3}\r\n").unwrap().is_ok());
        assert!(Head::parse(b"a SEARCH SUBJECT {5}\r\n").is_none());
        assert!(Head::parse(b"a APPEND x (\\Seen {5}\r\n").unwrap().is_err());
        assert!(Head::parse(b"a APPEND x ~{5}\r\n").unwrap().is_ok());
        assert!(Head::parse(b"a APPEND x ~~{5}\r\n").unwrap().is_err());
        let head = Head::parse(b"a UID REPLACE 7 x {5}\r\n").unwrap().unwrap();
        assert_eq!(head.replaced.unwrap().by, Numbering::Uid);
        assert!(Head::parse(b"a replace * x (\\Seen) {5}\r\n").unwrap().is_ok());
        for text in ["a REPLACE 0 x {5}\r\n", "a REPLACE 1:2 x {5}\r\n", "a REPLACE x {5}\r\n"] {
            assert!(Head::parse(text.as_bytes()).unwrap().is_err(), "{text}");
        }
        assert!(Head::parse(b"a UID FETCH 7 x {5}\r\n").is_none());
    }

    #[test]
    fn further_message_head_has_flags_and_date() {
        let head = MessageHead::parse(b" (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n").unwrap();
        assert_eq!((head.flags.len(), head.date.is_some()), (1, true));
        assert!(MessageHead::parse(b" ~{5+}\r\n").is_ok());
        for text in ["", "{5}\r\n", "  {5}\r\n", " (\\Seen){5}\r\n", " x {5}\r\n", " (\\Seen) "] {
            assert!(MessageHead::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
