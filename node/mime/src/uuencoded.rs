//! Files in uuencoded form (POSIX uuencode) between the lines of a plain text: programs without
//! MIME send files so. Damaged code is text.

use std::borrow::Cow;
use std::ops::Range;

/// Most files of one text; the code of further ones is text.
const FILES_MAX: usize = 100;

/// The code of one file.
pub(crate) struct Code<'a> {
    /// The file's name, as written.
    pub(crate) name: &'a [u8],
    /// The lines from `begin` to `end`, in bytes of the text.
    pub(crate) range: Range<usize>,
}

/// A code whose end is not found yet.
struct Open<'a> {
    name: &'a [u8],
    start: usize,
    /// Lines behind `begin`.
    lines: usize,
    /// True behind the line of length zero, which only `end` follows.
    is_complete: bool,
}

/// The codes in a text. In a text that `is_cut`, one without its end may go on behind the cut.
pub(crate) fn codes(text: &[u8], is_cut: bool) -> Vec<Code<'_>> {
    let mut codes = Vec::new();
    if memchr::memmem::find(text, b"begin ").is_none() {
        return codes;
    }
    let mut open: Option<Open<'_>> = None;
    let mut at = 0usize;
    for raw in text.split_inclusive(|byte| *byte == b'\n') {
        let start = at;
        at = at.saturating_add(raw.len());
        let line = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // No line of a code begins so, because lower case is no digit of it.
        if let Some(name) = begin(line) {
            open = Some(Open { name, start, lines: 0, is_complete: false });
            continue;
        }
        let Some(code) = &mut open else { continue };
        if code.lines > 0 && line.trim_ascii_end() == b"end" {
            codes.push(Code { name: code.name, range: code.start..at });
            open = None;
            if codes.len() >= FILES_MAX {
                return codes;
            }
            continue;
        }
        match data_len(line).filter(|_| !code.is_complete) {
            Some(len) => {
                code.lines = code.lines.saturating_add(1);
                code.is_complete = len == 0;
            }
            None if is_cut && !raw.ends_with(b"\n") => {}
            None => open = None,
        }
    }
    if let Some(code) = open.filter(|_| is_cut) {
        codes.push(Code { name: code.name, range: code.start..text.len() });
    }
    codes
}

/// A text without its codes.
pub(crate) fn without(text: Cow<'_, [u8]>, is_cut: bool) -> Cow<'_, [u8]> {
    let codes = codes(&text, is_cut);
    if codes.is_empty() {
        drop(codes);
        return text;
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut at = 0usize;
    for code in codes {
        plain.extend_from_slice(text.get(at..code.range.start).unwrap_or_default());
        at = code.range.end;
    }
    plain.extend_from_slice(text.get(at..).unwrap_or_default());
    Cow::Owned(plain)
}

/// The name in a line `begin 644 name`.
fn begin(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"begin ")?;
    let (mode, name) = rest.split_at_checked(memchr::memchr(b' ', rest)?)?;
    let is_mode = matches!(mode.len(), 3 | 4) && mode.iter().all(|d| (b'0'..=b'7').contains(d));
    Some(name.trim_ascii()).filter(|name| is_mode && !name.is_empty())
}

/// The number of bytes in a line of data; `None` if it is none.
fn data_len(line: &[u8]) -> Option<usize> {
    if !line.iter().all(|byte| (b' '..=b'`').contains(byte)) {
        return None;
    }
    let Some((first, data)) = line.split_first() else { return Some(0) };
    let len = usize::from(first.wrapping_sub(b' ') & 0x3f);
    let digits = len.div_ceil(3).saturating_mul(4);
    // The last group of four may be short, and some programs add a checksum.
    let is_whole = data.len().saturating_add(4) > digits && data.len() <= digits.saturating_add(2);
    (is_whole || line.trim_ascii().is_empty()).then_some(len)
}
