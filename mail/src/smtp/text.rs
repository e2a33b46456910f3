//! The text of a message as it comes after DATA or BDAT: where it ends, and what may not be in it.
//!
//! Only CR LF ends a line and only CR LF . CR LF ends the text. Every server that was ever generous
//! here let senders smuggle a second message inside the first (CVE-2023-51764 and kin): one reader
//! saw an end where another saw text.

/// The longest line of text, in bytes; RFC 5321 4.5.3.1.6 asks for 1,000 and the world sends longer
/// ones.
const TEXT_LINE_LEN_MAX: usize = 64 * 1024;
/// How far past the size limit a text is read to its end, so that the sender hears why, before the
/// connection is closed instead.
const OVERRUN_LEN_MAX: u64 = 1024 * 1024;

/// What becomes of a CR or LF that stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Newlines {
    /// The message is refused at its end.
    Refuse,
    /// It becomes CR LF: for the owner's own programs, whose text goes no further unmended (RFC
    /// 6409 8).
    Mend,
}

/// Why a text can't be taken. Found while it streams by, said at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Over the size limit.
    TooLarge,
    /// A CR or LF stands alone.
    BareNewline,
    /// A line is over its limit.
    LineTooLong,
}

/// How far the text has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All input is used; more is to come.
    More,
    /// The text ended after this many bytes of the input.
    Ended(usize),
    /// So far over the limit that its end is not worth waiting for.
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

/// Takes a text apart as it streams by. It holds no text itself.
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
    /// A text after DATA: dots are stuffed and a lone dot ends it (RFC 5321 4.5.2).
    pub fn dotted(newlines: Newlines, len_max: u64) -> Self {
        Self { at: At::LineStart, dots: true, newlines, len: 0, len_max, line_len: 0, fault: None }
    }

    /// A text in chunks: its length is told, and a dot is a dot (RFC 3030 2).
    pub fn chunked(newlines: Newlines, len_max: u64) -> Self {
        Self { dots: false, ..Self::dotted(newlines, len_max) }
    }

    /// What is wrong with it.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Reads on and appends to `out` what is to be stored. Once a fault is found nothing more is
    /// appended.
    pub fn read(&mut self, input: &[u8], out: &mut Vec<u8>) -> Progress {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            // The run up to the next CR or LF needs no thought.
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

    /// Ends a text in chunks: a CR still waiting for its LF stands alone, and the last line gets
    /// its end.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.at == At::Cr {
            self.bare(out);
        }
        if self.at != At::LineStart {
            self.line_end(out);
        }
    }

    /// One byte; true when it ended the text.
    fn one(&mut self, byte: u8, out: &mut Vec<u8>) -> bool {
        match (self.at, byte) {
            (At::LineStart, b'.') if self.dots => self.at = At::Dot,
            (At::Dot, b'\r') => self.at = At::DotCr,
            (At::DotCr, b'\n') => return true,
            (At::Cr, b'\n') => self.line_end(out),
            (At::DotCr | At::Cr, _) => {
                // The CR stood alone; this byte is yet to be judged.
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

    /// A CR or LF that stands alone. Mended it ends a line, but what follows is not the start of a
    /// line to the dot rule: the sender's side did not stuff a dot there either.
    fn bare(&mut self, out: &mut Vec<u8>) {
        match self.newlines {
            Newlines::Mend => {
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

    /// The stored text, its fault, and what was left after its end; read in two pieces cut at
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
    fn a_text_ends_at_crlf_dot_crlf_wherever_it_is_cut() {
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
    fn no_other_form_ends_a_text() {
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
    fn the_owners_own_newlines_are_mended() {
        let (stored, fault, _) = read(b"a\nb\rc\r\n.d\n.\ne\r\n.\r\n", Newlines::Mend, 4).unwrap();
        assert_eq!((stored.as_slice(), fault), (&b"a\r\nb\r\nc\r\nd\r\n.\r\ne\r\n"[..], None));
    }

    #[test]
    fn what_is_too_large_is_read_to_its_end_and_not_kept() {
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
    fn a_line_has_a_limit() {
        let mut text = Text::dotted(Newlines::Refuse, u64::MAX);
        let line = vec![b'x'; TEXT_LINE_LEN_MAX + 1];
        assert_eq!(text.read(&line, &mut Vec::new()), Progress::More);
        assert_eq!(text.fault(), Some(Fault::LineTooLong));
    }

    #[test]
    fn a_chunked_text_keeps_its_dots_and_gets_a_line_end() {
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

    /// The plainest possible reading of RFC 5321 4.5.2, for texts that have CR and LF in pairs
    /// only.
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
        fn any_text_is_read_as_the_rfc_reads_it(parts in prop::collection::vec("(\r\n|\\.|a|\r\n\\.|\r\n\\.\r\n)", 0..20), cut in 0usize..60) {
            let input = parts.concat().into_bytes();
            let seen = read(&input, Newlines::Refuse, cut.min(input.len()));
            prop_assert_eq!(seen.map(|(stored, fault, _)| (stored, fault)), model(&input).map(|stored| (stored, None)));
        }

        #[test]
        fn where_a_text_is_cut_changes_nothing(parts in prop::collection::vec("[\r\n.ab]", 0..40), cut in 0usize..40) {
            let input = parts.concat().into_bytes();
            for newlines in [Newlines::Refuse, Newlines::Mend] {
                prop_assert_eq!(read(&input, newlines, cut.min(input.len())), read(&input, newlines, input.len()));
            }
        }
    }
}
