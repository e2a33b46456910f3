//! Whether two messages of one Message-ID are the same message: the copy that this node stored at
//! the submission, and the one that the mail program appends.
//!
//! Programs and servers differ in trace fields (RFC 5322 3.6.7), in Bcc, in fields of their own, in
//! folding and in the end of the body. A difference in anything else, such as the readable copy of
//! an encrypted message, makes two messages.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use freehold_mime::{header, header_end, word};

use super::HEADER_LEN_MAX;
use crate::blobs::BlobReader;
use crate::node::Node;
use crate::store::{BlobId, StoreError};

/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;
/// The fields that are compared, decoded: they and the body are the message for its readers.
const COMPARED: [&str; 12] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "in-reply-to",
    "references",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "autocrypt",
];

/// The content of a message as far as it is compared.
#[derive(PartialEq, Eq)]
pub(super) struct Content {
    fields: Vec<Vec<String>>,
    /// The hash of the body without CR and without line ends at its end.
    body: [u8; 32],
}

/// A message with what its header tells about it.
pub(super) struct Examined {
    pub(super) content: Content,
    /// A server has received it: it is no copy that a program made.
    pub(super) has_received: bool,
    /// It names recipients in Bcc (RFC 5322 3.6.3).
    pub(super) has_bcc: bool,
}

/// Reads a message in pieces. `None` if its header is too long to be compared. Blocks.
pub(super) fn examine(node: &Node, blob: &BlobId) -> Result<Option<Examined>, StoreError> {
    let reader = node.blobs.open(blob)?;
    let mut start = vec![0; HEADER_LEN_MAX];
    let len = reader.read_at(0, &mut start)?;
    start.truncate(len);
    let is_whole = len as u64 == reader.len();
    let header_len = match header_end::end(&start) {
        Some(len) => len,
        None if is_whole => header_end::len(&start),
        None => return Ok(None),
    };
    let body = body_hash(&reader, header_len as u64)?;
    start.truncate(header_len);
    let fields = COMPARED.iter().map(|name| header::all(&start, name).map(normal).collect());
    Ok(Some(Examined {
        content: Content { fields: fields.collect(), body },
        has_received: header::first(&start, "received").is_some(),
        has_bcc: header::first(&start, "bcc").is_some(),
    }))
}

/// A value without the encoding and the white space in which programs and servers differ.
fn normal(value: &[u8]) -> String {
    let text = word::decode(&header::unfold(value), None);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

fn body_hash(reader: &BlobReader, from: u64) -> Result<[u8; 32], StoreError> {
    let mut hasher = blake3::Hasher::new();
    let (mut piece, mut kept) = (vec![0; PIECE_LEN], Vec::with_capacity(PIECE_LEN));
    // Line ends count only if a text follows.
    let (mut at, mut line_ends) = (from, 0usize);
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return Ok(*hasher.finalize().as_bytes());
        }
        for byte in piece.get(..len).unwrap_or_default() {
            match byte {
                b'\r' => {}
                b'\n' => line_ends += 1,
                _ => {
                    kept.extend(std::iter::repeat_n(b'\n', std::mem::take(&mut line_ends)));
                    kept.push(*byte);
                }
            }
        }
        hasher.update(&kept);
        kept.clear();
        at += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    async fn trace_fields_and_folding_make_no_other_message() {
        let node = TestNode::new("alice").await;
        let read = |text: &str| {
            let blob = node.blobs.put(text.as_bytes()).unwrap();
            examine(&node, &blob.id).unwrap().unwrap().content
        };
        let one = read("From: a@a.example\r\nSubject: High tide\r\n\r\nat\r\n\r\nsix\r\n");
        for same in [
            "Received: by us\r\nX-Mozilla-Keys: \r\nFrom: a@a.example\r\n\
             Subject: High\r\n tide\r\n\r\nat\r\n\r\nsix\r\n",
            "Subject: =?utf-8?q?High_tide?=\r\nBcc: b@b.example\r\nFrom: a@a.example\r\n\r\n\
             at\r\n\r\nsix",
            "From: a@a.example\nSubject: High tide\n\nat\n\nsix\n\n",
        ] {
            assert!(read(same) == one, "{same}");
        }
        for other in [
            "From: a@a.example\r\nSubject: High tide\r\n\r\nat\r\nsix\r\n",
            "From: a@a.example\r\nSubject: Low tide\r\n\r\nat\r\n\r\nsix\r\n",
            "From: a@a.example\r\nSubject: High tide\r\nContent-Type: text/html\r\n\r\n\
             at\r\n\r\nsix\r\n",
            "From: a@a.example\r\nSubject: High tide\r\n\r\n",
        ] {
            assert!(read(other) != one, "{other}");
        }
        let long = format!("{}\r\n\r\nx", "X: y\r\n".repeat(HEADER_LEN_MAX));
        let blob = node.blobs.put(long.as_bytes()).unwrap();
        assert!(examine(&node, &blob.id).unwrap().is_none(), "never joined");
        let line_ends = "\r\n".repeat(200_000);
        assert!(read(&format!("From: a@a.example\r\n\r\nx{line_ends}y")) != one);
    }
}
