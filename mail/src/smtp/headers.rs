//! The header of a message on its way through: what is dropped, what is noted, and what is added at
//! its end.
//!
//! It streams: at most the beginning of one line is held back, and the few fields that are judged
//! later are copied up to a limit. The text handed in has CR LF line ends only.

/// How long a field's name may be before the line is taken for text, in bytes.
const NAME_LEN_MAX: usize = 256;
/// How much of the fields that say who wrote is kept, in bytes.
const AUTHOR_LEN_MAX: usize = 16 * 1024;

/// What is to be done with the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// A stranger's message: everything stays, but a Return-Path is ours to write (RFC 5321 4.4).
    Keep,
    /// The owner's message: blind copies and return paths go, and missing fields come (RFC 6409 8).
    Complete(Missing),
}

/// The lines to add where a field is missing, each with its CR LF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// For a message without From.
    pub from: String,
    /// For a message without Date.
    pub date: String,
    /// For a message without Message-ID.
    pub message_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// The beginning of a header line is being held.
    Name,
    /// Inside a field's line.
    Field,
    /// In the body.
    Body,
}

/// What becomes of the field we are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Pass,
    Drop,
    /// Passed, and copied for the judgement on who wrote it.
    Author,
}

/// A header streaming by.
#[derive(Clone, Debug)]
pub struct Headers {
    treatment: Treatment,
    at: At,
    fate: Fate,
    held: Vec<u8>,
    first_line: bool,
    authors: Vec<u8>,
    from_count: u32,
    received_count: u32,
    has_date: bool,
    has_message_id: bool,
}

impl Headers {
    /// A header that is about to begin.
    pub fn new(treatment: Treatment) -> Self {
        Self {
            treatment,
            at: At::Name,
            fate: Fate::Pass,
            held: Vec::new(),
            first_line: true,
            authors: Vec::new(),
            from_count: 0,
            received_count: 0,
            has_date: false,
            has_message_id: false,
        }
    }

    /// How many servers say they passed it on (RFC 5321 6.3).
    pub fn received_count(&self) -> u32 {
        self.received_count
    }

    /// How many From fields there are.
    pub fn from_count(&self) -> u32 {
        self.from_count
    }

    /// The From and Sender fields as they stand; `None` when they are too long to be judged.
    pub fn authors(&self) -> Option<&[u8]> {
        (self.authors.len() <= AUTHOR_LEN_MAX).then_some(&self.authors)
    }

    /// Reads on and appends to `out` what is to be stored.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while !rest.is_empty() {
            rest = match self.at {
                At::Body => {
                    out.extend_from_slice(rest);
                    return;
                }
                At::Field => self.field(rest, out),
                At::Name => self.name(rest, out),
            };
        }
    }

    /// The message ended: if its header did not, it ends here.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.at == At::Body {
            return;
        }
        self.at = At::Body;
        self.complete(out);
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() && self.treatment != Treatment::Keep {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(&held);
    }

    /// The rest of a field's line.
    fn field<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let end = input.iter().position(|byte| *byte == b'\n').map_or(input.len(), |at| at + 1);
        let (line, rest) = input.split_at(end);
        self.pass(line, out);
        if line.ends_with(b"\n") {
            self.at = At::Name;
        }
        rest
    }

    fn pass(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.fate == Fate::Author && self.authors.len() <= AUTHOR_LEN_MAX {
            self.authors.extend_from_slice(text);
        }
        if self.fate != Fate::Drop {
            out.extend_from_slice(text);
        }
    }

    /// One byte more of a line's beginning, until it is known what the line is.
    fn name<'a>(&mut self, input: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let Some((&byte, rest)) = input.split_first() else { return input };
        self.held.push(byte);
        match (self.held.as_slice(), byte) {
            // RFC 5322 2.2.3: the field goes on.
            ([b' ' | b'\t'], _) if !self.first_line => self.release(out),
            (b"\r", _) => {}
            (b"\r\n", _) => self.end(out),
            (_, b':') => self.field_named(out),
            (held, b' ')
                if self.first_line
                    && matches!(held, b"From " | b">From ")
                    && self.treatment != Treatment::Keep =>
            {
                // The separator of a mailbox file, not part of any message.
                self.fate = Fate::Drop;
                self.release(out);
            }
            // RFC 5322 4.5.8: old programs leave room before the colon.
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
        self.at = At::Field;
        self.pass(&held, out);
    }

    /// The line has a name: what is it to us?
    fn field_named(&mut self, out: &mut Vec<u8>) {
        let name = self
            .held
            .strip_suffix(b":")
            .unwrap_or(&self.held)
            .trim_ascii_end()
            .to_ascii_lowercase();
        let ours = self.treatment != Treatment::Keep;
        self.fate = match name.as_slice() {
            b"return-path" => Fate::Drop,
            b"bcc" | b"resent-bcc" if ours => Fate::Drop,
            b"from" | b"sender" => Fate::Author,
            _ => Fate::Pass,
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
        self.at = At::Body;
        self.complete(out);
        out.extend_from_slice(b"\r\n");
    }

    /// A line that is no header field: the body began without an empty line.
    fn not_a_header(&mut self, out: &mut Vec<u8>) {
        self.at = At::Body;
        self.complete(out);
        if self.treatment != Treatment::Keep {
            out.extend_from_slice(b"\r\n");
        }
        out.append(&mut self.held);
    }

    fn complete(&self, out: &mut Vec<u8>) {
        let Treatment::Complete(missing) = &self.treatment else { return };
        for (there, line) in [
            (self.from_count > 0, &missing.from),
            (self.has_date, &missing.date),
            (self.has_message_id, &missing.message_id),
        ] {
            if !there {
                out.extend_from_slice(line.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete() -> Treatment {
        Treatment::Complete(Missing {
            from: "From: f\r\n".into(),
            date: "Date: d\r\n".into(),
            message_id: "Message-ID: m\r\n".into(),
        })
    }

    /// What is stored, when the text comes in pieces of `piece` bytes; and the header as read.
    fn read(text: &str, treatment: Treatment, piece: usize) -> (String, Headers) {
        let mut headers = Headers::new(treatment);
        let mut out = Vec::new();
        for part in text.as_bytes().chunks(piece) {
            headers.read(part, &mut out);
        }
        headers.finish(&mut out);
        (String::from_utf8(out).unwrap(), headers)
    }

    #[test]
    fn a_strangers_header_loses_its_return_path_and_nothing_else() {
        let text = "Return-Path: <forged@x>\r\n\tfolded\r\nReceived: a\r\nreceived : b\r\nBcc: c\r\nFrom: d\r\n\r\nReceived: body\r\n";
        for piece in 1..text.len() {
            let (stored, headers) = read(text, Treatment::Keep, piece);
            assert_eq!(
                stored,
                "Received: a\r\nreceived : b\r\nBcc: c\r\nFrom: d\r\n\r\nReceived: body\r\n"
            );
            assert_eq!((headers.received_count(), headers.from_count()), (2, 1));
        }
    }

    #[test]
    fn the_owners_header_is_completed_and_keeps_no_blind_copies() {
        let text = "From x Thu Jan  1\r\nFROM: Alice\r\n <a@b>\r\nBcc: secret@x,\r\n other@x\r\nSubject: s\r\n\r\nBcc: body\r\n";
        for piece in 1..text.len() {
            let (stored, headers) = read(text, complete(), piece);
            assert_eq!(
                stored,
                "FROM: Alice\r\n <a@b>\r\nSubject: s\r\nDate: d\r\nMessage-ID: m\r\n\r\nBcc: body\r\n"
            );
            assert_eq!(headers.authors(), Some(&b"FROM: Alice\r\n <a@b>\r\n"[..]));
        }
    }

    #[test]
    fn a_message_without_a_header_gets_one() {
        let added = "From: f\r\nDate: d\r\nMessage-ID: m\r\n";
        assert_eq!(
            read("just text\r\nmore: text\r\n", complete(), 3).0,
            format!("{added}\r\njust text\r\nmore: text\r\n")
        );
        assert_eq!(read("", complete(), 1).0, added);
        assert_eq!(read("\r\n", complete(), 1).0, format!("{added}\r\n"));
        assert_eq!(read("Subject: s\r\n", complete(), 1).0, format!("Subject: s\r\n{added}"));
        assert_eq!(read("Sub", complete(), 1).0, format!("{added}\r\nSub"));
        assert_eq!(
            read(" folded from nothing\r\n", complete(), 1).0,
            format!("{added}\r\n folded from nothing\r\n")
        );
    }

    #[test]
    fn authors_beyond_measure_are_not_judged() {
        let text = format!("From: {}\r\n\r\n", "a@b, ".repeat(5000));
        let (stored, headers) = read(&text, complete(), 100);
        assert!(headers.authors().is_none() && stored.len() > text.len());
    }

    proptest! {
        #[test]
        fn where_a_header_is_cut_changes_nothing(text in "((From|Bcc|Return-Path|X-a|Received)?[: \t]?[a-c]{0,3}\r\n){0,8}", piece in 1usize..9) {
            for treatment in [Treatment::Keep, complete()] {
                prop_assert_eq!(read(&text, treatment.clone(), piece).0, read(&text, treatment, 1000).0);
            }
        }

        #[test]
        fn a_strangers_text_without_return_path_is_kept_to_the_byte(text in "([A-Ca-c:\t ]{0,9}\r\n){0,8}") {
            prop_assert_eq!(read(&text, Treatment::Keep, 7).0, text);
        }
    }
}
