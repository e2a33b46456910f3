//! Decodes a body that comes in pieces, with a bounded memory: a line of the encoded text at most.

use super::{Base64, Encoding, Footer, octets, quoted_line};

/// The longest line that is held, in bytes; a longer one is decoded in parts. RFC 2045 6.7 and 6.8
/// allow lines of 76 characters.
const LINE_LEN_MAX: usize = 64 * 1024;

/// A decoder of one body. Its result is that of [`super::decode`] for text that is encoded as it
/// says; a text that is only labelled base64 is not stored.
#[derive(Debug)]
pub struct Decoder {
    encoding: Encoding,
    /// The line that has begun.
    line: Vec<u8>,
    base64: Base64,
    footer: Footer,
    /// The line is longer than `LINE_LEN_MAX`, and its beginning is decoded.
    is_long: bool,
    /// The text behind base64 has begun.
    is_over: bool,
}

impl Decoder {
    /// A decoder at the beginning of a body. Uuencoded text is passed on as it is.
    pub fn new(encoding: Encoding) -> Self {
        Self {
            encoding,
            line: Vec::new(),
            base64: Base64::default(),
            footer: Footer::default(),
            is_long: false,
            is_over: false,
        }
    }

    /// Decodes the next piece and adds its bytes to `out`: not more than the piece and the line
    /// that is held have.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if matches!(self.encoding, Encoding::Identity | Encoding::Uuencode) {
            out.extend_from_slice(piece);
            return;
        }
        for text in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.line.is_empty() && text.ends_with(b"\n") {
                self.line_end(text, out);
                continue;
            }
            self.line.extend_from_slice(text);
            if text.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line_end(&line, out);
            } else if self.line.len() > LINE_LEN_MAX {
                self.long_line(out);
            }
        }
    }

    /// Decodes what is held; the body has ended.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.line_end(&line, out);
        }
        self.base64.finish(out);
    }

    fn line_end(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let is_long = std::mem::take(&mut self.is_long);
        match self.encoding {
            Encoding::QuotedPrintable => quoted_line(out, line),
            _ => {
                self.is_over = self.is_over || (!is_long && self.footer.begins_at(line));
                if !self.is_over {
                    self.base64.push(line, out);
                }
            }
        }
    }

    /// Decodes the beginning of a long line, up to what may belong to its next part: an octet that
    /// has begun, and white space that may be the line's end.
    fn long_line(&mut self, out: &mut Vec<u8>) {
        self.is_long = true;
        let line = std::mem::take(&mut self.line);
        if self.encoding != Encoding::QuotedPrintable {
            if !self.is_over {
                self.base64.push(&line, out);
            }
            return;
        }
        let text = line.trim_ascii_end();
        let tail = text.len().saturating_sub(2);
        let begun = text.iter().skip(tail).position(|byte| *byte == b'=');
        let len = begun.map_or(text.len(), |at| tail.saturating_add(at));
        // A line of white space alone is text: it must not be held for ever.
        let len = if line.len().saturating_sub(len) > LINE_LEN_MAX / 2 { line.len() } else { len };
        let (text, held) = line.split_at_checked(len).unwrap_or((&line, b""));
        octets(out, text);
        self.line = held.to_vec();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{base64, quoted_printable, without_footer};
    use super::*;

    fn decoded(body: &[u8], encoding: Encoding, piece_len: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
        for piece in body.chunks(piece_len.max(1)) {
            decoder.push(piece, &mut out);
        }
        decoder.finish(&mut out);
        out
    }

    proptest! {
        #[test]
        fn pieces_decode_as_the_whole_body(
            body in proptest::collection::vec(
                proptest::sample::select(b"Aa0+/==\r\n\n _!4\xc3".to_vec()),
                0..300,
            ),
            len in 1..40usize,
        ) {
            let quoted = decoded(&body, Encoding::QuotedPrintable, len);
            prop_assert_eq!(quoted, quoted_printable(&body));
            let wanted = base64(without_footer(&body).0);
            prop_assert_eq!(decoded(&body, Encoding::Base64, len), wanted);
            prop_assert_eq!(decoded(&body, Encoding::Identity, len), body);
        }
    }

    #[test]
    fn long_lines_are_decoded_in_bounded_memory() {
        let octets: Vec<u8> = (0..=255u8).cycle().take(300_000).collect();
        let encoded = data_encoding::BASE64.encode(&octets);
        let quoted: String = octets.iter().map(|byte| format!("={byte:02X}")).collect();
        for len in [1_000, 65_537, 1_000_000] {
            assert_eq!(decoded(encoded.as_bytes(), Encoding::Base64, len), octets);
            assert_eq!(decoded(quoted.as_bytes(), Encoding::QuotedPrintable, len), octets);
        }
        let spaces = vec![b' '; 1_000_000];
        let mut decoder = Decoder::new(Encoding::QuotedPrintable);
        let mut out = Vec::new();
        for piece in spaces.chunks(10_000) {
            decoder.push(piece, &mut out);
            assert!(decoder.line.len() <= LINE_LEN_MAX + piece.len());
        }
        decoder.finish(&mut out);
        assert_eq!(out.len(), spaces.len());
    }
}
