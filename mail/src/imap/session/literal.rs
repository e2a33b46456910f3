//! Decides about announced literals (RFC 3501 4.3, RFC 7888).

use super::busy::Appending;
use super::{Asked, Busy, Question, Session, Step};
use crate::imap::command::append::{Head, MessageHead};
use crate::imap::command::set_metadata::SetMetadata;
use crate::imap::completion::Completion;
use crate::imap::cursor::Cursor;
use crate::imap::framer::Literal;

impl Session {
    /// A literal is announced: a message of an APPEND is streamed, a small literal is kept in the
    /// command, and any other is refused before it is sent.
    pub(super) fn literal(&mut self, literal: Literal) -> Step {
        let of_line = || Cursor::new(self.framer.text()).tag().ok();
        let tag = self.busy.tag().map(str::to_owned).or_else(of_line);
        let tag = tag.unwrap_or_else(|| "*".to_owned());
        let refusal = match &self.busy {
            Busy::Nothing | Busy::Appending(_) => None,
            Busy::Refusing { completion, .. } => Some(completion.clone()),
            _ => Some(Completion::bad("no literal can be here")),
        };
        if let Some(refusal) = refusal {
            let may_drop = self.framer.may_drop(literal) || self.may_be_message(literal);
            return self.refuse(tag, literal, may_drop, refusal);
        }
        let text = self.framer.text();
        if let Busy::Appending(appending) = &self.busy {
            let rest = text.get(appending.parsed..).unwrap_or_default();
            let head = MessageHead::parse(rest, appending.is_open);
            let is_open = head.as_ref().is_ok_and(|head| head.is_utf8);
            let question = head.map(|head| Question::AppendNext { head, literal });
            return self.message(tag, literal, question, is_open);
        }
        if self.is_logged_in()
            && let Some(head) = Head::parse(text, self.enabled)
        {
            let is_open = head.as_ref().is_ok_and(|head| head.message.is_utf8);
            let question = head.map(|head| Question::Append { head, literal });
            return self.message(tag, literal, question, is_open);
        }
        let may_be_binary = SetMetadata::is_begun(text);
        if (may_be_binary || !literal.binary) && self.framer.may_keep(literal) {
            self.framer.keep();
            if literal.waits {
                self.out.line("+ ready for the literal");
            }
            return Step::More;
        }
        let may_drop = self.framer.may_drop(literal);
        let refusal = match (may_drop, literal.binary) {
            (true, true) if !may_be_binary => {
                Completion::bad("only a message or an annotation can be a literal8")
            }
            (true, _) => Completion::bad("the command is too long").code("TOOBIG"),
            (false, _) => Completion::bad("the literal is too large").code("TOOBIG"),
        };
        self.refuse(tag, literal, may_drop, refusal)
    }

    /// The message of an APPEND is announced.
    fn message(
        &mut self,
        tag: String,
        literal: Literal,
        question: Result<Question, Completion>,
        is_open: bool,
    ) -> Step {
        match question {
            Ok(_) if !literal.waits && literal.len > self.link.message_len_max => {
                self.bye("[TOOBIG] the message is too large");
                Step::Close
            }
            Ok(question) => {
                let appending = Appending { tag, parsed: self.framer.text().len(), is_open };
                self.ask(question, Asked::Append { appending, literal })
            }
            Err(refusal) => {
                let may_drop = self.may_be_message(literal);
                self.refuse(tag, literal, may_drop, refusal)
            }
        }
    }

    /// True if the literal could be a message of an APPEND, also of one with several messages
    /// (MULTIAPPEND, RFC 3502).
    fn may_be_message(&self, literal: Literal) -> bool {
        self.is_logged_in() && literal.len <= self.link.message_len_max
    }

    /// Refuses a literal. The octets of a non-synchronizing one are on their way already (RFC 7888
    /// 4): they are read and dropped, or the connection is closed when they are too many.
    pub(super) fn refuse(
        &mut self,
        tag: String,
        literal: Literal,
        may_drop: bool,
        completion: Completion,
    ) -> Step {
        if literal.waits {
            self.framer.refuse();
            return self.refused(tag, completion);
        }
        if !may_drop {
            self.bye("the literal is too large");
            return Step::Close;
        }
        self.framer.stream();
        self.busy = Busy::Refusing { tag, completion };
        Step::More
    }

    /// Ends a command that was refused at one of its literals.
    pub(super) fn refused(&mut self, tag: String, completion: Completion) -> Step {
        self.busy = Busy::Nothing;
        // The first messages of an APPEND may be there already.
        self.ask(Question::AppendAbandon, Asked::Report { tag, completion })
    }
}
