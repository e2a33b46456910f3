//! Prints responses (RFC 3501 sections 7 and 9). Only this module chooses between quoted string and
//! literal.

use std::io::Write;

use crate::word;

/// Longest text printed as a quoted string, in bytes. A longer one is printed as a literal, because
/// many programs limit the length of a line.
const QUOTED_LEN_MAX: usize = 1_000;

/// Responses waiting to be sent.
#[derive(Debug, Default)]
pub struct Printer {
    bytes: Vec<u8>,
    takes_utf8: bool,
}

impl Printer {
    /// Whether the client takes UTF-8 in quoted strings (RFC 6855 3, RFC 9051 4.3).
    pub fn set_utf8(&mut self, takes_utf8: bool) {
        self.takes_utf8 = takes_utf8;
    }

    /// True if the client takes UTF-8 in quoted strings.
    pub fn takes_utf8(&self) -> bool {
        self.takes_utf8
    }

    /// The number of octets printed and not taken.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True if no octets wait to be taken.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes the printed octets.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Octets, unchanged.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// A number or other syntax, by its `Display`.
    pub fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        // Writing into a Vec can't fail.
        let _ = write!(self.bytes, "{value}");
        self
    }

    /// The end of a line.
    pub fn end(&mut self) -> &mut Self {
        self.raw("\r\n")
    }

    /// Drops what was printed after the first `len` octets.
    pub fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
    }

    /// Adds responses printed elsewhere.
    pub fn append(&mut self, responses: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = responses;
        } else {
            self.bytes.extend_from_slice(&responses);
        }
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.raw(text).end()
    }

    /// `string`.
    pub fn string(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let is_text = |byte: &u8| (b' '..0x7f).contains(byte) || *byte == b'\t' || *byte > 0x7f;
        let is_plain = bytes.len() <= QUOTED_LEN_MAX
            && bytes.iter().all(is_text)
            && (bytes.is_ascii() || (self.takes_utf8 && std::str::from_utf8(bytes).is_ok()));
        if !is_plain {
            return self.literal(bytes);
        }
        self.raw("\"");
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.bytes.push(b'\\');
            }
            self.bytes.push(*byte);
        }
        self.raw("\"")
    }

    /// `nstring`.
    pub fn nstring(&mut self, bytes: Option<impl AsRef<[u8]>>) -> &mut Self {
        match bytes {
            Some(bytes) => self.string(bytes),
            None => self.raw("NIL"),
        }
    }

    /// Items that were printed for every client and stored. Their strings that are not US-ASCII get
    /// the form that this client takes: a quoted string of UTF-8, or encoded words (RFC 2047) for a
    /// client that has not enabled UTF-8 (RFC 6855 7). Octets in another charset stay as they are.
    pub fn printed(&mut self, printed: &[u8]) -> &mut Self {
        let mut rest = printed;
        // A string that is not US-ASCII was printed as a literal.
        while !rest.is_ascii() {
            let Some((before, text, after)) = next_literal(rest) else { break };
            self.raw(before);
            if text.is_ascii() || std::str::from_utf8(text).is_err() {
                self.literal(text);
            } else if !self.takes_utf8 {
                self.string(word::encode(&word::decode(text, None)));
            } else {
                self.string(text);
            }
            rest = after;
        }
        self.raw(rest)
    }

    /// `literal`. It can't contain NUL (RFC 3501 section 9, `CHAR8`): NUL is replaced by 0x80,
    /// which keeps the announced length.
    pub fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        self.show(format_args!("{{{}}}\r\n", bytes.len())).octets(bytes)
    }

    /// Part of a literal whose length is already printed.
    pub fn octets(&mut self, bytes: &[u8]) -> &mut Self {
        if memchr::memchr(0, bytes).is_none() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.extend(bytes.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
        }
        self
    }

    /// Items separated by spaces, in parentheses.
    pub fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        mut print: impl FnMut(&mut Self, T),
    ) -> &mut Self {
        self.raw("(");
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                self.raw(" ");
            }
            print(self, item);
        }
        self.raw(")")
    }
}

/// The text up to the first literal, the literal's octets, and the text behind it.
fn next_literal(printed: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let mut at = 0usize;
    loop {
        let found = memchr::memchr2(b'"', b'{', printed.get(at..)?)?.checked_add(at)?;
        if printed.get(found) == Some(&b'"') {
            at = after_quoted(printed, found.checked_add(1)?)?;
            continue;
        }
        let (before, literal) = printed.split_at_checked(found)?;
        let end = memchr::memchr(b'}', literal)?;
        let digits = std::str::from_utf8(literal.get(1..end)?).ok()?;
        let octets = literal.get(end..)?.strip_prefix(b"}\r\n")?;
        let (text, after) = octets.split_at_checked(digits.parse().ok()?)?;
        return Some((before, text, after));
    }
}

/// The position behind a quoted string whose text begins at `at`.
fn after_quoted(printed: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let found = memchr::memchr2(b'"', b'\\', printed.get(at..)?)?.checked_add(at)?;
        if printed.get(found) == Some(&b'"') {
            return found.checked_add(1);
        }
        at = found.checked_add(2)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl FnOnce(&mut Printer)) -> String {
        let mut printer = Printer::default();
        print(&mut printer);
        String::from_utf8_lossy(&printer.take()).into_owned()
    }

    #[test]
    fn string_is_quoted_or_literal_by_its_content() {
        assert_eq!(
            printed(|p| {
                p.string(r#"a "b" \c"#);
            }),
            r#""a \"b\" \\c""#
        );
        assert_eq!(
            printed(|p| {
                p.string("grüße");
            }),
            "{7}\r\ngrüße"
        );
        assert_eq!(
            printed(|p| {
                p.string("a\r\nb");
            }),
            "{4}\r\na\r\nb"
        );
        assert_eq!(
            printed(|p| {
                p.nstring(None::<&str>);
            }),
            "NIL"
        );
        assert_eq!(
            printed(|p| {
                p.list([1, 2], |p, n| {
                    p.show(n);
                });
            }),
            "(1 2)"
        );
    }

    #[test]
    fn stored_strings_get_the_form_that_the_client_takes() {
        let stored = printed(|p| {
            p.raw("(").string("a {3}\" b").raw(" ").string("Grüße").raw(" NIL ").string("a\nb");
            p.raw(" ").string("=?utf-8?q?=C3=BC?= ü").raw(")");
        });
        let plain = printed(|p| {
            p.printed(stored.as_bytes());
        });
        let words = "(\"a {3}\\\" b\" \"=?utf-8?B?R3LDvMOfZQ==?=\" NIL {3}\r\na\nb \
                     \"=?utf-8?B?w7wgw7w=?=\")";
        assert_eq!(plain, words);
        let utf8 = printed(|p| {
            p.set_utf8(true);
            p.printed(stored.as_bytes());
        });
        assert!(utf8.contains("\"Grüße\" NIL {3}\r\na\nb \"=?utf-8?q?=C3=BC?= ü\""), "{utf8}");
    }

    #[test]
    fn octets_of_another_charset_stay_as_they_are() {
        for takes_utf8 in [false, true] {
            let mut out = Printer::default();
            out.set_utf8(takes_utf8);
            out.printed(b"({9}\r\nFr\xf6sche.t NIL)");
            assert_eq!(out.take(), b"({9}\r\nFr\xf6sche.t NIL)");
        }
    }

    #[test]
    fn damaged_items_are_printed_as_they_are() {
        for text in ["ü", "\"ü", "{9}\r\nü", "{x}\r\nü", "{2\r\nü", "\"\\", "{2}\r\nü{", "\"ü\\"]
        {
            let out = printed(|p| {
                p.set_utf8(true);
                p.printed(text.as_bytes());
            });
            assert!(out.contains('ü') || !text.contains('ü'), "{text}");
        }
    }

    #[test]
    fn nul_octet_is_replaced_in_literals() {
        let mut printer = Printer::default();
        printer.string(b"a\0b");
        assert_eq!(printer.take(), b"{3}\r\na\x80b");
    }
}
