//! The text of a message after DATA or BDAT: finds its end and its faults.
//!
//! Only CR LF ends a line and only CR LF . CR LF ends the text. A server that accepts another form
//! lets senders smuggle a second message inside the first (CVE-2023-51764 and similar): one server
//! finds an end where another finds text.
//!
//! NUL is kept. RFC 5321 4.5.2 and 8BITMIME (RFC 6152, RFC 2045 2.8) allow senders none, but RFC
//! 5322 4.5 wants such messages to be read, and a refusal would return the message of a person who
//! can't repair it. IMAP sends 0x80 in its place.

/// The longest line of text, in bytes. RFC 5321 4.5.3.1.6 allows 1,000; longer ones are common.
const TEXT_LINE_LEN_MAX: usize = 64 * 1024;
/// Bytes over the size limit that are still read, so that the sender gets the reply at the end of
/// the text; beyond them the connection is closed.
const OVERRUN_LEN_MAX: u64 = 1024 * 1024;

/// The treatment of a bare CR or LF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newlines {
    /// The message is refused at its end.
    Refuse,
    /// Bare CR and LF are replaced by CR LF: for the owner's programs (RFC 6409 8).
    Normalize,
}

/// Why a text is refused. Found while it is received, replied at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Over the size limit.
    TooLarge,
    /// A bare CR or LF.
    BareNewline,
    /// A line is too long.
    LineTooLong,
}

/// The result of reading some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is consumed, and the text goes on.
    More,
    /// The text ended after this many bytes of the input.
    Ended(usize),
    /// So far over the size limit that the connection is to be closed.
    Overrun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    LineStart,
    /// After a dot that began a line.
    Dot,
    /// After a dot that began a line, and a CR.
    DotCr,
    Middle,
    Cr,
}

/// Reads a text while it is received. It holds no text itself.
#[derive(Clone, Debug)]
pub struct Text {
    at: At,
    dots: bool,
    newlines: Newlines,
    len: u64,
    len_max: u64,
    line_len: usize,
    fault: Option<Fault>,
}

impl Text {
    /// A text after DATA: dots are stuffed, and a line with only a dot ends it (RFC 5321 4.5.2).
    pub fn dotted(newlines: Newlines, len_max: u64) -> Self {
        Self { at: At::LineStart, dots: true, newlines, len: 0, len_max, line_len: 0, fault: None }
    }

    /// A text in chunks of announced length, without dot stuffing (RFC 3030 2).
    pub fn chunked(newlines: Newlines, len_max: u64) -> Self {
        Self { dots: false, ..Self::dotted(newlines, len_max) }
    }

    /// The first fault found.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Reads input and appends the text to be stored to `out`. After a fault nothing is appended.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            // Bytes up to the next CR or LF are copied at once.
            if self.at == At::Middle && !matches!(byte, b'\r' | b'\n') {
                let run = rest
                    .iter()
                    .position(|byte| matches!(byte, b'\r' | b'\n'))
                    .unwrap_or(rest.len());
                let (text, next) = rest.split_at(run);
                self.emit(text, out);
                rest = next;
                continue;
            }
            rest = after;
            if self.one(byte, out) {
                return Progress::Ended(input.len() - rest.len());
            }
        }
        if self.len > self.len_max.saturating_add(OVERRUN_LEN_MAX) {
            Progress::Overrun
        } else {
            Progress::More
        }
    }

    /// Ends a text in chunks: a CR at its end is bare, and a last line without an end gets one.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.at == At::Cr {
            self.bare(out);
        }
        if self.at != At::LineStart {
            self.line_end(out);
        }
    }

    /// Reads one byte; true when it ends the text.
    fn one(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match (self.at, byte) {
            (At::LineStart, b'.') if self.dots => self.at = At::Dot,
            (At::Dot, b'\r') => self.at = At::DotCr,
            (At::DotCr, b'\n') => return true,
            (At::Cr, b'\n') => self.line_end(out),
            (At::DotCr | At::Cr, _) => {
                // The CR was bare; this byte is read again in the new state.
                self.bare(out);
                self.at = At::Middle;
                return self.one(byte, out);
            }
            (At::LineStart | At::Middle, b'\r') => self.at = At::Cr,
            (_, b'\n') => {
                self.bare(out);
                self.at = At::Middle;
            }
            _ => {
                self.emit(&[byte], out);
                self.at = At::Middle;
            }
        }
        false
    }

    fn line_end(&mut self, out: &mut Vec<u8>) {
        self.emit(b"\r\n", out);
        self.line_len = 0;
        self.at = At::LineStart;
    }

    /// A bare CR or LF. Normalized it ends a line, but a dot after it is not unstuffed, because the
    /// sender did not stuff one there.
    fn bare(&mut self, out: &mut Vec<u8>) {
        match self.newlines {
            Newlines::Normalize => {
                self.emit(b"\r\n", out);
                self.line_len = 0;
            }
            Newlines::Refuse => {
                self.fault.get_or_insert(Fault::BareNewline);
            }
        }
    }

    fn emit(&mut self, text: &[u8], out: &mut Vec<u8>) {
        self.len = self.len.saturating_add(text.len() as u64);
        self.line_len = self.line_len.saturating_add(text.len());
        if self.len > self.len_max {
            self.fault = Some(Fault::TooLarge);
        } else if self.line_len > TEXT_LINE_LEN_MAX {
            self.fault.get_or_insert(Fault::LineTooLong);
        }
        if self.fault.is_none() {
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stored text, its fault, and the input left after its end; read in two pieces cut at
    /// `cut`.
    fn read(
        input: &[u8],
        newlines: Newlines,
        cut: usize,
    ) -> Option<(Vec<u8>, Option<Fault>, Vec<u8>)> {
        let mut text = Text::dotted(newlines, 1000);
        let mut out = Vec::new();
        let mut used = 0;
        for end in [cut, input.len()] {
            match text.read(&input[used..end], &mut out) {
                Progress::More => used = end,
                Progress::Ended(len) => {
                    return Some((out, text.fault(), input[used + len..].to_vec()));
                }
                Progress::Overrun => panic!("no text here is that long"),
            }
        }
        None
    }

    #[test]
    fn text_ends_at_crlf_dot_crlf_at_every_cut() {
        let input = b"one\r\n..two\r\n.three\r\n\r\n.\r\nRSET\r\n";
        for cut in 0..=input.len() - 6 {
            let (stored, fault, rest) = read(input, Newlines::Refuse, cut).unwrap();
            assert_eq!(
                (stored.as_slice(), fault, rest.as_slice()),
                (&b"one\r\n.two\r\nthree\r\n\r\n"[..], None, &b"RSET\r\n"[..]),
                "cut at {cut}"
            );
        }
        assert_eq!(
            read(b".\r\n", Newlines::Refuse, 1),
            Some((Vec::new(), None, Vec::new())),
            "an empty text ends at once"
        );
    }

    #[test]
    fn no_other_newline_form_ends_a_text() {
        for end in [
            &b"\n.\n"[..],
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\n.\r",
            b"\r\n.\r",
            b"\r\n.\r\r\n",
            b"\r\n.\n\r\n",
            b"\r\r\n.\n",
            b"\r\n.\0\r\n",
            b"\r\n. \r\n",
        ] {
            let input = [b"a".as_slice(), end, b"MAIL FROM:<evil@b.test>\r\n"].concat();
            for cut in 0..=input.len() {
                assert_eq!(read(&input, Newlines::Refuse, cut), None, "{end:?}");
            }
            let bare = !end.ends_with(b"\0\r\n") && !end.ends_with(b" \r\n");
            let closed = [&input[..], b".\r\n"].concat();
            let (_, fault, _) = read(&closed, Newlines::Refuse, 0).unwrap();
            assert_eq!(fault, bare.then_some(Fault::BareNewline), "{end:?}");
        }
    }

    #[test]
    fn submitted_newlines_are_normalized() {
        let (stored, fault, _) =
            read(b"a\nb\rc\r\n.d\n.\ne\r\n.\r\n", Newlines::Normalize, 4).unwrap();
        assert_eq!((stored.as_slice(), fault), (&b"a\r\nb\r\nc\r\nd\r\n.\r\ne\r\n"[..], None));
    }

    #[test]
    fn too_large_text_is_read_but_not_stored() {
        let mut text = Text::dotted(Newlines::Refuse, 10);
        let mut out = Vec::new();
        assert_eq!(text.read(b"0123456789abcdef\r\n.\r\n", &mut out), Progress::Ended(21));
        assert_eq!(
            (text.fault(), out.is_empty()),
            (Some(Fault::TooLarge), false),
            "the part within the limit went by before"
        );
        let mut endless = Text::dotted(Newlines::Refuse, 10);
        let flood = vec![b'x'; 64 * 1024];
        assert!((0..20).any(|_| endless.read(&flood, &mut out) == Progress::Overrun));
    }

    #[test]
    fn text_line_length_is_limited() {
        let mut text = Text::dotted(Newlines::Refuse, u64::MAX);
        let line = vec![b'x'; TEXT_LINE_LEN_MAX + 1];
        assert_eq!(text.read(&line, &mut Vec::new()), Progress::More);
        assert_eq!(text.fault(), Some(Fault::LineTooLong));
    }

    #[test]
    fn chunked_text_keeps_dots_and_gets_a_line_end() {
        let mut text = Text::chunked(Newlines::Refuse, 100);
        let mut out = Vec::new();
        assert_eq!(text.read(b".\r\n.\r\nend", &mut out), Progress::More);
        text.finish(&mut out);
        assert_eq!((out.as_slice(), text.fault()), (&b".\r\n.\r\nend\r\n"[..], None));
        let mut cut_short = Text::chunked(Newlines::Refuse, 100);
        assert_eq!(cut_short.read(b"end\r", &mut out), Progress::More);
        cut_short.finish(&mut out);
        assert_eq!(cut_short.fault(), Some(Fault::BareNewline));
    }

    /// The simplest implementation of RFC 5321 4.5.2, for texts that have CR and LF only in pairs.
    fn model(input: &[u8]) -> Option<Vec<u8>> {
        let mut stored = Vec::new();
        let mut rest = input;
        loop {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")? + 2;
            match &rest[..end] {
                b".\r\n" => return Some(stored),
                [b'.', line @ ..] => stored.extend_from_slice(line),
                line => stored.extend_from_slice(line),
            }
            rest = &rest[end..];
        }
    }

    proptest! {
        #[test]
        fn text_reader_agrees_with_the_model(parts in prop::collection::vec("(\r\n|\\.|a|\r\n\\.|\r\n\\.\r\n)", 0..20), cut in 0usize..60) {
            let input = parts.concat().into_bytes();
            let seen = read(&input, Newlines::Refuse, cut.min(input.len()));
            let seen = seen.map(|(stored, fault, _)| (stored, fault));
            prop_assert_eq!(seen, model(&input).map(|stored| (stored, None)));
        }

        /// A message of a program and one that is written here get the same line ends.
        #[test]
        fn normalized_newlines_are_those_of_the_queue(parts in prop::collection::vec("[\r\n.ab]", 0..40)) {
            let input = parts.concat() + "end";
            let (mut text, mut submitted) = (Text::chunked(Newlines::Normalize, 1000), Vec::new());
            prop_assert_eq!(text.read(input.as_bytes(), &mut submitted), Progress::More);
            text.finish(&mut submitted);
            let mut ends = freehold_mime::line_ends::LineEnds::default();
            let mut queued = Vec::new();
            ends.read(input.as_bytes(), &mut queued);
            queued.extend_from_slice(b"\r\n");
            prop_assert_eq!(submitted, queued);
        }

        #[test]
        fn text_result_is_independent_of_the_cut(parts in prop::collection::vec("[\r\n.ab]", 0..40), cut in 0usize..40) {
            let input = parts.concat().into_bytes();
            for newlines in [Newlines::Refuse, Newlines::Normalize] {
                let whole = read(&input, newlines, input.len());
                prop_assert_eq!(read(&input, newlines, cut.min(input.len())), whole);
            }
        }
    }
}
