//! Rewrites the header of a message while it is received: drops some fields, notes others, and adds
//! missing ones at the end.
//!
//! At most the beginning of one line is held back. The fields that are checked later are copied up
//! to a limit. The input has only CR LF as line ends.

pub(crate) mod ascii;

use freehold_mime::header;

use crate::authentication;

/// The longest field name, in bytes; a line with a longer one is body text.
const NAME_LEN_MAX: usize = 256;
/// The most bytes of From and Sender that are copied.
const AUTHOR_LEN_MAX: usize = 16 * 1024;
/// The most bytes of an Authentication-Results field that are held back to find its server's name.
const RESULTS_LEN_MAX: usize = 1024;

/// How the header is rewritten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// A message from another server: Return-Path is dropped, as final delivery adds its own (RFC
    /// 5321 4.4), and so are results of this server that it did not write (RFC 8601 5).
    Keep {
        /// The name of this server.
        hostname: String,
    },
    /// A submission: Bcc and Return-Path are dropped, and missing fields are added (RFC 6409 8).
    Complete(Missing),
}

/// The fields to add if they are missing, each with its CR LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// From.
    pub from: String,
    /// Date.
    pub date: String,
    /// Message-ID.
    pub message_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// At the beginning of a line, which is held back.
    Name,
    /// Inside a field.
    Field,
    /// In the body.
    Body,
}

/// The treatment of the current field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FieldAction {
    Pass,
    Drop,
    /// Passed, and copied to check the authors.
    Author,
    /// Held back until its server's name is known.
    Results,
}

/// A header that is being received.
#[derive(Clone, Debug)]
pub struct Headers {
    treatment: Treatment,
    position: Position,
    action: FieldAction,
    held: Vec<u8>,
    /// The Authentication-Results field that is held back.
    results: Vec<u8>,
    first_line: bool,
    authors: Vec<u8>,
    from_count: u32,
    received_count: u32,
    has_date: bool,
    has_message_id: bool,
}

impl Headers {
    /// The beginning of a header.
    pub fn new(treatment: Treatment) -> Self {
        Self {
            treatment,
            position: Position::Name,
            action: FieldAction::Pass,
            held: Vec::new(),
            results: Vec::new(),
            first_line: true,
            authors: Vec::new(),
            from_count: 0,
            received_count: 0,
            has_date: false,
            has_message_id: false,
        }
    }

    /// The number of Received fields (RFC 5321 6.3).
    pub fn received_count(&self) -> u32 {
        self.received_count
    }

    /// The number of From fields.
    pub fn from_count(&self) -> u32 {
        self.from_count
    }

    /// The From and Sender fields, unparsed; `None` when they are too long to be checked.
    pub fn authors(&self) -> Option<&[u8]> {
        (self.authors.len() <= AUTHOR_LEN_MAX).then_some(&self.authors)
    }

    /// Reads input and appends the text to be stored to `out`.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while !rest.is_empty() {
            rest = match self.position {
                Position::Body => {
                    out.extend_from_slice(rest);
                    return;
                }
                Position::Field => self.field(rest, out),
                Position::Name => self.name(rest, out),
            };
        }
    }

    /// The message ended. A header without a body ends here.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.position == Position::Body {
            return;
        }
        self.position = Position::Body;
        self.settle_results(out);
        self.complete(out);
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && !self.is_kept() {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&held);
    }

    /// The rest of a line of a field.
    fn field<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = input.iter().position(|byte| *byte == b'\n').map_or(input.len(), |at| at + 1);
        let (line, rest) = input.split_at(end);
        self.pass(line, out);
        if line.ends_with(b"\n") {
            self.position = Position::Name;
        }
        rest
    }

    fn pass(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.action == FieldAction::Author && self.authors.len() <= AUTHOR_LEN_MAX {
            self.authors.extend_from_slice(text);
        }
        match self.action {
            FieldAction::Pass | FieldAction::Author => out.extend_from_slice(text),
            FieldAction::Drop => {}
            FieldAction::Results => {
                self.results.extend_from_slice(text);
                if self.results.len() > RESULTS_LEN_MAX {
                    self.settle_results(out);
                }
            }
        }
    }

    /// Passes or drops the Authentication-Results field that is held back.
    fn settle_results(&mut self, out: &mut Vec<u8>) {
        if self.action != FieldAction::Results {
            return;
        }
        let results = std::mem::take(&mut self.results);
        // Not more, however the input is cut.
        let begin = results.get(..RESULTS_LEN_MAX).unwrap_or(&results);
        let value = begin.iter().position(|byte| *byte == b':').map_or(0, |colon| colon + 1);
        let value = begin.get(value..).unwrap_or_default();
        self.action = match &self.treatment {
            Treatment::Keep { hostname } if authentication::is_own(value, hostname) => {
                FieldAction::Drop
            }
            _ => FieldAction::Pass,
        };
        self.pass(&results, out);
    }

    fn is_kept(&self) -> bool {
        matches!(self.treatment, Treatment::Keep { .. })
    }

    /// One more byte of the beginning of a line, until the kind of line is known.
    fn name<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some((&byte, rest)) = input.split_first() else { return input };
        self.held.push(byte);
        match (self.held.as_slice(), byte) {
            // RFC 5322 2.2.3: a continuation line.
            ([b' ' | b'\t'], _) if !self.first_line => self.release(out),
            (header::BYTE_ORDER_MARK, _) if self.first_line => {
                // The fields behind it are to be found. A message from elsewhere keeps its bytes.
                if self.is_kept() {
                    out.extend_from_slice(&self.held);
                }
                self.held.clear();
            }
            (held, _) if self.first_line && header::BYTE_ORDER_MARK.starts_with(held) => {}
            (b"\r", _) => {}
            (b"\r\n", _) => self.end(out),
            (_, b':') => self.field_named(out),
            (held, b' ')
                if self.first_line && matches!(held, b"From " | b">From ") && !self.is_kept() =>
            {
                // The separator line of an mbox file is not part of the message.
                self.action = FieldAction::Drop;
                self.release(out);
            }
            // RFC 5322 4.5.8: old programs put white space before the colon.
            (held, b' ' | b'\t') if held.len() > 1 && held.len() <= NAME_LEN_MAX => {}
            (held, b'!'..=b'~')
                if held.len() <= NAME_LEN_MAX
                    && !held.iter().any(|byte| matches!(byte, b' ' | b'\t' | b'\r')) => {}
            _ => self.not_a_header(out),
        }
        rest
    }

    fn release(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        self.first_line = false;
        self.position = Position::Field;
        self.pass(&held, out);
    }

    /// The name of a field is complete.
    fn field_named(&mut self, out: &mut Vec<u8>) {
        let name = self
            .held
            .strip_suffix(b":")
            .unwrap_or(&self.held)
            .trim_ascii_end()
            .to_ascii_lowercase();
        self.settle_results(out);
        let is_submission = !self.is_kept();
        self.action = match name.as_slice() {
            b"return-path" => FieldAction::Drop,
            b"bcc" | b"resent-bcc" if is_submission => FieldAction::Drop,
            b"from" | b"sender" => FieldAction::Author,
            b"authentication-results" if !is_submission => FieldAction::Results,
            _ => FieldAction::Pass,
        };
        match name.as_slice() {
            b"from" => self.from_count += 1,
            b"received" => self.received_count += 1,
            b"date" => self.has_date = true,
            b"message-id" => self.has_message_id = true,
            _ => {}
        }
        self.release(out);
    }

    /// The empty line.
    fn end(&mut self, out: &mut Vec<u8>) {
        self.held.clear();
        self.position = Position::Body;
        self.settle_results(out);
        self.complete(out);
        out.extend_from_slice(b"\r\n");
    }

    /// The line is not a field: the body begins without an empty line.
    fn not_a_header(&mut self, out: &mut Vec<u8>) {
        self.position = Position::Body;
        self.settle_results(out);
        self.complete(out);
        if !self.is_kept() {
            out.extend_from_slice(b"\r\n");
        }
        out.append(&mut self.held);
    }

    fn complete(&self, out: &mut Vec<u8>) {
        let Treatment::Complete(missing) = &self.treatment else { return };
        for (is_present, line) in [
            (self.from_count > 0, &missing.from),
            (self.has_date, &missing.date),
            (self.has_message_id, &missing.message_id),
        ] {
            if !is_present {
                out.extend_from_slice(line.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
