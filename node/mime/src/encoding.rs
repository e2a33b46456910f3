//! Content-Transfer-Encoding (RFC 2045 6): bytes from their encoded form. Damage never hides the
//! rest.

pub mod stream;

use std::borrow::Cow;

use crate::media::{hex, parametrised};

/// A transfer encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary` and unknown ones: the bytes as they are.
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `x-uuencode`, which programs of the nineties wrote.
    Uuencode,
}

impl Encoding {
    /// Parses a `Content-Transfer-Encoding` value; comments are allowed (RFC 2045 5.1).
    pub fn parse(value: &[u8]) -> Self {
        Self::known(value).unwrap_or(Self::Identity)
    }

    /// As [`Encoding::parse`]; `None` for an encoding that is unknown.
    pub fn known(value: &[u8]) -> Option<Self> {
        let name: Vec<u8> = parametrised(value)
            .0
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(u8::to_ascii_lowercase)
            .collect();
        match name.as_slice() {
            b"base64" => Some(Self::Base64),
            b"quotedprintable" => Some(Self::QuotedPrintable),
            b"xuuencode" | b"uuencode" | b"xuue" | b"uue" => Some(Self::Uuencode),
            b"" | b"7bit" | b"8bit" | b"binary" => Some(Self::Identity),
            _ => None,
        }
    }
}

/// A decoded body.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// The content.
    pub bytes: Cow<'a, [u8]>,
    /// Plain text that a mailing list put behind encoded content; usually empty.
    pub footer: &'a [u8],
}

/// Decodes a body. The result is never longer than `body`.
pub fn decode(body: &[u8], encoding: Encoding) -> Decoded<'_> {
    let (bytes, footer) = match encoding {
        Encoding::Identity => (Cow::Borrowed(body), &b""[..]),
        Encoding::QuotedPrintable => (Cow::Owned(quoted_printable(body)), &b""[..]),
        Encoding::Uuencode => (Cow::Owned(uuencode(body)), &b""[..]),
        Encoding::Base64 if is_plain(body) => (Cow::Borrowed(body), &b""[..]),
        Encoding::Base64 => {
            let (encoded, footer) = without_footer(body);
            (Cow::Owned(base64(encoded)), footer)
        }
    };
    Decoded { bytes, footer }
}

/// The value of a base64 digit (RFC 4648 4).
pub(crate) fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => byte.checked_sub(b'A'),
        b'a'..=b'z' => byte.checked_sub(b'a' - 26),
        b'0'..=b'9' => byte.checked_add(52 - b'0'),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes base64. Bytes outside the alphabet are ignored, padding may be missing, and padding ends
/// the data (RFC 2045 6.8). Another piece may follow it at once or on the next line, as programs
/// join pieces; behind other bytes nothing more is data.
pub fn base64(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len() / 4 * 3);
    let mut decoder = Base64::default();
    decoder.push(encoded, &mut out);
    decoder.finish(&mut out);
    out
}

/// The state of [`base64`] between two pieces.
#[derive(Debug, Default)]
struct Base64 {
    bits: u32,
    digits: u32,
    /// Within the line, after padding.
    is_padded: bool,
    /// Within the line, after another byte behind padding.
    has_ended: bool,
    /// Nothing more is data.
    is_over: bool,
}

impl Base64 {
    fn push(&mut self, encoded: &[u8], out: &mut Vec<u8>) {
        for byte in encoded {
            if self.is_over {
                return;
            }
            if let Some(value) = base64_value(*byte) {
                if self.has_ended {
                    self.is_over = true;
                    return;
                }
                self.is_padded = false;
                self.bits = (self.bits << 6) | u32::from(value);
                self.digits = self.digits.saturating_add(1);
                if self.digits == 4 {
                    out.extend(self.bits.to_be_bytes().iter().skip(1));
                    (self.bits, self.digits) = (0, 0);
                }
            } else if *byte == b'=' {
                self.finish(out);
                self.is_padded = true;
            } else if *byte == b'\n' {
                (self.is_padded, self.has_ended) = (false, false);
            } else if *byte != b'\r' {
                self.has_ended |= self.is_padded;
            }
        }
    }

    /// The bytes of an incomplete group of digits.
    fn finish(&mut self, out: &mut Vec<u8>) {
        let (bits, digits) = (self.bits, self.digits);
        (self.bits, self.digits) = (0, 0);
        let (bits, count) = match digits {
            2 => (bits << 12, 1),
            3 => (bits << 6, 2),
            _ => return,
        };
        out.extend(bits.to_be_bytes().iter().skip(1).take(count));
    }
}

/// True for a text of words, which is no base64 whatever its label says.
fn is_plain(body: &[u8]) -> bool {
    let gaps = body.windows(3).filter(|three| {
        let is_word = |byte: &u8| byte.is_ascii_graphic();
        matches!(three, [before, b' ', after] if is_word(before) && is_word(after))
    });
    let has_marks = body.iter().any(|byte| b".,;:?'".contains(byte));
    body.len() >= 40 && has_marks && gaps.take(body.len() / 12).count() == body.len() / 12
}

/// Splits base64 from the plain text behind it: it begins at a line with foreign bytes that comes
/// after the padding or an empty line, or that has no digit of base64.
fn without_footer(body: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0usize;
    let mut footer = Footer::default();
    for line in body.split_inclusive(|byte| *byte == b'\n') {
        if footer.begins_at(line) {
            return body.split_at_checked(at).unwrap_or((body, b""));
        }
        at = at.saturating_add(line.len());
    }
    (body, b"")
}

/// The state of [`without_footer`] between two lines.
#[derive(Debug, Default)]
struct Footer {
    may_end: bool,
    has_begun: bool,
}

impl Footer {
    fn begins_at(&mut self, line: &[u8]) -> bool {
        let text = line.trim_ascii();
        let digits = text.iter().filter(|byte| base64_value(**byte).is_some()).count();
        let is_pure = text.iter().all(|byte| base64_value(*byte).is_some() || *byte == b'=');
        let is_rule = text.len() > 2 && digits == 0;
        if self.has_begun && !is_pure && (self.may_end || is_rule) {
            return true;
        }
        self.has_begun |= digits > 0;
        self.may_end = text.is_empty() || text.contains(&b'=');
        false
    }
}

/// Decodes quoted-printable (RFC 2045 6.7). A `=` that begins neither an octet nor a soft line
/// break is kept.
pub fn quoted_printable(encoded: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(encoded.len());
    for line in encoded.split_inclusive(|byte| *byte == b'\n') {
        quoted_line(&mut out, line);
    }
    out
}

/// Decodes one line of quoted-printable with its end, which the last line may lack.
fn quoted_line(out: &mut Vec<u8>, line: &[u8]) {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let line_end = if text.len() == line.len() {
        &b""[..]
    } else if text.ends_with(b"\r") {
        &b"\r\n"[..]
    } else {
        &b"\n"[..]
    };
    // Rule 3: white space at the end of a line was added on the way.
    let text = if line_end.is_empty() { text } else { text.trim_ascii_end() };
    let (text, line_end) = match text.trim_ascii_end().strip_suffix(b"=") {
        Some(text) => (text, &b""[..]),
        None => (text, line_end),
    };
    octets(out, text);
    out.extend_from_slice(line_end);
}

/// Decodes the `=XX` of one line.
pub(crate) fn octets(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(equals) = memchr::memchr(b'=', rest) {
        let (before, from) = rest.split_at_checked(equals).unwrap_or((rest, b""));
        out.extend_from_slice(before);
        let octet = match from {
            [_, high, low, ..] => hex(*high, *low),
            _ => None,
        };
        out.push(octet.unwrap_or(b'='));
        rest = from.get(if octet.is_some() { 3 } else { 1 }..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Decodes the lines between `begin` and `end` (POSIX uuencode).
fn uuencode(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Spaces at the end of a line may be data.
    let lines = body.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let lines = lines.skip_while(|line| !line.starts_with(b"begin ")).skip(1);
    for line in lines.take_while(|line| line.trim_ascii_end() != b"end") {
        let value = |byte: u8| byte.wrapping_sub(b' ') & 0x3f;
        let Some((len, data)) = line.split_first() else { continue };
        let mut decoded = Vec::with_capacity(data.len());
        for group in data.chunks(4) {
            let bits = (0..4usize).fold(0u32, |bits, at| {
                (bits << 6) | u32::from(value(group.get(at).copied().unwrap_or(b' ')))
            });
            decoded.extend(bits.to_be_bytes().iter().skip(1));
        }
        decoded.truncate(usize::from(value(*len)).min(data.len()));
        out.append(&mut decoded);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8], encoding: &str) -> String {
        let decoded = decode(body, Encoding::parse(encoding.as_bytes()));
        String::from_utf8_lossy(&decoded.bytes).into_owned()
    }

    #[test]
    fn transfer_encoding_is_parsed_with_comments() {
        for (value, encoding) in [
            (" quoted-printable (yes)\r\n", Encoding::QuotedPrintable),
            ("(x) BASE64", Encoding::Base64),
            ("\"base64\"", Encoding::Base64),
            ("base64;", Encoding::Base64),
            ("quoted printable", Encoding::QuotedPrintable),
            ("8bit", Encoding::Identity),
            ("", Encoding::Identity),
        ] {
            assert_eq!(Encoding::parse(value.as_bytes()), encoding, "{value}");
        }
    }

    #[test]
    fn damaged_base64_is_decoded() {
        for (body, text) in [
            ("SGVsbG8=", "Hello"),
            ("SGVsbG8", "Hello"),
            ("SGVs\r\nbG8=\r\n", "Hello"),
            ("SGV!s*bG8-=", "Hello"),
            ("SGVs bG8", "Hello"),
            ("SGVsbG8=SGVsbG8=", "HelloHello"),
            ("SGVsbG8=\r\nSGVsbG8=", "HelloHello"),
            ("LjQK!!", ".4\n"),
            ("SGVsbG8= \r\nSGVsbG8=", "HelloHello"),
            ("ecO2dMOkIHZhYW4uCg== ignored", "y\u{f6}t\u{e4} vaan.\n"),
            ("ecO2dMOkIHZhYW4uCg== ignored\r\n", "y\u{f6}t\u{e4} vaan.\n"),
            ("SGVsbG8=\tSGVsbG8=\r\n", "Hello"),
            ("S", ""),
            ("", ""),
        ] {
            assert_eq!(decoded(body.as_bytes(), "base64"), text, "{body}");
        }
    }

    #[test]
    fn plain_text_labelled_base64_is_kept() {
        let text = "These are the words of a text, which no program has ever encoded.";
        assert_eq!(decoded(text.as_bytes(), "base64"), text);
        let spaced = "SGVsbG8h ".repeat(20);
        assert!(decoded(spaced.as_bytes(), "base64").starts_with("Hello!Hello!"));
    }

    #[test]
    fn list_footer_behind_base64_is_apart() {
        for (body, footer) in [
            ("SGVsbG8=\r\n_____\r\nlist of x\r\n", "_____\r\nlist of x\r\n"),
            ("SGVsbG8=\n\nUnsubscribe: http://x\n", "Unsubscribe: http://x\n"),
            ("SGVsbG8h\r\n-----\r\nlist", "-----\r\nlist"),
            ("SGVsbG8= ignored\r\n_____\r\nlist", "_____\r\nlist"),
        ] {
            let decoded = decode(body.as_bytes(), Encoding::Base64);
            assert!(decoded.bytes.starts_with(b"Hello") && decoded.bytes.len() <= 6, "{body}");
            assert_eq!(decoded.footer, footer.as_bytes());
        }
    }

    #[test]
    fn damaged_quoted_printable_is_decoded() {
        for (body, text) in [
            ("a=20b=\r\nc", "a bc"),
            ("a=\nb=  \r\nc", "abc"),
            ("caf=c3=a9", "café"),
            ("1=1, =ZZ, =", "1=1, =ZZ, "),
            ("a  \r\nb \r\n", "a\r\nb\r\n"),
            ("a=3D=3d\n", "a==\n"),
        ] {
            assert_eq!(decoded(body.as_bytes(), "quoted-printable"), text, "{body}");
        }
    }

    #[test]
    fn uuencoded_body_is_decoded() {
        let body = b"begin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n";
        assert_eq!(decoded(body, "x-uuencode"), "Cat");
        let zeros = b"begin 644 a.txt\r\n#    \r\n \r\nend \r\n";
        assert_eq!(decoded(zeros, "x-uuencode"), "\0\0\0");
        assert_eq!(decoded(b"no such data", "x-uuencode"), "");
    }

    proptest::proptest! {
        #[test]
        fn any_body_decodes_to_no_more_bytes(
            body in proptest::collection::vec(
                proptest::sample::select(b"Aa0+/=\r\n _!#`".to_vec()),
                0..200,
            ),
        ) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable, Encoding::Uuencode] {
                proptest::prop_assert!(decode(&body, encoding).bytes.len() <= body.len());
            }
        }
    }
}
