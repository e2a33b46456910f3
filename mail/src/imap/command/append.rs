//! APPEND (RFC 3501 6.3.11; MULTIAPPEND, RFC 3502; APPENDUID, RFC 4315 3; APPENDLIMIT, RFC 7889;
//! BINARY, RFC 3516 4.4; UTF8, RFC 6855 4). Each message is spooled into a blob while it is
//! received; one commit stores them all.
//!
//! A NUL is in a literal8 alone (RFC 3501 4.3.1), and there in binary parts alone, which are stored
//! as base64 ([`binary`]).

mod binary;
mod incoming;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{self, Delivery, FolderId};
use freehold_core::node::Node;

use self::incoming::Incoming;
use super::replace::{self, Replaced};
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::enabled::Enabled;
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
    /// True if the message is in `UTF8 (…)` (RFC 6855 4).
    pub(crate) is_utf8: bool,
}

impl Head {
    /// Parses a command up to the literal that it just announced. `None` when it is neither an
    /// APPEND nor a REPLACE, or the literal is not its message.
    pub(crate) fn parse(text: &[u8], enabled: Enabled) -> Option<Result<Self, Completion>> {
        let mut cursor = Cursor::new(text).with(enabled);
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
    /// Parses the text between a message and the literal of the next one (RFC 3502 6.3.11). It
    /// begins with a parenthesis if the message before `is_open`.
    pub(crate) fn parse(text: &[u8], is_open: bool) -> Result<Self, Completion> {
        let mut cursor = Cursor::new(text);
        if is_open {
            cursor.expect(")", "UTF8 is not closed")?;
        }
        // Python's imapclient writes two spaces.
        if text.get(usize::from(is_open)..).is_some_and(|rest| rest.starts_with(b"  ")) {
            cursor.space()?;
        }
        Ok(Self::parse_at(&mut cursor)?)
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
        let is_utf8 = cursor.eat("UTF8 (");
        // `~{n}` is a literal8 (RFC 3516 6).
        if !cursor.eat("~") && is_utf8 {
            return Err(SyntaxError("UTF8 takes a literal8"));
        }
        if cursor.peek() != Some(b'{') {
            return Err(SyntaxError("a message is missing"));
        }
        Ok(Self { flags, date, is_utf8 })
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
    /// The client has enabled UTF-8 in headers.
    takes_utf8: bool,
    /// The messages that are complete.
    complete: Vec<Delivery>,
    incoming: Incoming,
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
        let takes_utf8 = cx.enabled.takes_utf8();
        check_utf8(&head.message, takes_utf8)?;
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
            takes_utf8,
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
        check_utf8(&head, self.takes_utf8)?;
        let flags = flags::from_wire(&head.flags)?;
        if self.replaced.is_some() {
            return Err(Completion::bad("REPLACE takes one message"));
        }
        let Self { folder, mut complete, incoming, message_len_max, .. } = self;
        complete.push(incoming.finish(node, folder, message_len_max).await?);
        if complete.len() >= mailbox::APPENDED_TOGETHER_MAX {
            return Err(Completion::no("too many messages in one command").code("LIMIT"));
        }
        let spool = Spool::create(&node.blobs, literal.len).await?;
        Ok(Self { complete, incoming: Incoming::new(spool, flags, head.date, literal), ..self })
    }

    /// Takes the next piece.
    pub(crate) async fn write(&mut self, piece: &[u8]) {
        self.incoming.write(piece).await;
    }

    /// Stores the messages, all or none; they are durable on return.
    pub(crate) async fn finish(self, node: &Node) -> Result<Appended, Completion> {
        let Self { folder, uid_validity, replaced, mut complete, incoming, .. } = self;
        let last = incoming.finish(node, folder, self.message_len_max).await?;
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

/// Refuses `UTF8 (…)` of a client that has not enabled UTF-8 (RFC 6855 4).
fn check_utf8(head: &MessageHead, takes_utf8: bool) -> Result<(), Completion> {
    match head.is_utf8 && !takes_utf8 {
        true => Err(Completion::no("enable UTF8=ACCEPT first").code("CANNOT")),
        false => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Option<Result<Head, Completion>> {
        Head::parse(text, Enabled::default())
    }

    #[test]
    fn append_head_is_parsed_at_its_message_literal() {
        let head =
            parsed(b"a APPEND \"INBOX\" (\\Seen x) \"17-Jul-1996 02:44:25 -0700\" {10+}\r\n")
                .unwrap()
                .unwrap();
        let message = &head.message;
        assert_eq!(
            (head.name.as_str(), message.flags.len(), message.date.is_some()),
            ("INBOX", 2, true)
        );
        assert!(parsed(b"a APPEND {5}\r\n").is_none());
        assert!(parsed(b"a APPEND {5}\r\ninbox {3}\r\n").unwrap().is_ok());
        assert!(parsed(b"a SEARCH SUBJECT {5}\r\n").is_none());
        assert!(parsed(b"a APPEND x (\\Seen {5}\r\n").unwrap().is_err());
        assert!(parsed(b"a APPEND x ~{5}\r\n").unwrap().is_ok());
        assert!(parsed(b"a APPEND x ~~{5}\r\n").unwrap().is_err());
        let head = parsed(b"a UID REPLACE 7 x {5}\r\n").unwrap().unwrap();
        assert_eq!(head.replaced.unwrap().by, Numbering::Uid);
        assert!(parsed(b"a replace * x (\\Seen) {5}\r\n").unwrap().is_ok());
        for text in ["a REPLACE 0 x {5}\r\n", "a REPLACE 1:2 x {5}\r\n", "a REPLACE x {5}\r\n"] {
            assert!(parsed(text.as_bytes()).unwrap().is_err(), "{text}");
        }
        assert!(parsed(b"a UID FETCH 7 x {5}\r\n").is_none());
    }

    #[test]
    fn further_message_head_has_flags_and_date() {
        let head =
            MessageHead::parse(b" (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {5}\r\n", false).unwrap();
        assert_eq!((head.flags.len(), head.date.is_some()), (1, true));
        assert!(MessageHead::parse(b" ~{5+}\r\n", false).is_ok());
        assert!(MessageHead::parse(b"  (\\Seen) {5}\r\n", false).is_ok());
        assert!(MessageHead::parse(b") (\\Seen) UTF8 (~{5}\r\n", true).unwrap().is_utf8);
        assert!(MessageHead::parse(b" ~{5}\r\n", true).is_err());
        for text in ["", "{5}\r\n", "   {5}\r\n", " (\\Seen){5}\r\n", " x {5}\r\n", " (\\Seen) "] {
            assert!(MessageHead::parse(text.as_bytes(), false).is_err(), "{text}");
        }
    }
}
