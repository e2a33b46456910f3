//! DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030).

use super::super::envelope::Envelope;
use super::super::reply::Reply;
use super::super::text::{Fault, Progress, Text};
use super::{Question, Session, State, Step};

/// A chunk that is being received.
#[derive(Debug)]
pub(super) struct Chunk {
    text: Text,
    len: u64,
    left: u64,
    last: bool,
}

impl Session {
    /// RFC 5321 4.1.1.4. The client must wait for 354 (RFC 2920 3.1). One that does not wait either
    /// ignores replies or is used for a smuggling attack.
    pub(super) fn begin_data(&mut self, pipelined: bool) {
        let Some(envelope) = self.complete_envelope() else { return };
        if pipelined {
            return self.close(Reply::new(554, "5.5.0", "wait for 354 before sending the message"));
        }
        let text = Text::dotted(self.newlines(), self.settings.message_len_max);
        self.ask(Question::Begin(Box::new(envelope)), State::AwaitingData(text));
    }

    /// Takes the envelope out of the state if it is complete; otherwise replies what is missing.
    fn complete_envelope(&mut self) -> Option<Envelope> {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(envelope) if envelope.recipients.is_empty() => {
                self.state = State::Mail(envelope);
                self.bad_command(Reply::new(554, "5.5.1", "no valid recipients"));
                None
            }
            State::Mail(envelope) => Some(envelope),
            other => {
                self.state = other;
                self.bad_command(Reply::out_of_order("send MAIL and RCPT first"));
                None
            }
        }
    }

    pub(super) fn data_answered(&mut self, text: Text, reply: Reply) {
        if reply.is_positive() {
            self.state = State::Data(text);
            self.reply(Reply::new(354, "", "end the message with a line that is only a dot"));
        } else {
            self.reply(reply);
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
            self.steps.push_back(Step::Content(out));
        }
    }

    fn finish(&mut self, fault: Option<Fault>) {
        match fault {
            None => self.ask(Question::Finish, State::AwaitingFinish),
            Some(fault) => {
                self.state = State::Ready;
                self.steps.push_back(Step::Abandon);
                let reply = self.fault_reply(fault);
                match fault {
                    // Another server may have found another end of the message: the lines behind
                    // this one are not commands.
                    Fault::BareNewline => self.close(reply),
                    Fault::TooLarge | Fault::LineTooLong => self.reply(reply),
                }
            }
        }
    }

    fn fault_reply(&self, fault: Fault) -> Reply {
        match fault {
            Fault::TooLarge => Reply::too_large(self.settings.message_len_max),
            Fault::BareNewline => {
                Reply::new(550, "5.6.11", "bare CR or LF in the message: lines end with CR LF")
            }
            Fault::LineTooLong => Reply::new(550, "5.6.0", "a line of the message is too long"),
        }
    }

    fn overrun(&mut self) {
        self.steps.push_back(Step::Abandon);
        let reply = Reply::too_large(self.settings.message_len_max);
        self.close(reply);
    }

    /// RFC 3030 2. The chunk follows the command at once, so even a refused one must be read.
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
                    State::AwaitingChunk(Chunk { text, len, left: len, last }),
                );
            }
            State::Mail(_) => {
                self.state = State::Refused(len, Reply::new(554, "5.5.1", "no valid recipients"))
            }
            _ => self.state = State::Refused(len, Reply::out_of_order("send MAIL and RCPT first")),
        }
    }

    pub(super) fn chunk_answered(&mut self, chunk: Chunk, reply: Reply) {
        self.state = if reply.is_positive() {
            State::Chunk(chunk)
        } else {
            State::Refused(chunk.left, reply)
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
            // A refused chunk ends the message: further chunks are out of order (RFC 3030 2).
            return self.finish(chunk.text.fault());
        }
        self.state = State::Chunking(chunk.text);
        self.reply(Reply::new(250, "2.0.0", format!("{} bytes received", chunk.len)));
    }

    /// Skips a refused chunk.
    pub(super) fn skip_chunk(&mut self, input: &[u8]) -> usize {
        let State::Refused(left, _) = &mut self.state else { return 0 };
        let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
        *left -= take as u64;
        if *left == 0
            && let State::Refused(_, reply) = std::mem::replace(&mut self.state, State::Ready)
        {
            self.reply(reply);
        }
        take
    }

    /// Drops a message that is incomplete between two chunks.
    pub(super) fn abandon_chunks(&mut self) {
        if matches!(self.state, State::Chunking(_)) {
            self.state = State::Ready;
            self.steps.push_back(Step::Abandon);
        }
    }
}
