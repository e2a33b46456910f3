//! Prints responses (RFC 3501 sections 7 and 9). Only this module chooses between quoted string and
//! literal.

use std::io::Write;

/// Longest text printed as a quoted string, in bytes. A longer one is printed as a literal, because
/// many programs limit the length of a line.
const QUOTED_LEN_MAX: usize = 1_000;

/// Responses waiting to be sent.
#[derive(Debug, Default)]
pub struct Printer(Vec<u8>);

impl Printer {
    /// The number of octets printed and not taken.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if no octets wait to be taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the printed octets.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }

    /// Octets, unchanged.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    /// A number or other syntax, by its `Display`.
    pub fn show(&mut self, value: impl std::fmt::Display) -> &mut Self {
        // Writing into a Vec can't fail.
        let _ = write!(self.0, "{value}");
        self
    }

    /// The end of a line.
    pub fn end(&mut self) -> &mut Self {
        self.raw("\r\n")
    }

    /// Drops what was printed after the first `len` octets.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Adds responses printed elsewhere.
    pub fn append(&mut self, responses: Vec<u8>) {
        if self.0.is_empty() {
            self.0 = responses;
        } else {
            self.0.extend_from_slice(&responses);
        }
    }

    /// One line.
    pub fn line(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.raw(text).end()
    }

    /// `string`.
    pub fn string(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        let plain = bytes.len() <= QUOTED_LEN_MAX
            && bytes.iter().all(|byte| (b' '..0x7f).contains(byte) || *byte == b'\t');
        if !plain {
            return self.literal(bytes);
        }
        self.raw("\"");
        for byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                self.0.push(b'\\');
            }
            self.0.push(*byte);
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

    /// `literal`. It can't contain NUL (RFC 3501 section 9, `CHAR8`): NUL is replaced by 0x80,
    /// which keeps the announced length.
    pub fn literal(&mut self, bytes: &[u8]) -> &mut Self {
        self.show(format_args!("{{{}}}\r\n", bytes.len())).octets(bytes)
    }

    /// Part of a literal whose length is already printed.
    pub fn octets(&mut self, bytes: &[u8]) -> &mut Self {
        if memchr::memchr(0, bytes).is_none() {
            self.0.extend_from_slice(bytes);
        } else {
            self.0.extend(bytes.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
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
    fn nul_octet_is_replaced_in_literals() {
        let mut printer = Printer::default();
        printer.string(b"a\0b");
        assert_eq!(printer.take(), b"{3}\r\na\x80b");
    }
}
