//! Splits the input into whole commands, with limits that are checked before anything is allocated
//! (RFC 3501 2.2.1, RFC 7888).
//!
//! A command is lines joined by literals: `A1 LOGIN {5}` CRLF `alice {4}` CRLF `pass` CRLF. The
//! framer stops at each announced literal; the caller keeps it in the command, streams it (APPEND),
//! or refuses it. The framer never holds more than one command and the input of one read.

/// Longest line before login. RFC 7162 section 4 advises to accept 8,192 octets.
const LINE_LEN_BEFORE_LOGIN_MAX: usize = 8 * 1024;
/// Longest line before login of an ID command: thirty fields with names of 30 and values of 1,024
/// octets, and their quotes and spaces (RFC 2971 3.3).
const ID_LEN_MAX: usize = 32 * 1024;
/// Longest literal before login: names and passwords are short.
const LITERAL_LEN_BEFORE_LOGIN_MAX: u64 = 4 * 1024;
/// Longest line after login: programs send long lists of UIDs.
const LINE_LEN_MAX: usize = 64 * 1024;
/// Longest literal kept in a command after login: folder names and search strings. APPEND streams
/// its literal instead.
const LITERAL_LEN_MAX: u64 = 64 * 1024;
/// Longest command, its lines and kept literals together.
const COMMAND_LEN_MAX: usize = 256 * 1024;
/// Largest piece of a streamed literal, in bytes.
const PIECE_LEN_MAX: usize = 64 * 1024;

/// The next frame of the input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// More bytes are needed.
    Incomplete,
    /// A whole command, literals inline, without its last line end.
    Command(Vec<u8>),
    /// The line ended by announcing a literal; `Framer::text` is the command so far. Answer with
    /// `keep`, `stream` or `refuse`.
    Literal(Literal),
    /// The next piece of a literal that is being streamed.
    Piece(Vec<u8>),
    /// The streamed literal is complete; the command's next line follows.
    PieceEnd,
    /// A line or command is over its limit: the connection is to be closed.
    TooLong,
}

/// A literal announced at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Literal {
    /// Its length in octets.
    pub(crate) len: u64,
    /// True for a synchronizing literal, whose octets are sent after `+`; false for `{n+}` (RFC
    /// 7888), whose octets follow at once.
    pub(crate) waits: bool,
    /// True for `~{n}` (RFC 3516).
    pub(crate) binary: bool,
}

#[derive(Debug)]
enum Mode {
    Line,
    Announced(Literal),
    Keeping { left: usize },
    Streaming { left: u64 },
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Framer {
    input: Vec<u8>,
    /// Octets at the front of `input` without a line end, so that input in small pieces is not
    /// scanned again.
    scanned: usize,
    /// The complete lines and literals of the current command.
    command: Vec<u8>,
    mode: Mode,
    line_len_max: usize,
    literal_len_max: u64,
}

impl Framer {
    /// A framer with the limits that hold before login.
    pub(crate) fn new() -> Self {
        Self {
            input: Vec::new(),
            scanned: 0,
            command: Vec::new(),
            mode: Mode::Line,
            line_len_max: LINE_LEN_BEFORE_LOGIN_MAX,
            literal_len_max: LITERAL_LEN_BEFORE_LOGIN_MAX,
        }
    }

    /// Raises the limits after login.
    pub(crate) fn logged_in(&mut self) {
        self.line_len_max = LINE_LEN_MAX;
        self.literal_len_max = LITERAL_LEN_MAX;
    }

    /// Hands in received octets.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Octets that are not yet part of a frame.
    pub(crate) fn input_len(&self) -> usize {
        self.input.len()
    }

    /// True between two commands, while no octet of the next one has come.
    pub(crate) fn is_between_commands(&self) -> bool {
        self.input.is_empty() && self.command.is_empty() && matches!(self.mode, Mode::Line)
    }

    /// Drops all input, because input received in the clear must not count after the TLS handshake.
    pub(crate) fn forget(&mut self) {
        self.input.clear();
        self.command.clear();
        self.scanned = 0;
        self.mode = Mode::Line;
    }

    /// The current command up to the announced literal.
    pub(crate) fn text(&self) -> &[u8] {
        &self.command
    }

    /// True if a literal may be kept in the command within the current limits.
    pub(crate) fn may_keep(&self, literal: Literal) -> bool {
        literal.len <= self.literal_len_max
            && usize::try_from(literal.len)
                .is_ok_and(|len| self.command.len().saturating_add(len) <= COMMAND_LEN_MAX)
    }

    /// Keeps the announced literal in the command. The caller has asked `may_keep`.
    pub(crate) fn keep(&mut self) {
        if let Mode::Announced(literal) = self.mode {
            self.mode = match usize::try_from(literal.len) {
                Ok(0) | Err(_) => Mode::Line,
                Ok(left) => Mode::Keeping { left },
            };
        }
    }

    /// True if the octets of a refused literal may be read and dropped within the current limits.
    pub(crate) fn may_drop(&self, literal: Literal) -> bool {
        literal.len <= self.literal_len_max
    }

    /// Hands the announced literal out in pieces.
    pub(crate) fn stream(&mut self) {
        if let Mode::Announced(literal) = self.mode {
            self.mode = Mode::Streaming { left: literal.len };
        }
    }

    /// Drops the command. The client does not send the octets of a refused synchronizing literal.
    pub(crate) fn refuse(&mut self) {
        self.command.clear();
        self.mode = Mode::Line;
    }

    /// The next frame.
    pub(crate) fn next(&mut self) -> Frame {
        loop {
            match self.mode {
                Mode::Announced(literal) => return Frame::Literal(literal),
                Mode::Keeping { left } => {
                    let taken = self.take(left);
                    if taken.is_empty() {
                        return Frame::Incomplete;
                    }
                    self.command.extend_from_slice(&taken);
                    let left = left.saturating_sub(taken.len());
                    self.mode = if left == 0 { Mode::Line } else { Mode::Keeping { left } };
                }
                Mode::Streaming { left: 0 } => {
                    self.mode = Mode::Line;
                    return Frame::PieceEnd;
                }
                Mode::Streaming { left } => {
                    let piece =
                        self.take(usize::try_from(left).unwrap_or(usize::MAX).min(PIECE_LEN_MAX));
                    if piece.is_empty() {
                        return Frame::Incomplete;
                    }
                    self.mode = Mode::Streaming { left: left.saturating_sub(piece.len() as u64) };
                    return Frame::Piece(piece);
                }
                Mode::Line => match self.line() {
                    Some(frame) => return frame,
                    None => continue,
                },
            }
        }
    }

    /// One line; `None` when it announced a literal and `next` is to go on.
    fn line(&mut self) -> Option<Frame> {
        let found = self.input.iter().skip(self.scanned).position(|byte| *byte == b'\n');
        let Some(end) = found.map(|at| at.saturating_add(self.scanned)) else {
            self.scanned = self.input.len();
            let over = self.is_over(self.input.len()) || self.command.len() > COMMAND_LEN_MAX;
            return Some(if over { Frame::TooLong } else { Frame::Incomplete });
        };
        if self.is_over(end) || self.command.len().saturating_add(end) > COMMAND_LEN_MAX {
            return Some(Frame::TooLong);
        }
        let mut line = self.take(end.saturating_add(1));
        self.scanned = 0;
        let announced = announced(&line);
        if announced.is_none() {
            // LF alone ends a line as well, for people who use netcat.
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        }
        self.command.extend_from_slice(&line);
        match announced {
            Some(literal) => {
                self.mode = Mode::Announced(literal);
                None
            }
            None => Some(Frame::Command(std::mem::take(&mut self.command))),
        }
    }

    /// True if a line of this length at the front of the input is too long.
    fn is_over(&self, len: usize) -> bool {
        len > self.line_len_max && (len > ID_LEN_MAX || !self.is_id())
    }

    /// True if the current command is ID.
    fn is_id(&self) -> bool {
        let start = if self.command.is_empty() { &self.input } else { &self.command };
        let mut words = start.splitn(3, |byte| *byte == b' ').skip(1);
        words.next().is_some_and(|name| name.eq_ignore_ascii_case(b"ID"))
    }

    fn take(&mut self, len_max: usize) -> Vec<u8> {
        let len = len_max.min(self.input.len());
        let rest = self.input.split_off(len);
        self.scanned = 0;
        std::mem::replace(&mut self.input, rest)
    }
}

/// The literal announced at the end of a line: `{n}`, `{n+}` or `~{n}` before CRLF.
fn announced(line: &[u8]) -> Option<Literal> {
    let line =
        line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n"))?.strip_suffix(b"}")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    let (before, digits) = line.split_at_checked(open)?;
    let digits = digits.strip_prefix(b"{")?;
    let (digits, waits) = match digits.strip_suffix(b"+") {
        Some(digits) => (digits, false),
        None => (digits, true),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // A number that overflows u64 is over every limit.
    let len = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some(Literal { len, waits, binary: before.last() == Some(&b'~') })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(framer: &mut Framer, bytes: &[u8]) -> Vec<Frame> {
        framer.push(bytes);
        let mut frames = Vec::new();
        loop {
            match framer.next() {
                Frame::Incomplete => return frames,
                Frame::Literal(literal) => {
                    frames.push(Frame::Literal(literal));
                    if framer.may_keep(literal) {
                        framer.keep();
                    } else {
                        framer.refuse();
                    }
                }
                Frame::TooLong => {
                    frames.push(Frame::TooLong);
                    return frames;
                }
                other => frames.push(other),
            }
        }
    }

    #[test]
    fn literals_stay_inline_at_every_split() {
        let input = b"A1 LOGIN {5}\r\nal{3} {4+}\r\n\r\n{2\r\nA2 NOOP\n";
        for at in 0..=input.len() {
            let mut framer = Framer::new();
            let mut got = frames(&mut framer, &input[..at]);
            got.extend(frames(&mut framer, &input[at..]));
            got.retain(|frame| matches!(frame, Frame::Command(_)));
            assert_eq!(
                got,
                [
                    Frame::Command(b"A1 LOGIN {5}\r\nal{3} {4+}\r\n\r\n{2".to_vec()),
                    Frame::Command(b"A2 NOOP".to_vec())
                ]
            );
        }
    }

    #[test]
    fn huge_literal_is_announced_before_allocation() {
        let mut framer = Framer::new();
        framer.push(b"A1 LOGIN {999999999}\r\n");
        let Frame::Literal(literal) = framer.next() else { panic!("no literal") };
        assert!(!framer.may_keep(literal) && literal.waits);
        framer.refuse();
        framer.push(b"A1 LOGIN {99999999999999999999999999+}\r\n");
        let Frame::Literal(literal) = framer.next() else { panic!("no literal") };
        assert_eq!(literal, Literal { len: u64::MAX, waits: false, binary: false });
    }

    #[test]
    fn endless_line_is_too_long_at_the_limit() {
        let mut framer = Framer::new();
        assert_eq!(frames(&mut framer, &[b'x'; LINE_LEN_BEFORE_LOGIN_MAX + 1]), [Frame::TooLong]);
        let mut framer = Framer::new();
        framer.logged_in();
        assert_eq!(frames(&mut framer, &[b'x'; LINE_LEN_BEFORE_LOGIN_MAX + 1]), []);
    }

    #[test]
    fn kept_literals_are_bounded_together() {
        let mut framer = Framer::new();
        framer.logged_in();
        framer.push(b"A1 SEARCH");
        for kept in 0..10 {
            framer.push(b" {60000}\r\n");
            let Frame::Literal(literal) = framer.next() else { panic!("no literal") };
            if !framer.may_keep(literal) {
                assert!(kept >= 4);
                return;
            }
            framer.keep();
            framer.push(&[b'x'; 60000]);
            assert_eq!(framer.next(), Frame::Incomplete);
        }
        panic!("no bound");
    }

    #[test]
    fn streamed_literal_is_split_into_pieces() {
        let mut framer = Framer::new();
        framer.push(b"A1 APPEND INBOX {5+}\r\nhel");
        assert!(matches!(framer.next(), Frame::Literal(_)));
        assert_eq!(framer.text(), b"A1 APPEND INBOX {5+}\r\n");
        framer.stream();
        assert_eq!(framer.next(), Frame::Piece(b"hel".to_vec()));
        assert_eq!(framer.next(), Frame::Incomplete);
        framer.push(b"lo\r\n");
        assert_eq!(framer.next(), Frame::Piece(b"lo".to_vec()));
        assert_eq!(framer.next(), Frame::PieceEnd);
        assert_eq!(framer.next(), Frame::Command(b"A1 APPEND INBOX {5+}\r\n".to_vec()));
    }
}
