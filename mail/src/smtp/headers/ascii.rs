//! The header of a submission whose program did not ask for SMTPUTF8: raw 8-bit text in it is
//! encoded before the message is queued and signed, so that every next hop takes it.

use freehold_mime::ascii_header;

/// A longer header stays as it is, in bytes.
const HEADER_LEN_MAX: usize = 64 * 1024;
const HEADER_END: &[u8] = b"\r\n\r\n";

/// A header that is held back until it is whole; `None` once it has passed.
#[derive(Debug)]
pub(crate) struct AsciiHeader(Option<Vec<u8>>);

impl AsciiHeader {
    /// Encodes the header if `is_wanted`, else passes everything.
    pub(crate) fn new(is_wanted: bool) -> Self {
        Self(is_wanted.then(Vec::new))
    }

    /// Takes the next piece of the text, and returns what follows in the stored message.
    pub(crate) fn read(&mut self, text: Vec<u8>) -> Vec<u8> {
        let Some(held) = &mut self.0 else { return text };
        let from = held.len().saturating_sub(HEADER_END.len() - 1);
        held.extend_from_slice(&text);
        let end = if held.starts_with(b"\r\n") {
            Some(0)
        } else {
            let behind = held.get(from..).unwrap_or_default();
            memchr::memmem::find(behind, HEADER_END).map(|at| from + at + HEADER_END.len())
        };
        match end {
            Some(end) => {
                let body = held.split_off(end);
                let mut out = self.finish();
                out.extend_from_slice(&body);
                out
            }
            None if held.len() > HEADER_LEN_MAX => self.0.take().unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// The text ended: the rest of the stored message.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.0.take().map(|header| ascii_header::encode(&header)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(text: &str, piece_len: usize) -> String {
        let mut header = AsciiHeader::new(true);
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(piece_len) {
            out.extend(header.read(piece.to_vec()));
        }
        out.extend(header.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn header_is_encoded_and_body_is_not() {
        let text = "Subject: Grüße\r\nX: y\r\n\r\nGrüße\r\n\r\n";
        for piece_len in [1, 2, 3, 7, 1000] {
            let stored = stored(text, piece_len);
            assert_eq!(stored, "Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\nX: y\r\n\r\nGrüße\r\n\r\n");
        }
        assert_eq!(stored("\r\nGrüße\r\n", 3), "\r\nGrüße\r\n");
        assert_eq!(stored("Subject: ü\r\n", 3), "Subject: =?utf-8?B?w7w=?=\r\n");
        let long = format!("X: {}\r\n\r\nü", "ü".repeat(HEADER_LEN_MAX));
        assert_eq!(stored(&long, 1000), long);
        assert_eq!(AsciiHeader::new(false).read(text.as_bytes().to_vec()), text.as_bytes());
    }
}
