//! The body in its relaxed form (RFC 6376 3.4.4), in pieces. mail-auth 0.13 keeps an empty line
//! for lines of white space at the end of a body, which other implementations ignore. So its hasher
//! gets this form, which it leaves as it is.

/// A body that is being read. A carriage return outside a line end stays as it is.
#[derive(Debug, Default)]
pub(crate) struct RelaxedBody {
    /// Line ends that count only if a text follows.
    line_ends: usize,
    /// White space that counts only if a text follows on its line.
    has_space: bool,
    /// A CR that may belong to a line end.
    has_return: bool,
    /// A text was read.
    has_text: bool,
}

impl RelaxedBody {
    /// Reads a piece and appends its relaxed form to `out`, up to the last byte that is no white
    /// space: at most one byte for each byte read.
    pub(crate) fn read(&mut self, mut piece: &[u8], out: &mut Vec<u8>) {
        loop {
            let run = piece.iter().position(|byte| *byte <= b' ').unwrap_or(piece.len());
            let (text, rest) = piece.split_at(run);
            if !text.is_empty() {
                self.text(text, out);
            }
            let Some((byte, rest)) = rest.split_first() else { return };
            piece = rest;
            match byte {
                b'\n' => {
                    self.line_ends = self.line_ends.saturating_add(1);
                    (self.has_space, self.has_return) = (false, false);
                }
                b' ' | b'\t' => {
                    if self.has_return {
                        self.text(b"", out);
                    }
                    self.has_space = true;
                }
                b'\r' => {
                    if self.has_return {
                        self.text(b"", out);
                    }
                    self.has_return = true;
                }
                other => self.text(&[*other], out),
            }
        }
    }

    /// Writes what counts before a text, and the text.
    fn text(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for _ in 0..std::mem::take(&mut self.line_ends) {
            out.extend_from_slice(b"\r\n");
        }
        if std::mem::take(&mut self.has_space) {
            out.push(b' ');
        }
        if std::mem::take(&mut self.has_return) {
            out.push(b'\r');
        }
        out.extend_from_slice(text);
        self.has_text = true;
    }

    /// The body ended: a text ends with one line end, and a body without a text is empty.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        if self.has_return {
            self.text(b"", out);
        }
        if self.has_text {
            out.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use mail_auth::common::crypto::{HashContext, HashImpl, Sha256};
    use mail_auth::dkim::Canonicalization;
    use mail_auth::dkim::canonicalize::BodyHasher;

    use super::*;

    fn relaxed(body: &[u8], piece_len: usize) -> Vec<u8> {
        let (mut reading, mut out) = (RelaxedBody::default(), Vec::new());
        for piece in body.chunks(piece_len) {
            reading.read(piece, &mut out);
        }
        reading.finish(&mut out);
        out
    }

    fn hash(body: &[u8]) -> String {
        let mut hasher = BodyHasher::new(Sha256::hasher(), Canonicalization::Relaxed, 0);
        hasher.write(body);
        BASE64.encode(hasher.finish().0.complete().as_ref())
    }

    /// Bodies, and their relaxed hashes by dkimpy 1.1.
    const VECTORS: &[(&str, &str)] = &[
        ("", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("\r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("\r\n\r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("  \r\n", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        ("Hello!\r\n  \r\n", "EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY="),
        ("Hello!\r\n", "EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY="),
        ("Hello!\r\n\t \r\n\r\n \r\n", "EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY="),
        ("Hello!", "EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY="),
        ("Hello! \r\n", "EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY="),
        (" C \r\nD \t E\r\n\r\n\r\n", "unak6JHq0wL+Q1HP7dW1tjBx9FLA6DffoZ0qrLwbbpo="),
        ("a\r\n \r\nb\r\n", "zCIZgM59A4jZIcXrGIzhpoD2WhSv0BLiYnkKxFCegn8="),
        ("a\r\n\r\n\r\n b  c\t\r\n", "d1XKddngbjeLm1F3LAwB9CFuSgCDVhhKagQQgzvfJK0="),
    ];

    #[test]
    fn relaxed_body_hash_is_that_of_dkimpy() {
        for (body, expected) in VECTORS {
            for piece_len in [1, 2, 3, 1000] {
                let relaxed = relaxed(body.as_bytes(), piece_len);
                assert_eq!(hash(&relaxed), *expected, "{body:?} {piece_len}");
            }
        }
    }

    #[test]
    fn relaxed_body_ends_with_its_last_text() {
        let form = |body: &str| String::from_utf8(relaxed(body.as_bytes(), 3)).unwrap();
        assert_eq!(form("Hello!\r\n  \r\n"), "Hello!\r\n");
        assert_eq!(form("Hello!\r\n\t\r\n\r\n \r\n  "), "Hello!\r\n");
        assert_eq!(form(" C \r\nD \t E\r\n\r\n\r\n"), " C\r\nD E\r\n");
        assert_eq!(form(" \r\n\r\n"), "");
        assert_eq!(form("a\rb\r"), "a\rb\r\r\n");
        let long = format!("a{}", "\r\n \t".repeat(100_000));
        assert_eq!(form(&long), "a\r\n");
    }
}
