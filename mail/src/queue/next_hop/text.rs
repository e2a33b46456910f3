//! A queued message while it is sent, read in pieces from its blob. Everything here blocks.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_core::blobs::{BlobReader, Blobs};
use freehold_core::store::{BlobId, StoreError};
use freehold_mime::line_ends::LineEnds;
use mail_auth::common::headers::HeaderWriter;

use crate::dkim::Signer;
use crate::dkim::body::RelaxedBody;
use crate::queue::abort::AbortHandle;

/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// The text without its last line end, which lettre writes together with the dot (RFC 5321
/// 4.1.1.4).
pub(in crate::queue) struct Text {
    reader: BlobReader,
    len: u64,
    /// The header has bytes beyond ASCII (RFC 6532).
    pub(super) is_international: bool,
    /// Header or body have bytes beyond ASCII. Examined only on request.
    pub(super) is_eight_bit: bool,
}

impl Text {
    /// Opens the text and examines its header, and with `examine_body` its body.
    pub(in crate::queue) fn open(
        blobs: &Blobs,
        id: &BlobId,
        examine_body: bool,
    ) -> Result<Self, StoreError> {
        let reader = blobs.open(id)?;
        let len = reader.len();
        let mut end = [0; 2];
        let at = len.saturating_sub(2);
        let has_line_end = len >= 2 && reader.read_at(at, &mut end)? == 2 && end == *b"\r\n";
        let len = if has_line_end { at } else { len };
        let mut text = Self { reader, len, is_international: false, is_eight_bit: false };
        text.is_international = text.has_international_header()?;
        text.is_eight_bit = examine_body && text.find(|piece| (!piece.is_ascii(), false))?;
        Ok(text)
    }

    fn has_international_header(&self) -> Result<bool, StoreError> {
        // An empty line across two pieces is missed. Then SMTPUTF8 is at worst requested for a
        // message that does not need it.
        self.find(|piece| match piece.windows(4).position(|window| window == b"\r\n\r\n") {
            Some(end) => (!piece.get(..end).unwrap_or_default().is_ascii(), true),
            None => (!piece.is_ascii(), false),
        })
    }

    /// Examines the pieces in order; `examine` returns whether it found something, and whether to
    /// stop.
    fn find(&self, examine: impl Fn(&[u8]) -> (bool, bool)) -> Result<bool, StoreError> {
        let mut piece = vec![0; PIECE_LEN];
        let mut at = 0;
        while at < self.len {
            let len = self.reader.read_at(at, &mut piece)?;
            let (found, stop) = examine(piece.get(..len).unwrap_or_default());
            if found || stop || len == 0 {
                return Ok(found);
            }
            at += len as u64;
        }
        Ok(false)
    }

    /// The DKIM-Signature fields of `signers`, which stand before the text. A message that can't be
    /// signed is sent without.
    pub(in crate::queue) fn signatures(&self, signers: &[Signer]) -> Result<String, StoreError> {
        let mut streams: Vec<_> = signers.iter().map(Signer::sign_streaming).collect();
        let mut form = SignedForm::default();
        let mut position = Position::default();
        while let Some(piece) = self.next(&mut position)?.filter(|_| !streams.is_empty()) {
            let signed = form.read(&piece);
            streams.iter_mut().for_each(|stream| stream.write(&signed));
        }
        let mut fields = String::new();
        // The line end that lettre writes.
        let end = [form.read(b"\r\n"), form.finish()].concat();
        for mut stream in streams {
            stream.write(&end);
            match stream.finish() {
                Ok(signature) => fields.push_str(&signature.to_header()),
                Err(error) => tracing::warn!(%error, "a message is sent without a signature"),
            }
        }
        Ok(fields)
    }

    /// The pieces, behind `first`. When one can't be read the connection is aborted, so that the
    /// next hop does not accept a truncated message.
    pub(super) fn pieces(
        self,
        first: String,
        connection: AbortHandle,
    ) -> impl Iterator<Item = Vec<u8>> {
        let mut position = Position::default();
        let first = Some(first.into_bytes()).filter(|first| !first.is_empty());
        first.into_iter().chain(std::iter::from_fn(move || {
            self.next(&mut position).unwrap_or_else(|error| {
                tracing::error!(%error, "a queued message can't be read: its connection is aborted");
                connection.abort();
                None
            })
        }))
    }

    /// The next piece as it is sent and signed; `None` at the end. The queue takes no bare CR or
    /// LF. If one is there, as in a message that an earlier version queued, CR LF is sent for it:
    /// the next server must not find another end of the message (RFC 5321 2.3.8, 4.1.1.4).
    fn next(&self, position: &mut Position) -> Result<Option<Vec<u8>>, StoreError> {
        let left = self.len.saturating_sub(position.at);
        if left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE_LEN).min(PIECE_LEN)];
        let len = self.reader.read_at(position.at, &mut piece)?;
        if len == 0 {
            return Err(StoreError::Unavailable("the message is shorter than it was".to_owned()));
        }
        position.at = position.at.saturating_add(len as u64);
        let mut out = Vec::with_capacity(len);
        position.ends.read(piece.get(..len).unwrap_or_default(), &mut out);
        Ok(Some(out))
    }
}

/// How far a text is read.
#[derive(Default)]
struct Position {
    at: u64,
    ends: LineEnds,
}

/// The text as it is signed: its header as it is, and its body in the relaxed form, which is that
/// of every signer. The text that is sent stays as it is.
#[derive(Default)]
struct SignedForm {
    /// The last bytes of the header so far, which may begin the empty line.
    header_end: Vec<u8>,
    body: Option<RelaxedBody>,
}

impl SignedForm {
    fn read(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len());
        let body = match &mut self.body {
            Some(body) => {
                body.read(piece, &mut out);
                return out;
            }
            None => {
                let known = self.header_end.len();
                self.header_end.extend_from_slice(piece);
                match memchr::memmem::find(&self.header_end, b"\r\n\r\n") {
                    Some(at) => at.saturating_add(4).saturating_sub(known),
                    None => {
                        let drained = self.header_end.len().saturating_sub(3);
                        self.header_end.drain(..drained);
                        return piece.to_vec();
                    }
                }
            }
        };
        let (header, text) = piece.split_at_checked(body).unwrap_or((piece, &[]));
        out.extend_from_slice(header);
        self.body.insert(RelaxedBody::default()).read(text, &mut out);
        out
    }

    fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(body) = self.body {
            body.finish(&mut out);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::clock::{Clock, Timestamp};
    use freehold_core::node::Node;
    use freehold_core::random::Random;
    use mail_auth::common::crypto::{DkimKey, Ed25519Key};
    use mail_auth::dkim::DkimSigner;

    use super::*;

    fn text(content: &[u8]) -> Text {
        let node = Node::in_memory(Clock::manual(Timestamp(0)), Random::seeded(1)).unwrap();
        let pinned = node.blobs.put(content).unwrap();
        Text::open(&node.blobs, &pinned.id, true).unwrap()
    }

    #[test]
    fn last_line_end_is_left_to_the_dot() {
        for (content, sent) in [
            (&b"a\r\n\r\nb\r\n"[..], &b"a\r\n\r\nb"[..]),
            (b"b", b"b"),
            (b"\r\n", b""),
            (b"", b""),
            (b"\n", b"\r\n"),
            (b"a\r.\rMAIL\n.\r\n", b"a\r\n.\r\nMAIL\r\n."),
            (b"a\r\r\n", b"a\r\n"),
        ] {
            let pieces: Vec<u8> =
                text(content).pieces(String::new(), AbortHandle::default()).flatten().collect();
            assert_eq!(pieces, sent);
        }
        let long = vec![b'x'; PIECE_LEN * 2 + 1];
        let lens: Vec<usize> = text(&long)
            .pieces(String::new(), AbortHandle::default())
            .map(|piece| piece.len())
            .collect();
        assert_eq!(lens, [PIECE_LEN, PIECE_LEN, 1]);
    }

    #[test]
    fn signature_covers_the_relaxed_body() {
        let seed = [7; 32];
        let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
        let public = aws_lc_rs::signature::KeyPair::public_key(&key).as_ref();
        let key = Ed25519Key::from_seed_and_public_key(&seed, public).unwrap();
        let signer = DkimSigner::from_key(DkimKey::Ed25519(key)).domain("alice.example");
        let signers = [signer.selector("s").headers(["From"])];
        // The hashes of dkimpy: of "Hello!" with a line end, and of nothing.
        let (hello, nothing) =
            ("bh=EVfAHeUMDygbJe0SkMWJHjgXGjtiTLZnMQbyWqzsrCY=;", "bh=47DEQpj8HBSa+/TImW+5JCeuQe");
        let padding = "x".repeat(PIECE_LEN - 18);
        for (message, expected) in [
            ("From: a@b.example\r\n\r\nHello!\r\n  \r\n".to_owned(), hello),
            ("From: a@b.example\r\n\r\nHello!\r\n".to_owned(), hello),
            ("From: a@b.example\r\n\r\nHello! \r\n\r\n\t\r\n\r\n".to_owned(), hello),
            (format!("From: a@b.example\r\n{padding}:\r\n\r\nHello!\r\n \r\n"), hello),
            ("From: a@b.example\r\n\r\n  \r\n".to_owned(), nothing),
            ("From: a@b.example\r\n\r\n".to_owned(), nothing),
            ("From: a@b.example\r\n".to_owned(), nothing),
        ] {
            let fields = text(message.as_bytes()).signatures(&signers).unwrap();
            let fields = fields.replace("\r\n", "").replace(['\t', ' '], "");
            assert!(fields.contains(expected), "{message:?}: {fields}");
        }
        for cut in 1..30 {
            let mut form = SignedForm::default();
            let (a, b) = "A: b\r\n\r\nc  d\r\n \r\n".split_at(cut.min(17));
            let whole = [form.read(a.as_bytes()), form.read(b.as_bytes()), form.finish()].concat();
            assert_eq!(String::from_utf8(whole).unwrap(), "A: b\r\n\r\nc d\r\n", "{cut}");
        }
    }

    #[test]
    fn non_ascii_bytes_are_found_in_header_and_body() {
        let found = |content: &str| {
            let text = text(content.as_bytes());
            (text.is_international, text.is_eight_bit)
        };
        assert_eq!(found("Subject: a\r\n\r\nplain\r\n"), (false, false));
        assert_eq!(found("Subject: a\r\n\r\nnaïve\r\n"), (false, true));
        assert_eq!(found("Subject: naïve\r\n\r\nplain\r\n"), (true, true));
    }
}
