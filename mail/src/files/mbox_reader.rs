//! Reads an mbox message by message, in bounded memory: a line of any length is read in pieces, and
//! a message that is too long is passed over.
//!
//! 1. A message begins with a From_ line ([`from_line::is_separator`]).
//!    In a file whose first From_ line has no date, one of a sender alone begins a message after an
//!    empty line and before a header.
//! 2. If its header has a Content-Length at whose end the file ends or a From_ line follows, the
//!    body has that length, and its lines are not looked at (mboxcl2).
//! 3. `>From ` becomes `From ` where the file is known to be quoted as mboxrd: in an export of this
//!    program, or where the owner says so. In other files `>From ` may be the sender's own, as
//!    mboxo quotes `From ` and not `>From `; such lines stay as they are.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;

use super::state_fields::header_len;
use super::{from_line, line_ends};

/// The longest piece of a line, in bytes.
const PIECE_LEN_MAX: u64 = 64 * 1024;
/// How much is read from the file at a time, in bytes.
const BUFFER_LEN: usize = 256 * 1024;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A message of an mbox.
pub(super) struct MboxMessage {
    pub(super) from_line: Vec<u8>,
    /// Its bytes, with CRLF; `None` if it is too long.
    pub(super) text: Option<Vec<u8>>,
    /// The position of its From_ line in the file.
    pub(super) offset: u64,
}

/// See the module's text.
pub(super) struct MboxReader {
    input: BufReader<File>,
    len_max: usize,
    is_mboxrd: bool,
    /// The first From_ line has a sender and no date.
    is_undated: bool,
    /// The next piece, if it was read ahead.
    ahead: Option<Piece>,
    /// The number of bytes of the pieces that were taken.
    pub(super) offset: u64,
    /// True if the last piece that was read ended its line.
    is_line_start: bool,
    /// The From_ line of the next message and its position.
    next: Option<(Vec<u8>, u64)>,
}

#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    is_line_start: bool,
}

impl Piece {
    fn is_empty_line(&self) -> bool {
        self.is_line_start && matches!(self.bytes.as_slice(), b"\n" | b"\r\n")
    }
}

impl MboxReader {
    /// Begins to read; `None` if the file does not begin with a From_ line. Messages over `len_max`
    /// bytes are passed over.
    pub(super) fn new(file: File, len_max: usize, is_mboxrd: bool) -> io::Result<Option<Self>> {
        let mut reader = Self {
            input: BufReader::with_capacity(BUFFER_LEN, file),
            len_max,
            is_mboxrd,
            is_undated: false,
            ahead: None,
            offset: 0,
            is_line_start: true,
            next: None,
        };
        loop {
            let offset = reader.offset;
            let Some(mut piece) = reader.take()? else { return Ok(None) };
            if offset == 0 && piece.bytes.starts_with(BYTE_ORDER_MARK) {
                piece.bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if piece.is_empty_line() {
                continue;
            }
            let is_first = from_line::is_candidate(&piece.bytes)
                && (from_line::parse(&piece.bytes).is_some()
                    || from_line::is_field(&reader.peek()?.bytes));
            reader.is_undated =
                from_line::parse(&piece.bytes).is_none() && from_line::is_undated(&piece.bytes);
            reader.next = Some((piece.bytes, offset));
            return Ok(is_first.then_some(reader));
        }
    }

    /// The next message.
    pub(super) fn message(&mut self) -> io::Result<Option<MboxMessage>> {
        let Some((from_line, offset)) = self.next.take() else { return Ok(None) };
        let mut text = Text {
            bytes: Vec::new(),
            len_max: self.len_max,
            is_too_long: false,
            is_quoted: self.is_mboxrd || from_line::is_own(&from_line),
        };
        let (mut is_header, mut is_after_empty) = (true, false);
        while let Some(piece) = self.take()? {
            if piece.is_line_start && from_line::is_candidate(&piece.bytes) {
                let start = self.offset.saturating_sub(piece.bytes.len() as u64);
                let allows_undated = self.is_undated && is_after_empty;
                let next = &self.peek()?.bytes;
                let is_undated = allows_undated
                    && from_line::is_undated(&piece.bytes)
                    && from_line::is_field(next);
                if is_undated || from_line::is_separator(&piece.bytes, is_after_empty, next) {
                    self.next = Some((piece.bytes, start));
                    break;
                }
            }
            is_after_empty = piece.is_empty_line();
            // A From_ line of another program before the header, which a third one has quoted.
            if is_header && text.bytes.is_empty() && piece.bytes.starts_with(b">From ") {
                continue;
            }
            text.push(&piece);
            if is_header && is_after_empty {
                is_header = false;
                if let Some(len) = self.body_len(&text.bytes)? {
                    self.copy(&mut text, len)?;
                }
            }
        }
        text.remove_last_empty_line();
        let text = (!text.is_too_long).then_some(text.bytes);
        Ok(Some(MboxMessage { from_line, text, offset }))
    }

    /// Takes the next piece of a line.
    fn take(&mut self) -> io::Result<Option<Piece>> {
        let piece = match self.ahead.take() {
            Some(piece) => piece,
            None => self.read()?,
        };
        self.offset += piece.bytes.len() as u64;
        Ok((!piece.bytes.is_empty()).then_some(piece))
    }

    /// The next piece, which stays the next; empty at the end.
    fn peek(&mut self) -> io::Result<&Piece> {
        if self.ahead.is_none() {
            self.ahead = Some(self.read()?);
        }
        Ok(self.ahead.get_or_insert_default())
    }

    fn read(&mut self) -> io::Result<Piece> {
        let mut bytes = Vec::new();
        (&mut self.input).take(PIECE_LEN_MAX).read_until(b'\n', &mut bytes)?;
        let is_line_start = self.is_line_start;
        self.is_line_start = bytes.ends_with(b"\n");
        Ok(Piece { bytes, is_line_start })
    }

    /// The Content-Length of a header, if it fits to the rest of the file.
    fn body_len(&self, header: &[u8]) -> io::Result<Option<u64>> {
        // A line of the body would have been read ahead.
        if self.ahead.is_some() {
            return Ok(None);
        }
        let header = header.get(..header_len(header)).unwrap_or_default();
        let Some(len) = freehold_mime::header::all(header, "Content-Length")
            .last()
            .and_then(|value| std::str::from_utf8(value).ok()?.trim().parse::<u64>().ok())
        else {
            return Ok(None);
        };
        let file = self.input.get_ref();
        let Some(end) = self.offset.checked_add(len) else { return Ok(None) };
        let mut after = [0; 8];
        let after_len = file.read_at(&mut after, end)?;
        let after = after.get(..after_len).unwrap_or_default();
        let is_end = file.metadata()?.len() == end
            || [&b"\nFrom "[..], b"\r\nFrom ", b"From "].iter().any(|next| after.starts_with(next));
        Ok(is_end.then_some(len))
    }

    /// Adds the next `len` bytes as they are.
    fn copy(&mut self, text: &mut Text, len: u64) -> io::Result<()> {
        let mut left = len;
        while left > 0 {
            let mut bytes = Vec::new();
            let read = (&mut self.input).take(left.min(PIECE_LEN_MAX)).read_to_end(&mut bytes)?;
            if read == 0 {
                break;
            }
            left = left.saturating_sub(read as u64);
            self.offset += read as u64;
            self.is_line_start = bytes.ends_with(b"\n");
            text.push_unquoted(&bytes);
        }
        Ok(())
    }
}

/// The message that is being read.
struct Text {
    bytes: Vec<u8>,
    len_max: usize,
    is_too_long: bool,
    is_quoted: bool,
}

impl Text {
    fn push(&mut self, piece: &Piece) {
        let is_quoted_from = |line: &[u8]| {
            let from = line.iter().position(|byte| *byte != b'>').unwrap_or(0);
            from > 0 && line.get(from..).is_some_and(|rest| rest.starts_with(b"From "))
        };
        let mut bytes = piece.bytes.as_slice();
        if self.is_quoted && piece.is_line_start && is_quoted_from(bytes) {
            bytes = bytes.get(1..).unwrap_or_default();
        }
        self.push_unquoted(bytes);
    }

    fn push_unquoted(&mut self, bytes: &[u8]) {
        if self.is_too_long {
            return;
        }
        line_ends::push_crlf(&mut self.bytes, bytes);
        if self.bytes.len() > self.len_max.saturating_add(2) {
            self.is_too_long = true;
            self.bytes = Vec::new();
        }
    }

    /// Removes the empty line between this message and the next.
    fn remove_last_empty_line(&mut self) {
        if self.bytes.ends_with(b"\r\n\r\n") || self.bytes == b"\r\n" {
            self.bytes.truncate(self.bytes.len().saturating_sub(2));
        }
        self.is_too_long |= self.bytes.len() > self.len_max;
    }
}

#[cfg(test)]
mod tests;
