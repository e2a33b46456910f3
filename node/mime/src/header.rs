//! Header fields (RFC 5322 2.2): where a header ends, names, raw values, unfolding.

/// Beginnings of the names of other such fields.
const COMMON_PREFIXES: [&[u8]; 6] = [b"x-", b"content-", b"list-", b"arc-", b"dkim-", b"resent-"];

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

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name, without the colon.
    pub name: &'a [u8],
    /// The raw value after the colon, with folding and line end.
    pub value: &'a [u8],
    /// The whole field with its line end.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// True if the field has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// The fields of a header, in order. Malformed lines are skipped.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (raw, after) = rest.split_at_checked(field_len(rest))?;
            rest = after;
            if let Some(field) = field(raw) {
                return Some(field);
            }
        }
    })
}

/// The lines of a header with their continuation lines: fields and lines that are none, without the
/// empty line.
pub fn lines(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = header;
    std::iter::from_fn(move || {
        let (raw, after) = rest.split_at_checked(field_len(rest))?;
        rest = after;
        (!is_empty_line(raw)).then_some(raw)
    })
}

fn field(raw: &[u8]) -> Option<Field<'_>> {
    let colon = memchr::memchr2(b':', b'\n', raw)?;
    let (name, rest) = raw.split_at_checked(colon)?;
    let value = rest.strip_prefix(b":")?;
    Some(Field { name: name.trim_ascii(), value, raw })
}

/// The length of the first field with its continuation lines.
fn field_len(header: &[u8]) -> usize {
    let mut at = 0usize;
    loop {
        let rest = header.get(at..).unwrap_or_default();
        let Some(end) = memchr::memchr(b'\n', rest) else { return header.len() };
        at = at.saturating_add(end).saturating_add(1);
        if !matches!(header.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

/// The raw values of the fields of this name, in order.
pub fn all<'a>(header: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields(header).filter(move |field| field.is(name)).map(|field| field.value)
}

/// The raw value of the first field of this name. RFC 5322 3.6 allows most fields once; of several
/// the first counts, in every place where a message is shown.
pub fn first<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    all(header, name).next()
}

/// A value on one line (RFC 5322 2.2.3), without white space around it.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let trimmed = value.trim_ascii().iter().copied();
    trimmed.filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}

/// The fields whose name is in `names`, or with `not` the others: unchanged, followed by an empty
/// line (RFC 3501 6.4.5, `HEADER.FIELDS`).
pub fn select(header: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(header) {
        if names.iter().any(|name| field.is(name)) != not {
            out.extend_from_slice(field.raw);
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
}

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

pub(crate) fn is_empty_line(line: &[u8]) -> bool {
    matches!(line, b"" | b"\n" | b"\r\n")
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
    while let Some(rest) = region.get(at..).filter(|rest| !rest.is_empty()) {
        let len = field_len(rest);
        let raw = rest.get(..len).unwrap_or_default();
        if is_empty_line(raw) {
            break;
        }
        let found = field(raw).filter(|field| is_name(field.name));
        let is_mbox_line = at == 0 && (raw.starts_with(b"From ") || raw.starts_with(b">From "));
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
    fn header_field_is_found_in_any_case() {
        assert_eq!(unfold(first(HEADER, "subject").unwrap()), b"a b");
        assert_eq!(unfold(first(HEADER, "to").unwrap()), b"x@y");
        assert!(first(HEADER, "cc").is_none());
        assert_eq!(all(HEADER, "subject").count(), 2);
    }

    #[test]
    fn header_ends_with_its_empty_line() {
        assert_eq!(end(HEADER), Some(HEADER.len()));
        assert_eq!(end(b"a: b\r\n"), None);
        assert_eq!(end(b"\r\nbody"), Some(2));
        assert_eq!(end(b"A: b\n c\n\nbody"), Some(9));
        assert_eq!(end(b"From ann Sat Jan 3\r\nA: b\r\n\r\n"), Some(28));
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

    #[test]
    fn selected_fields_keep_bytes_and_order() {
        let names = vec!["SUBJECT".to_owned()];
        assert_eq!(select(HEADER, &names, false), b"Subject: a\r\n b\r\nSubject: second\r\n\r\n");
        assert_eq!(select(HEADER, &names, true), b"TO:x@y\r\n\r\n");
        assert_eq!(select(HEADER, &["cc".to_owned()], false), b"\r\n");
    }
}
