//! The message itself: DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030).

use super::super::envelope::Envelope;
use super::super::reply::Reply;
use super::super::text::{Fault, Progress, Text};
use super::{Question, Session, State, Step};

/// A chunk that is coming in.
#[derive(Debug)]
pub(super) struct Chunk {
    text: Text,
    len: u64,
    left: u64,
    last: bool,
}

impl Session {
    /// RFC 5321 4.1.1.4. The text may not come before we said go (RFC 2920 3.1): a client that did
    /// not wait is either not reading our answers or having somebody else's words put into its
    /// mouth.
    pub(super) fn begin_data(&mut self, pipelined: bool) {
        let Some(envelope) = self.whole_envelope() else { return };
        if pipelined {
            return self.close(Reply::new(
                554,
                "5.5.0",
                "the message came before it was asked for, goodbye",
            ));
        }
        let text = Text::dotted(self.newlines(), self.settings.message_len_max);
        self.ask(Question::Begin(Box::new(envelope)), State::AskedData(text));
    }

    /// Takes the envelope out of the state if it is whole, and says what is missing if it is not.
    fn whole_envelope(&mut self) -> Option<Envelope> {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(envelope) if envelope.recipients.is_empty() => {
                self.state = State::Mail(envelope);
                self.junk(Reply::new(554, "5.5.1", "no valid recipients"));
                None
            }
            State::Mail(envelope) => Some(envelope),
            other => {
                self.state = other;
                self.junk(Reply::out_of_order("say MAIL and RCPT first"));
                None
            }
        }
    }

    pub(super) fn data_answered(&mut self, text: Text, reply: Reply) {
        if reply.is_positive() {
            self.state = State::Data(text);
            self.say(Reply::new(354, "", "go ahead, end with a line that is a dot"));
        } else {
            self.say(reply);
        }
    }

    /// The text after 354.
    pub(super) fn data(&mut self, input: &[u8]) -> usize {
        let State::Data(text) = &mut self.state else { return 0 };
        let mut out = Vec::with_capacity(input.len());
        let progress = text.read(input, &mut out);
        let fault = text.fault();
        self.content(out);
        match progress {
            Progress::More => input.len(),
            Progress::Ended(used) => {
                self.finish(fault);
                used
            }
            Progress::Overrun => {
                self.overrun();
                input.len()
            }
        }
    }

    fn content(&mut self, out: Vec<u8>) {
        if !out.is_empty() {
            self.todo.push_back(Step::Content(out));
        }
    }

    fn finish(&mut self, fault: Option<Fault>) {
        match fault {
            None => self.ask(Question::Finish, State::AskedFinish),
            Some(fault) => {
                self.state = State::Ready;
                self.todo.push_back(Step::Abandon);
                let reply = self.fault_reply(fault);
                self.say(reply);
            }
        }
    }

    fn fault_reply(&self, fault: Fault) -> Reply {
        match fault {
            Fault::TooLarge => Reply::too_large(self.settings.message_len_max),
            Fault::BareNewline => Reply::new(
                550,
                "5.6.11",
                "a CR or LF stands alone in the message: a line ends with CR LF",
            ),
            Fault::LineTooLong => Reply::new(550, "5.6.0", "a line of the message is too long"),
        }
    }

    fn overrun(&mut self) {
        self.todo.push_back(Step::Abandon);
        let reply = Reply::too_large(self.settings.message_len_max);
        self.close(reply);
    }

    /// RFC 3030 2. Whatever the answer will be, the chunk's bytes are on their way and must go by
    /// first.
    pub(super) fn bdat(&mut self, len: u64, last: bool) {
        let len_max = self.settings.message_len_max;
        if len > len_max.saturating_mul(2) {
            self.abandon_chunks();
            return self.close(Reply::too_large(len_max));
        }
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Chunking(text) => {
                self.state = State::Chunk(Chunk { text, len, left: len, last })
            }
            State::Mail(envelope) if !envelope.recipients.is_empty() => {
                let text = Text::chunked(self.newlines(), len_max);
                self.ask(
                    Question::Begin(Box::new(envelope)),
                    State::AskedChunk(Chunk { text, len, left: len, last }),
                );
            }
            State::Mail(_) => {
                self.state = State::Unwanted(len, Reply::new(554, "5.5.1", "no valid recipients"))
            }
            _ => self.state = State::Unwanted(len, Reply::out_of_order("say MAIL and RCPT first")),
        }
    }

    pub(super) fn chunk_answered(&mut self, chunk: Chunk, reply: Reply) {
        self.state = if reply.is_positive() {
            State::Chunk(chunk)
        } else {
            State::Unwanted(chunk.left, reply)
        };
    }

    /// The bytes of a chunk.
    pub(super) fn chunk(&mut self, input: &[u8]) -> usize {
        let State::Chunk(chunk) = &mut self.state else { return 0 };
        let take = usize::try_from(chunk.left).unwrap_or(usize::MAX).min(input.len());
        let mut out = Vec::with_capacity(take);
        let progress = chunk.text.read(input.get(..take).unwrap_or_default(), &mut out);
        chunk.left -= take as u64;
        let ended = chunk.left == 0;
        if ended && chunk.last {
            chunk.text.finish(&mut out);
        }
        self.content(out);
        match progress {
            Progress::Overrun => self.overrun(),
            _ if ended => self.chunk_ended(),
            _ => {}
        }
        take
    }

    fn chunk_ended(&mut self) {
        let State::Chunk(chunk) = std::mem::replace(&mut self.state, State::Ready) else { return };
        if chunk.last || chunk.text.fault().is_some() {
            // After a refused chunk the message is over: the chunks that follow it are out of order
            // (RFC 3030 2).
            return self.finish(chunk.text.fault());
        }
        self.state = State::Chunking(chunk.text);
        self.say(Reply::new(250, "2.0.0", format!("{} bytes received", chunk.len)));
    }

    /// Lets a chunk go by.
    pub(super) fn unwanted(&mut self, input: &[u8]) -> usize {
        let State::Unwanted(left, _) = &mut self.state else { return 0 };
        let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        *left -= take as u64;
        if *left == 0
            && let State::Unwanted(_, reply) = std::mem::replace(&mut self.state, State::Ready)
        {
            self.say(reply);
        }
        take
    }

    /// A message in chunks ends unfinished.
    pub(super) fn abandon_chunks(&mut self) {
        if matches!(self.state, State::Chunking(_)) {
            self.state = State::Ready;
            self.todo.push_back(Step::Abandon);
        }
    }
}
