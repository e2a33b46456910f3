//! Where a header ends (RFC 5322 2.1), also in messages without an empty line there.

use crate::header::{self, field, field_len, is_empty_line, without_mark};
use crate::media::Media;

/// Fields that show that a line before them is noise in a header, and not the text of a message
/// without a header.
const COMMON: [&[u8]; 16] = [
    b"from",
    b"to",
    b"subject",
    b"date",
    b"received",
    b"message-id",
    b"mime-version",
    b"content-type",
    b"return-path",
    b"cc",
    b"bcc",
    b"sender",
    b"reply-to",
    b"in-reply-to",
    b"references",
    b"user-agent",
];

/// Beginnings of the names of other such fields.
const COMMON_PREFIXES: [&[u8]; 6] = [b"x-", b"content-", b"list-", b"arc-", b"dkim-", b"resent-"];

/// Most lines of a header that are compared with the boundary that the header names.
const DELIMITERS_MAX: usize = 4;

/// The length of the header, including its empty line, of a message that begins with these bytes;
/// `None` if its empty line is not among them.
pub fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let line = memchr::memchr(b'\n', rest)?;
        at = at.saturating_add(line).saturating_add(1);
        if is_empty_line(rest.get(..=line).unwrap_or_default()) {
            let region = bytes.get(..at).unwrap_or_default();
            return Some(without_text(region).unwrap_or(at));
        }
    }
    None
}

/// The length of the header of a message that is exactly these bytes: without an empty line all of
/// it may be header.
pub fn len(message: &[u8]) -> usize {
    end(message).or_else(|| without_text(message)).unwrap_or(message.len())
}

/// The length of the header in `region`, the bytes before and with the first empty line, if they
/// contain the beginning of the text too: a message whose first line is no field has no header, and
/// a line that is no field begins the text, unless a common field follows it. `None` if the
/// whole region is header.
pub(crate) fn without_text(region: &[u8]) -> Option<usize> {
    if is_empty_line(region) {
        return None;
    }
    let mut at = 0usize;
    // The first line that is no field, if no common field follows it.
    let mut text_start = None;
    let mut starts_with_field = None;
    let mut is_header = false;
    let mut is_encoded = false;
    let mut delimiters = 0usize;
    while let Some(rest) = region.get(at..).filter(|rest| !rest.is_empty()) {
        let len = field_len(rest);
        let raw = rest.get(..len).unwrap_or_default();
        if is_empty_line(raw) {
            break;
        }
        // The empty line before the first delimiter of a multipart may be missing.
        if delimiters < DELIMITERS_MAX && raw.starts_with(b"--") {
            delimiters = delimiters.saturating_add(1);
            if is_own_delimiter(region.get(..at).unwrap_or_default(), raw) {
                return Some(at);
            }
        }
        let found = field(raw).filter(|field| is_name(field.name));
        let line = without_mark(raw);
        let is_mbox_line = at == 0 && (line.starts_with(b"From ") || line.starts_with(b">From "));
        starts_with_field.get_or_insert(found.is_some() || is_mbox_line);
        match found {
            Some(found) if is_common(found.name) => {
                is_header = true;
                is_encoded |= found.is("content-transfer-encoding");
                text_start = None;
            }
            Some(_) => {}
            None if is_mbox_line => {}
            None => text_start = text_start.or(Some(at)),
        }
        at = at.saturating_add(len);
    }
    match starts_with_field {
        None => None,
        Some(false) if !is_header => Some(0),
        // In an encoded body the lines would damage the text.
        Some(_) if is_encoded => None,
        Some(_) => text_start,
    }
}

/// True if a header names the boundary of a delimiter line.
fn is_own_delimiter(header: &[u8], line: &[u8]) -> bool {
    let media = header::first(header, "content-type").map(Media::parse);
    let boundary = media.filter(|media| media.is("multipart", None)).and_then(|m| m.boundary());
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    boundary.is_some_and(|boundary| {
        let rest = line.get(2..).and_then(|rest| rest.strip_prefix(boundary.as_slice()));
        rest.is_some_and(|rest| rest.trim_ascii().is_empty())
    })
}

/// True for a field that headers have, and texts that look like fields have not.
fn is_common(name: &[u8]) -> bool {
    let begins = |prefix: &&[u8]| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    COMMON.iter().any(|common| name.eq_ignore_ascii_case(common))
        || COMMON_PREFIXES.iter().any(begins)
}

/// True for a name by RFC 5322 3.6.8.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] = b"Subject: a\r\n b\r\nnonsense\r\nTO:x@y\r\nSubject: second\r\n\r\n";

    #[test]
    fn header_ends_with_its_empty_line() {
        assert_eq!(end(HEADER), Some(HEADER.len()));
        assert_eq!(end(b"a: b\r\n"), None);
        assert_eq!(end(b"\r\nbody"), Some(2));
        assert_eq!(end(b"A: b\n c\n\nbody"), Some(9));
        assert_eq!(end(b"From ann Sat Jan 3\r\nA: b\r\n\r\n"), Some(28));
    }

    #[test]
    fn delimiter_without_empty_line_ends_a_header() {
        let header = b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n";
        let message = [&header[..], b"--b\r\nContent-Type: text/plain\r\n\r\n1\r\n--b--"].concat();
        assert_eq!(end(&message), Some(header.len()));
    }

    #[test]
    fn text_without_header_is_no_header() {
        assert_eq!(end(b"Hello\r\nyou\r\n\r\nmore"), Some(0));
        assert_eq!(end(b"Hello\r\nNote: you\r\n\r\nmore"), Some(0));
        assert_eq!(end(b"Hello\r\nSubject: you\r\n\r\nmore"), Some(23));
        assert_eq!(end(b"Subject: a\r\nHello you\r\nnote: b\r\n\r\nmore"), Some(12));
        assert_eq!(end(b"Subject: a\r\nnoise\r\nX-Note: b\r\n\r\nmore"), Some(32));
        assert_eq!(len(b"Hello\r\nyou\r\n"), 0);
        assert_eq!(len(b"Subject: a\r\nHello,\r\n"), 12);
        assert_eq!(len(b"Subject: a\r\n"), 12);
        assert_eq!(end(b"Subject: a\r\nHello,\r\nyou\r\n\r\nmore"), Some(12));
        let encoded = b"Content-Transfer-Encoding: base64\r\nnoise\r\n\r\nQUJD";
        assert_eq!(end(encoded), Some(encoded.len() - 4));
    }
}
