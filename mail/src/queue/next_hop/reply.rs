//! Replies of a next hop (RFC 5321 4.2).
//!
//! A client must decide by the code alone and accept any text, including none (RFC 5321 4.2).
//! lettre refuses a code without a space, text that is not UTF-8 and a line without CR; then a
//! message that the next hop has accepted would be sent again. So replies are read here, and lettre
//! gets each in the form that it reads.

use std::collections::VecDeque;

/// The longest line that is kept, in bytes; the rest of a longer one is dropped. With every byte as
/// two of UTF-8 it fits into the 1,000 bytes that lettre reads.
const LINE_LEN_MAX: usize = 480;
/// The most lines of one reply that are kept.
const LINES_MAX: usize = 100;
/// The longest reply, in bytes.
const REPLY_LEN_MAX: usize = 256 * 1024;

/// One reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// The three digits.
    pub(super) code: u16,
    /// The text without codes, one entry a line.
    pub(super) lines: Vec<String>,
}

/// The bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotAReply {
    /// A line does not begin with a code.
    #[error("the next hop sent a line that is no SMTP reply")]
    NoCode,
    /// The reply is longer than [`REPLY_LEN_MAX`].
    #[error("the next hop sent a reply that does not end")]
    TooLong,
}

impl Reply {
    /// The first digit, by which a client acts (RFC 5321 4.2.1).
    pub(super) fn class(&self) -> u16 {
        self.code / 100
    }

    /// The whole reply on one line. An enhanced status code that each line repeats is kept once.
    pub(super) fn line(&self) -> String {
        let mut line = self.code.to_string();
        let status = self.lines.first().and_then(|first| first.split(' ').next());
        let status = status.filter(|word| word.split('.').count() == 3);
        for (number, text) in self.lines.iter().enumerate() {
            let again = status.filter(|_| number > 0).and_then(|status| text.strip_prefix(status));
            let text = again.filter(|rest| rest.starts_with(' ')).unwrap_or(text).trim();
            if !text.is_empty() {
                line.push(' ');
                line.push_str(text);
            }
        }
        line
    }

    /// The reply in the form that lettre reads: the same code on each line, a space or hyphen
    /// behind it, UTF-8, CR LF. lettre knows no second digit above 5.
    pub(super) fn for_lettre(&self) -> Vec<u8> {
        let (class, detail) = (self.class(), self.code % 10);
        let category = (self.code / 10 % 10).min(5);
        let last = self.lines.len().saturating_sub(1);
        let mut bytes = Vec::new();
        for (number, text) in self.lines.iter().enumerate() {
            let mark = if number == last { ' ' } else { '-' };
            let line = format!("{class}{category}{detail}{mark}{text}\r\n");
            bytes.extend_from_slice(line.as_bytes());
        }
        bytes
    }
}

/// Cuts received bytes into replies.
#[derive(Debug, Default)]
pub(super) struct ReplyReader {
    /// The line that is being received, without what is over [`LINE_LEN_MAX`].
    line: Vec<u8>,
    /// The lines of the reply so far.
    lines: Vec<String>,
    /// The code of the last of them.
    code: u16,
    /// The bytes of the reply so far.
    len: usize,
}

impl ReplyReader {
    /// Takes received bytes and adds the replies that end in them to `replies`.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        replies: &mut VecDeque<Reply>,
    ) -> Result<(), NotAReply> {
        for byte in bytes {
            self.len += 1;
            if self.len > REPLY_LEN_MAX {
                return Err(NotAReply::TooLong);
            }
            match byte {
                // CR LF, or LF alone.
                b'\n' => replies.extend(self.end_line()?),
                _ if self.line.len() < LINE_LEN_MAX => self.line.push(*byte),
                _ => {}
            }
        }
        Ok(())
    }

    /// The connection ended. The code is the same on every line (RFC 5321 4.2.1), so a reply whose
    /// last line is missing is known already.
    pub(super) fn end(&mut self) -> Option<Reply> {
        let last = if self.line.is_empty() { None } else { self.end_line().ok().flatten() };
        last.or_else(|| (!self.lines.is_empty()).then(|| self.take()))
    }

    fn end_line(&mut self) -> Result<Option<Reply>, NotAReply> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        let (code, rest) = line.split_at_checked(3).ok_or(NotAReply::NoCode)?;
        let is_code =
            matches!(code.first(), Some(b'2'..=b'5')) && code.iter().all(u8::is_ascii_digit);
        let code = std::str::from_utf8(code).ok().filter(|_| is_code);
        self.code = code.and_then(|code| code.parse().ok()).ok_or(NotAReply::NoCode)?;
        let (goes_on, text) = match rest.split_first() {
            Some((b'-', text)) => (true, text),
            Some((b' ' | b'\t', text)) => (false, text),
            _ => (false, rest),
        };
        if self.lines.len() < LINES_MAX {
            self.lines.push(readable(text));
        }
        Ok((!goes_on).then(|| self.take()))
    }

    fn take(&mut self) -> Reply {
        self.len = 0;
        Reply { code: self.code, lines: std::mem::take(&mut self.lines) }
    }
}

/// The text as UTF-8 on one line. Other bytes are read as ISO-8859-1, the most common of the rest.
fn readable(text: &[u8]) -> String {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(_) => text.iter().map(|byte| char::from(*byte)).collect(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use lettre::transport::smtp::response::Response;
    use proptest::prelude::*;

    use super::*;

    fn replies(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, NotAReply> {
        let (mut reader, mut replies) = (ReplyReader::default(), VecDeque::new());
        for piece in bytes.chunks(piece) {
            reader.push(piece, &mut replies)?;
        }
        replies.extend(reader.end());
        Ok(replies.into())
    }

    #[test]
    fn legal_replies_are_read_with_any_text() {
        for (bytes, code, line) in [
            (&b"250\r\n"[..], 250, "250"),
            (b"250 \r\n", 250, "250"),
            (b"250-\r\n250\r\n", 250, "250"),
            (b"250 \xc4\xe3\xba\xc3\r\n", 250, "250 ÄãºÃ"),
            ("250 дошло\r\n".as_bytes(), 250, "250 дошло"),
            (b"550 bo\xeete inconnue\r\n", 550, "550 boîte inconnue"),
            (b"550-5.7.25 one\r\n550 5.7.25 two\r\n", 550, "550 5.7.25 one two"),
            (b"571 5.7.1 not here\r\n", 571, "571 5.7.1 not here"),
            (b"250 nul \0 in it\r\n", 250, "250 nul   in it"),
            (b"250 without CR\n", 250, "250 without CR"),
            (b"250-queued\r\n", 250, "250 queued"),
            (b"250", 250, "250"),
            (b"299 2.999.999 rare\r\n", 299, "299 2.999.999 rare"),
        ] {
            for piece in 1..=bytes.len() {
                let read = replies(bytes, piece).unwrap();
                assert_eq!(read.len(), 1, "{bytes:?}");
                assert_eq!((read[0].code, read[0].line().as_str()), (code, line));
                let text = String::from_utf8(read[0].for_lettre()).unwrap();
                let lettre: Response = text.parse().unwrap();
                assert_eq!(lettre.is_positive(), code < 400, "{text:?}");
            }
        }
    }

    #[test]
    fn bytes_without_a_code_are_no_reply() {
        for bytes in
            [&b"hello\r\n"[..], b"\r\n", b"25\r\n", b"150 go\r\n", b"666 no\r\n", b"2x0 a\r\n"]
        {
            assert_eq!(replies(bytes, 100), Err(NotAReply::NoCode), "{bytes:?}");
        }
        assert_eq!(replies(b"25", 100), Ok(Vec::new()));
        let endless = b"250-more\r\n".repeat(100_000);
        assert_eq!(replies(&endless, 4096), Err(NotAReply::TooLong));
        let long = [b"250 ".to_vec(), vec![b'\xee'; 100_000], b"\r\n".to_vec()].concat();
        let read = replies(&long, 4096).unwrap();
        assert!(read[0].for_lettre().len() < 1000);
    }

    proptest! {
        #[test]
        fn every_reply_reaches_lettre_whole(
            code in 200u16..600,
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..5),
        ) {
            let last = texts.len() - 1;
            let mut bytes = Vec::new();
            for (number, text) in texts.iter().enumerate() {
                let mark = if number == last { b' ' } else { b'-' };
                bytes.extend_from_slice(format!("{code}").as_bytes());
                bytes.push(mark);
                bytes.extend(text.iter().filter(|byte| **byte != b'\n'));
                bytes.extend_from_slice(b"\r\n");
            }
            let read = replies(&bytes, 7).unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!((read[0].code, read[0].lines.len()), (code, texts.len()));
            let text = String::from_utf8(read[0].for_lettre()).unwrap();
            let lettre: Response = text.parse().unwrap();
            prop_assert_eq!(lettre.is_positive(), code < 400);
        }
    }
}
