//! Line ends of a message on its way to SMTP: CR LF alone (RFC 5321 2.3.8, RFC 5322 2.3).
//!
//! Servers disagree about a bare CR or LF: one sees text where another sees the end of a line. Then
//! `CR . CR` ends the message for one of them, and the text behind it is commands.

/// Replaces each bare CR and each bare LF by CR LF, in a text that comes in pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineEnds {
    /// The text so far ends with a CR, for which CR LF was written.
    is_after_cr: bool,
    has_bare: bool,
}

impl LineEnds {
    /// Reads the next piece and appends it to `out`, at most twice as long.
    pub fn read(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut rest = text;
        loop {
            if self.is_after_cr && !rest.is_empty() {
                self.is_after_cr = false;
                match rest.strip_prefix(b"\n") {
                    Some(after) => rest = after,
                    None => self.has_bare = true,
                }
            }
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            out.extend_from_slice(line);
            let Some((newline, after)) = after.split_first() else { return };
            out.extend_from_slice(b"\r\n");
            match newline {
                b'\r' => self.is_after_cr = true,
                _ => self.has_bare = true,
            }
            rest = after;
        }
    }

    /// True if the text, were it to end here, has a bare CR or LF.
    pub fn has_bare(&self) -> bool {
        self.has_bare || self.is_after_cr
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let (mut ends, mut out) = (LineEnds::default(), Vec::new());
        pieces.iter().for_each(|piece| ends.read(piece, &mut out));
        (out, ends.has_bare())
    }

    #[test]
    fn bare_cr_and_lf_become_crlf() {
        for (text, expected) in [
            (
                &b"a\r.\rMAIL FROM:<x@y.test>\rb\r\n"[..],
                &b"a\r\n.\r\nMAIL FROM:<x@y.test>\r\nb\r\n"[..],
            ),
            (b"\r.\r\n", b"\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n.\r\nb"),
            (b"a\r\r\nb", b"a\r\n\r\nb"),
            (b"a\n\rb", b"a\r\n\r\nb"),
            (b"a\r", b"a\r\n"),
        ] {
            assert_eq!(read(&[text]), (expected.to_vec(), true));
        }
        assert_eq!(read(&[b"a\r", b"", b"\n.\r\n"]), (b"a\r\n.\r\n".to_vec(), false));
        assert_eq!(read(&[]), (Vec::new(), false));
    }

    proptest! {
        #[test]
        fn line_ends_are_independent_of_the_cut(text in "[\r\n.a]{0,30}", cut in 0usize..30) {
            let text = text.as_bytes();
            let (one, other) = text.split_at(cut.min(text.len()));
            let whole = read(&[text]);
            prop_assert_eq!(read(&[one, other]), whole.clone());
            let (out, has_bare) = whole;
            prop_assert_eq!(read(&[&out]), (out.clone(), false), "it has no bare CR or LF");
            prop_assert_eq!(has_bare, out != text);
        }
    }
}
