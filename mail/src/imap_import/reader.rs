//! Splits the output of a server into whole responses (RFC 3501 7), with limits that are checked
//! before anything is allocated: the bytes are a stranger's.
//!
//! A response is lines joined by literals. Short literals stay in the response, as in a command of
//! a client. The text of a message (`BODY[]`) is handed out apart, and `NIL` replaces it in the
//! response.

/// The longest response without the text of its message, in bytes: a message of Gmail may have many
/// labels.
const RESPONSE_LEN_MAX: usize = 256 * 1024;
/// How much of a message's text is reserved before it comes, in bytes.
const RESERVED_MAX: usize = 1024 * 1024;

/// The next piece of the output.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// More bytes are needed.
    Incomplete,
    /// The text of a message follows, of this length. Answer with `keep` or `skip`.
    Text(u64),
    /// A whole response.
    Response(Response),
    /// A response is over its limit: the connection is to be closed.
    TooLong,
}

/// A response.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Response {
    /// Its lines and short literals, without the last line end.
    pub(super) line: Vec<u8>,
    /// The text of its message.
    pub(super) text: Option<Text>,
}

/// The text of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Text {
    /// Its bytes.
    Kept(Vec<u8>),
    /// It was too long and was dropped.
    Skipped,
}

#[derive(Debug, Default)]
enum Mode {
    #[default]
    Line,
    Literal(usize),
    Announced(u64),
    Keeping(usize),
    Skipping(u64),
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Reader {
    input: Vec<u8>,
    /// Bytes at the front of `input` without a line end, so that input in small pieces is not
    /// scanned again.
    scanned: usize,
    response: Response,
    mode: Mode,
}

impl Reader {
    /// Hands in received bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// True if bytes were received that are in no response yet.
    pub(super) fn has_more(&self) -> bool {
        !self.input.is_empty()
    }

    /// Keeps the text that was announced.
    pub(super) fn keep(&mut self) {
        if let Mode::Announced(len) = self.mode {
            let left = usize::try_from(len).unwrap_or(usize::MAX);
            self.response.text = Some(Text::Kept(Vec::with_capacity(left.min(RESERVED_MAX))));
            self.mode = if left == 0 { Mode::Line } else { Mode::Keeping(left) };
        }
    }

    /// Reads the text that was announced, and drops it.
    pub(super) fn skip(&mut self) {
        if let Mode::Announced(len) = self.mode {
            self.response.text = Some(Text::Skipped);
            self.mode = Mode::Skipping(len);
        }
    }

    /// The next piece.
    pub(super) fn next(&mut self) -> Piece {
        loop {
            match self.mode {
                Mode::Line => match self.line() {
                    Some(piece) => return piece,
                    None => continue,
                },
                Mode::Announced(len) => return Piece::Text(len),
                Mode::Literal(left) => {
                    let len = left.min(self.input.len());
                    self.response.line.extend(self.input.drain(..len));
                    self.mode = if len == left { Mode::Line } else { Mode::Literal(left - len) };
                }
                Mode::Keeping(left) => {
                    let len = left.min(self.input.len());
                    let bytes = self.input.drain(..len);
                    if let Some(Text::Kept(text)) = &mut self.response.text {
                        text.extend(bytes);
                    }
                    self.mode = if len == left { Mode::Line } else { Mode::Keeping(left - len) };
                }
                Mode::Skipping(left) => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
                    self.input.drain(..len);
                    let left = left.saturating_sub(len as u64);
                    self.mode = if left == 0 { Mode::Line } else { Mode::Skipping(left) };
                }
            }
            if self.input.is_empty() && !matches!(self.mode, Mode::Line) {
                return Piece::Incomplete;
            }
        }
    }

    /// Reads a line; `None` if a literal follows it.
    fn line(&mut self) -> Option<Piece> {
        let unread = self.input.get(self.scanned..).unwrap_or_default();
        let end = memchr::memchr(b'\n', unread).map(|at| self.scanned + at + 1);
        let len = self.response.line.len().saturating_add(end.unwrap_or(self.input.len()));
        if len > RESPONSE_LEN_MAX {
            return Some(Piece::TooLong);
        }
        let Some(end) = end else {
            self.scanned = self.input.len();
            return Some(Piece::Incomplete);
        };
        self.scanned = 0;
        self.response.line.extend(self.input.drain(..end));
        let line = &mut self.response.line;
        match literal(line) {
            Some((before, len)) => {
                if self.response.text.is_none() && is_text(line.get(..before).unwrap_or_default()) {
                    line.truncate(before);
                    line.extend_from_slice(b"NIL");
                    self.mode = Mode::Announced(len);
                    return None;
                }
                match usize::try_from(len) {
                    Ok(len) if line.len().saturating_add(len) <= RESPONSE_LEN_MAX => {
                        self.mode = Mode::Literal(len);
                        None
                    }
                    _ => Some(Piece::TooLong),
                }
            }
            None => {
                let len = line
                    .strip_suffix(b"\n")
                    .map_or(0, |line| line.strip_suffix(b"\r").unwrap_or(line).len());
                line.truncate(len);
                Some(Piece::Response(std::mem::take(&mut self.response)))
            }
        }
    }
}

/// The place and length of a literal that a line announces at its end. Texts for people announce
/// none (RFC 3501 9, `resp-text`).
fn literal(line: &[u8]) -> Option<(usize, u64)> {
    let body = line.strip_suffix(b"\r\n")?.strip_suffix(b"}")?;
    let rest = line.strip_prefix(b"* ")?;
    let word = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
    if ["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|w| word.eq_ignore_ascii_case(w.as_bytes()))
    {
        return None;
    }
    let before = memchr::memrchr(b'{', body)?;
    let digits = body.get(before + 1..)?;
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let len = std::str::from_utf8(digits).ok().filter(|_| is_number)?;
    // A number that is too large is refused as too long.
    Some((before, len.parse().unwrap_or(u64::MAX)))
}

/// True if the text of a message follows.
fn is_text(before: &[u8]) -> bool {
    let name = b"BODY[] ";
    before
        .len()
        .checked_sub(name.len())
        .and_then(|at| before.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &[u8] = b"* OK hello {3}\r\n* LIST () \"/\" {5}\r\na\r\nbc\r\n\
        * 1 FETCH (UID 7 BODY[] {4}\r\n\r\nx\n FLAGS ())\r\n* 2 FETCH (BODY[] {9}\r\n123456789)\r\n\
        * 3 FETCH (body[] {0}\r\n)\r\nA1 OK {1}\r\n";

    /// The responses of output that comes in pieces of `len` bytes.
    fn responses(len: usize) -> Vec<(String, Option<Text>)> {
        let (mut reader, mut found) = (Reader::default(), Vec::new());
        for piece in OUTPUT.chunks(len) {
            reader.push(piece);
            loop {
                match reader.next() {
                    Piece::Incomplete => break,
                    Piece::Text(len) if len > 8 => reader.skip(),
                    Piece::Text(_) => reader.keep(),
                    Piece::Response(Response { line, text }) => {
                        found.push((String::from_utf8(line).unwrap(), text));
                    }
                    Piece::TooLong => panic!(),
                }
            }
        }
        assert!(!reader.has_more());
        found
    }

    #[test]
    fn responses_are_the_same_in_any_pieces() {
        let expected = [
            ("* OK hello {3}", None),
            ("* LIST () \"/\" {5}\r\na\r\nbc", None),
            ("* 1 FETCH (UID 7 BODY[] NIL FLAGS ())", Some(Text::Kept(b"\r\nx\n".into()))),
            ("* 2 FETCH (BODY[] NIL)", Some(Text::Skipped)),
            ("* 3 FETCH (body[] NIL)", Some(Text::Kept(Vec::new()))),
            ("A1 OK {1}", None),
        ];
        let expected = expected.map(|(line, text)| (line.to_owned(), text));
        for len in 1..=OUTPUT.len() {
            assert_eq!(responses(len), expected, "{len}");
        }
    }

    #[test]
    fn response_over_its_limit_is_refused() {
        let long = vec![b'x'; RESPONSE_LEN_MAX + 1];
        for output in [
            &long[..],
            b"* LIST () \"/\" {999999999}\r\n",
            b"* LIST () \"/\" {99999999999999999999999999}\r\n",
            b"* 1 FETCH (BODY[HEADER] {262144}\r\n",
        ] {
            let mut reader = Reader::default();
            reader.push(output);
            assert_eq!(reader.next(), Piece::TooLong);
        }
        // A text is the caller's decision; nothing is reserved yet.
        let mut reader = Reader::default();
        reader.push(b"* 1 FETCH (BODY[] {99999999999999999999999999}\r\n");
        assert_eq!(reader.next(), Piece::Text(u64::MAX));
    }
}
