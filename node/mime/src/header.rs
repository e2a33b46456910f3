//! Header fields (RFC 5322 2.2): names, raw values, unfolding.

use crate::structure::HEADER_LEN_MAX;

/// U+FEFF in UTF-8. Some programs write it before the header of a message or of a part.
pub const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Its name, without the colon.
    pub name: &'a [u8],
    /// The raw value after the colon, with folding and line end.
    pub value: &'a [u8],
    /// The whole field with its line end, without a byte order mark before it.
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

pub(crate) fn field(raw: &[u8]) -> Option<Field<'_>> {
    let raw = without_mark(raw);
    let colon = memchr::memchr2(b':', b'\n', raw)?;
    let (name, rest) = raw.split_at_checked(colon)?;
    let value = rest.strip_prefix(b":")?;
    Some(Field { name: name.trim_ascii(), value, raw })
}

/// The length of the first field with its continuation lines.
pub(crate) fn field_len(header: &[u8]) -> usize {
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

/// True for the line that ends a header.
pub(crate) fn is_empty_line(line: &[u8]) -> bool {
    matches!(without_mark(line), b"" | b"\n" | b"\r\n")
}

/// A line without a byte order mark before it. Delivery adds fields at the beginning of a header,
/// so any line may have one.
pub(crate) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
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

/// The usual length of selected fields, in bytes.
const SELECTED_LEN: usize = 4096;

/// The fields whose name is in `names`, or with `not` the others: unchanged, followed by an empty
/// line if the header has one (RFC 3501 6.4.5, `HEADER.FIELDS`).
pub fn select(header: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len().min(SELECTED_LEN));
    for field in fields(header) {
        if names.iter().any(|name| field.is(name)) != not {
            out.extend_from_slice(field.raw);
        }
    }
    // The empty line of a header that was cut follows behind the cut.
    if header.len() >= HEADER_LEN_MAX || has_empty_line(header) {
        let is_cut = !out.is_empty() && !out.ends_with(b"\n");
        out.extend_from_slice(if is_cut { b"\r\n\r\n" } else { b"\r\n" });
    }
    out
}

/// True if a header ends with its empty line.
fn has_empty_line(header: &[u8]) -> bool {
    let Some(rest) = header.strip_suffix(b"\r\n").or(header.strip_suffix(b"\n")) else {
        return false;
    };
    rest.is_empty() || rest.ends_with(b"\n")
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
    fn selected_fields_keep_bytes_and_order() {
        let names = vec!["SUBJECT".to_owned()];
        assert_eq!(select(HEADER, &names, false), b"Subject: a\r\n b\r\nSubject: second\r\n\r\n");
        assert_eq!(select(HEADER, &names, true), b"TO:x@y\r\n\r\n");
        assert_eq!(select(HEADER, &["cc".to_owned()], false), b"\r\n");
        assert_eq!(select(b"TO:x@y\n\n", &names, true), b"TO:x@y\n\r\n");
    }

    #[test]
    fn selected_fields_invent_no_empty_line() {
        let (to, cc) = (["to".to_owned()], ["cc".to_owned()]);
        for header in [&b"TO:x@y\r\n"[..], b"TO:x@y", b"TO:x@y\n"] {
            assert_eq!(select(header, &to, false), header);
            assert_eq!(select(header, &cc, false), b"");
            assert_eq!(select(header, &cc, true), header);
        }
        assert_eq!(select(b"", &to, true), b"");
        assert_eq!(select(b"\r\n", &to, false), b"\r\n");
        let cut = [b"TO:x@y\r\nCC:"[..].to_vec(), vec![b'x'; HEADER_LEN_MAX]].concat();
        let cut = &cut[..HEADER_LEN_MAX];
        assert_eq!(select(cut, &to, false), b"TO:x@y\r\n\r\n");
        assert!(select(cut, &cc, false).ends_with(b"x\r\n\r\n"));
    }
}
