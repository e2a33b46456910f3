//! Decides about announced literals (RFC 3501 4.3, RFC 7888).

use super::{Asked, Busy, Question, Session, Step};
use crate::imap::command::append::Head;
use crate::imap::completion::Completion;
use crate::imap::cursor::Cursor;
use crate::imap::framer::Literal;

impl Session {
    /// A literal is announced: the message of an APPEND is streamed, a small literal is kept in the
    /// command, and any other is refused before it is sent.
    pub(super) fn literal(&mut self, literal: Literal) -> Step {
        let is_free = matches!(self.busy, Busy::Nothing);
        let tag = Cursor::new(self.framer.text()).tag().unwrap_or_else(|_| "*".to_owned());
        if is_free
            && self.is_logged_in()
            && let Some(head) = Head::parse(self.framer.text())
        {
            return match head {
                Ok(_) if !literal.waits && literal.len > self.link.message_len_max => {
                    self.bye("[TOOBIG] the message is too large");
                    Step::Close
                }
                Ok(head) => {
                    self.ask(Question::Append { head, literal }, Asked::Append { tag, literal })
                }
                Err(refusal) => self.refuse(&tag, literal, &refusal),
            };
        }
        if is_free && !literal.binary && self.framer.may_keep(literal) {
            self.framer.keep();
            if literal.waits {
                self.out.line("+ ready for the literal");
            }
            return Step::More;
        }
        let completion = Completion::bad("the literal is too large").code("TOOBIG");
        self.refuse(&tag, literal, &completion)
    }

    /// Refuses a literal. A non-synchronizing literal (RFC 7888) is already on its way, so the
    /// connection is closed.
    pub(super) fn refuse(&mut self, tag: &str, literal: Literal, completion: &Completion) -> Step {
        if !literal.waits {
            self.bye("the literal is too large");
            return Step::Close;
        }
        self.framer.refuse();
        match std::mem::replace(&mut self.busy, Busy::Nothing) {
            // A second message (MULTIAPPEND) ends the APPEND.
            Busy::Appending { .. } => self.ask(
                Question::AppendAbandon,
                Asked::Report { tag: tag.to_owned(), completion: completion.clone() },
            ),
            _ => self.respond(tag, completion),
        }
    }
}
