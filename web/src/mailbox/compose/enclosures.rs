//! The files of a message that is written: kept from its draft, taken from a forwarded message, or
//! new. The message is streamed into a blob, so that no file is whole in memory.
//!
//! With files it is a multipart/mixed: the text, then a part for each file in base64. A message
//! that is sent along as one stays as it is (RFC 2046 5.2.1 forbids to encode it), unless it has
//! lines that SMTP does not carry; then it is a file like others.

use std::ops::Range;

use data_encoding::{BASE64_MIME, HEXLOWER};
use freehold_core::blobs::{BlobReader, Pinned};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_mime::{header, header_end};

use super::file_type;

/// The most files of one message: far below what readers take apart.
pub(super) const ENCLOSED_MAX: usize = 100;
/// The octets of a file in one line of base64: 76 characters (RFC 2045 6.8).
const LINE_LEN: u64 = 57;
/// How much of a file is read at once, in bytes: whole lines of base64.
const PIECE_LEN: usize = 57 * 2048;
/// How much of a file tells its type, in bytes.
const SNIFFED_LEN: usize = 512;
/// The longest line of a message, in bytes without its end (RFC 5322 2.1.1).
const LINE_LEN_MAX: usize = 998;

/// The length of a file of `len` bytes in base64, with its line ends.
pub(super) fn encoded_len(len: u64) -> u64 {
    len.div_ceil(3).saturating_mul(4).saturating_add(len.div_ceil(LINE_LEN).saturating_mul(2))
}

/// A part of a message after its text.
#[derive(Clone, Debug)]
pub(super) struct Enclosure {
    /// For the owner; empty for one that was in the draft before.
    pub(super) name: String,
    /// Its header with the empty line; empty if the bytes begin with it.
    header: String,
    blob: Pinned,
    /// The bytes of the blob.
    range: Range<u64>,
    is_encoded: bool,
}

impl Enclosure {
    /// A whole part of a draft, with its header.
    pub(super) fn kept(draft: Pinned, range: Range<u64>) -> Self {
        let (name, header) = (String::new(), String::new());
        Self { name, header, blob: draft, range, is_encoded: false }
    }

    /// A file. Its name is safe to show. Blocks.
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    pub(super) fn file(node: &Node, name: &str, file: Pinned) -> Result<Self, StoreError> {
        let len = blob_len(node, &file)?;
        let start = read(&node.blobs.open(&file.id)?, &(0..len), SNIFFED_LEN)?;
        let media = file_type::media_type(name, &start);
        Ok(Self::encoded(name, media, file, 0..len))
    }

    /// A message of its own: the bytes `range` of a blob. Blocks.
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    pub(super) fn message(
        node: &Node,
        name: &str,
        blob: Pinned,
        range: Range<u64>,
    ) -> Result<Self, StoreError> {
        let Some(encoding) = transfer_encoding(&node.blobs.open(&blob.id)?, &range)? else {
            return Ok(Self::encoded(name, "application/octet-stream", blob, range));
        };
        let header = file_type::part_header(name, "message/rfc822", encoding);
        Ok(Self { name: name.to_owned(), header, blob, range, is_encoded: false })
    }

    fn encoded(name: &str, media: &str, blob: Pinned, range: Range<u64>) -> Self {
        let header = file_type::part_header(name, media, "base64");
        Self { name: name.to_owned(), header, blob, range, is_encoded: true }
    }

    /// The bytes that it takes in the message.
    pub(super) fn len(&self) -> u64 {
        let len = self.range.end.saturating_sub(self.range.start);
        let body = if self.is_encoded { encoded_len(len) } else { len };
        // The delimiter before it has 44 bytes.
        body.saturating_add(self.header.len() as u64).saturating_add(44)
    }

    /// Names it among others of the same form, for an idempotency key.
    pub(super) fn id(&self) -> String {
        let Range { start, end } = self.range;
        format!("{} {start} {end} {}", HEXLOWER.encode(&self.blob.id.0), self.header)
    }
}

/// The length of a blob. That of one that was pinned by its id is not known.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn blob_len(node: &Node, blob: &Pinned) -> Result<u64, StoreError> {
    Ok(node.blobs.open(&blob.id)?.len())
}

/// At most `len` bytes from the start of a range. Blocks.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn read(reader: &BlobReader, range: &Range<u64>, len: usize) -> Result<Vec<u8>, StoreError> {
    let left = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(left)];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match reader.read_at(range.start.saturating_add(done as u64), rest)? {
            0 => return Err(StoreError::NoBlob),
            read => done = done.saturating_add(read),
        }
    }
    Ok(bytes)
}

/// Calls `work` with the bytes of a range, in pieces of [`PIECE_LEN`] and a rest.
fn pieces(
    reader: &BlobReader,
    range: &Range<u64>,
    mut work: impl FnMut(&[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut at = range.start;
    while at < range.end {
        let piece = read(reader, &(at..range.end), PIECE_LEN)?;
        work(&piece)?;
        at = at.saturating_add(piece.len() as u64);
    }
    Ok(())
}

/// `7bit` or `8bit` (RFC 2045 2.7, 2.8) for the bytes of a range; `None` if they are neither: bare
/// line ends, NUL, or longer lines.
fn transfer_encoding(
    reader: &BlobReader,
    range: &Range<u64>,
) -> Result<Option<&'static str>, StoreError> {
    let (mut is_ascii, mut is_fit, mut line, mut before) = (true, true, 0usize, 0u8);
    pieces(reader, range, |piece| {
        is_ascii &= piece.is_ascii();
        for byte in piece {
            match (before, *byte) {
                (b'\r', b'\n') => line = 0,
                (b'\r', _) | (_, b'\n' | 0) => is_fit = false,
                (_, b'\r') => {}
                _ => line = line.saturating_add(1),
            }
            is_fit &= line <= LINE_LEN_MAX;
            before = *byte;
        }
        Ok(())
    })?;
    is_fit &= before != b'\r';
    Ok(is_fit.then_some(if is_ascii { "7bit" } else { "8bit" }))
}

/// The message `text`, which has a text alone, with the enclosures behind its text. Blocks.
///
/// # Errors
/// [`StoreError::TooLarge`] if it has more than `len_max` bytes, or the store's.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
pub(super) fn write(
    node: &Node,
    text: &[u8],
    enclosures: &[Enclosure],
    len_max: u64,
) -> Result<Pinned, StoreError> {
    let mut writer = node.blobs.writer(len_max)?;
    if enclosures.is_empty() {
        writer.write(text)?;
        return writer.finish();
    }
    let (fields, body) = text.split_at_checked(header_end::len(text)).unwrap_or((text, &[]));
    // Random, so that no part can hold it.
    let boundary = format!("=_{}", HEXLOWER.encode(&node.random.array::<16>()));
    let (mut own, mut of_text) = (Vec::new(), Vec::new());
    for line in header::lines(fields) {
        let is_of_text = line.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"content-"));
        if is_of_text { &mut of_text } else { &mut own }.extend_from_slice(line);
    }
    writer.write(&own)?;
    let kind = format!("Content-Type: multipart/mixed;\r\n\tboundary=\"{boundary}\"\r\n\r\n");
    writer.write(format!("{kind}--{boundary}\r\n").as_bytes())?;
    writer.write(&of_text)?;
    writer.write(b"\r\n")?;
    writer.write(body)?;
    for enclosure in enclosures {
        writer.write(format!("\r\n--{boundary}\r\n{}", enclosure.header).as_bytes())?;
        let reader = node.blobs.open(&enclosure.blob.id)?;
        pieces(&reader, &enclosure.range, |piece| match enclosure.is_encoded {
            true => writer.write(BASE64_MIME.encode(piece).as_bytes()),
            false => writer.write(piece),
        })?;
    }
    writer.write(format!("\r\n--{boundary}--\r\n").as_bytes())?;
    writer.finish()
}
