//! Messages with NUL (RFC 3516 4.4). FETCH BODY[] must send a message without one (RFC 3501 4.3.1),
//! so parts with the transfer encoding `binary` are stored as base64. FETCH BINARY decodes them
//! again. A NUL in any other place can't be stored.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::ops::Range;

use data_encoding::BASE64;
use freehold_core::blobs::Pinned;
use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{self, MESSAGE_LEN_MAX};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_mime::media::parametrised;
use freehold_mime::{Kind, Structure, header};

use crate::imap::completion::Completion;
use crate::spool::Spool;

/// The octets in one line of base64 (RFC 2045 6.8: at most 76 characters).
const LINE_LEN: usize = 57;
/// The octets that are encoded at once: whole lines.
const PIECE_LEN: usize = LINE_LEN * 1024;
const FIELD: &[u8] = b"Content-Transfer-Encoding: base64\r\n";

/// A piece of the message to be stored.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    /// Octets of the message.
    Same(Range<usize>),
    /// The field that says base64.
    Field,
    /// Octets of the message, to be encoded.
    Base64(Range<usize>),
}

/// The message with its binary parts in base64, at most `len_max` bytes long.
///
/// # Errors
/// When a NUL would be left, the message would be too long, or the disk is full.
pub(super) async fn without_nul(
    node: &Node,
    blob: Pinned,
    len_max: u64,
) -> Result<Pinned, Completion> {
    let blobs = node.blobs.clone();
    let id = blob.id;
    let (message, pieces) = try_blocking(move || {
        let reader = blobs.open(&id)?;
        let message = reader.read_all(usize::try_from(MESSAGE_LEN_MAX).unwrap_or(usize::MAX))?;
        let pieces = plan(&message);
        Ok::<_, StoreError>((message, pieces))
    })
    .await?;
    let Some(pieces) = pieces else {
        // RFC 3516 4.4.
        let text = "the message has a NUL that is in no binary part";
        return Err(Completion::no(text).code("UNKNOWN-CTE"));
    };
    let len = pieces.iter().map(Piece::len).sum::<usize>() as u64;
    if len > len_max {
        return Err(Completion::no("the message is too large as base64").code("TOOBIG"));
    }
    let mut spool = Spool::create(&node.blobs, len).await?;
    for piece in pieces {
        match piece {
            Piece::Same(range) => spool.write(message.get(range).unwrap_or_default()).await,
            Piece::Field => spool.write(FIELD).await,
            Piece::Base64(range) => {
                for chunk in message.get(range).unwrap_or_default().chunks(PIECE_LEN) {
                    spool.write(&encoded(chunk)).await;
                }
            }
        }
    }
    let stored = spool.finish().await?;
    drop(blob);
    if let Err(error) = mailbox::discard(node, id).await {
        tracing::warn!(%error, "an encoded file is deleted later");
    }
    Ok(stored)
}

impl Piece {
    /// Its length when it is stored.
    fn len(&self) -> usize {
        match self {
            Self::Same(range) => range.len(),
            Self::Field => FIELD.len(),
            Self::Base64(range) => {
                let lines = range.len().div_ceil(LINE_LEN);
                BASE64.encode_len(range.len()).saturating_add(lines.saturating_mul(2))
            }
        }
    }
}

/// Lines of base64, each with its end.
fn encoded(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len().saturating_mul(3) / 2);
    for line in octets.chunks(LINE_LEN) {
        out.extend_from_slice(BASE64.encode(line).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The pieces of the message to be stored; `None` if a NUL is in no binary part.
fn plan(message: &[u8]) -> Option<Vec<Piece>> {
    let structure = Structure::parse(message);
    let (mut pieces, mut at) = (Vec::new(), 0usize);
    for id in structure.ids() {
        let part = structure.part(id);
        let body = structure.body(message, id);
        if part.kind != Kind::Leaf || memchr::memchr(0, body).is_none() {
            continue;
        }
        let header = message.get(part.header.clone())?;
        let field = header::fields(header).find(|field| field.is("content-transfer-encoding"))?;
        if !parametrised(field.value).0.eq_ignore_ascii_case(b"binary") {
            return None;
        }
        // The position of the field in the header.
        let before = field.raw.as_ptr().addr().checked_sub(header.as_ptr().addr())?;
        let start = part.header.start.checked_add(before)?;
        let end = start.checked_add(field.raw.len())?;
        pieces.extend([
            Piece::Same(at..start),
            Piece::Field,
            Piece::Same(end..part.body.start),
            Piece::Base64(part.body.clone()),
        ]);
        at = part.body.end;
    }
    pieces.push(Piece::Same(at..message.len()));
    let is_clean = |piece: &Piece| match piece {
        Piece::Same(range) => {
            message.get(range.clone()).is_some_and(|octets| memchr::memchr(0, octets).is_none())
        }
        Piece::Field | Piece::Base64(_) => true,
    };
    pieces.iter().all(is_clean).then_some(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(message: &[u8]) -> Option<Vec<u8>> {
        let pieces = plan(message)?;
        let mut out = Vec::new();
        let len: usize = pieces.iter().map(Piece::len).sum();
        for piece in pieces {
            match piece {
                Piece::Same(range) => out.extend_from_slice(&message[range]),
                Piece::Field => out.extend_from_slice(FIELD),
                Piece::Base64(range) => out.extend_from_slice(&encoded(&message[range])),
            }
        }
        assert_eq!(out.len(), len);
        Some(out)
    }

    #[test]
    fn binary_part_is_stored_as_base64() {
        let octets: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        let message = [
            &b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n\
               text\r\n--b\r\ncontent-transfer-encoding:\r\n BINARY (x)\r\nX: y\r\n\r\n"[..],
            &octets,
            b"\r\n--b--\r\nend",
        ]
        .concat();
        let stored = stored(&message).unwrap();
        assert!(!stored.contains(&0) && stored.ends_with(b"\r\n--b--\r\nend"));
        let structure = Structure::parse(&stored);
        let id = structure.find(&[2]).unwrap();
        assert_eq!(structure.decoded(&stored, id).bytes, octets);
        assert_eq!(structure.header(&stored, id), [FIELD, b"X: y\r\n\r\n"].concat());
    }

    #[test]
    fn nul_outside_of_binary_parts_is_refused() {
        let binary = b"Content-Transfer-Encoding: binary\r\n\r\na\0b";
        assert!(stored(binary).unwrap().ends_with(b"\r\nYQBi\r\n"));
        for message in [
            &b"Subject: a\0\r\n\r\nb"[..],
            b"Subject: a\r\n\r\n\0",
            b"Content-Transfer-Encoding: 8bit\r\n\r\n\0",
            b"X: \0\r\nContent-Transfer-Encoding: binary\r\n\r\n\0",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\0\r\n--b\r\n\r\n--b--",
            b"\0",
        ] {
            assert_eq!(stored(message), None);
        }
    }
}
