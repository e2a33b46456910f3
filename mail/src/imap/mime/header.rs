//! Header fields (RFC 5322 2.2): names, raw values, unfolding.

/// One field.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    /// Its name, without the colon.
    pub(crate) name: &'a [u8],
    /// The raw value after the colon, with folding and line end.
    pub(crate) value: &'a [u8],
    /// The whole field with its line end.
    pub(crate) raw: &'a [u8],
}

/// The fields of a header, in order. Malformed lines are skipped.
pub(crate) fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let len = field_len(rest);
            let (raw, after) = rest.split_at_checked(len)?;
            rest = after;
            if let Some(colon) = raw.iter().position(|byte| *byte == b':')
                && let (Some(name), Some(value)) =
                    (raw.get(..colon), raw.get(colon.saturating_add(1)..))
                && !name.contains(&b'\n')
            {
                return Some(Field { name: name.trim_ascii(), value, raw });
            }
        }
    })
}

/// The length of the first field with its continuation lines.
fn field_len(header: &[u8]) -> usize {
    let mut at = 0usize;
    loop {
        let rest = header.get(at..).unwrap_or_default();
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return header.len() };
        at = at.saturating_add(end).saturating_add(1);
        if !matches!(header.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
}

/// The raw value of the first field of this name.
pub(crate) fn first<'a>(header: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(header)
        .find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|field| field.value)
}

/// A value on one line (RFC 5322 2.2.3), without white space around it.
pub(crate) fn unfold(value: &[u8]) -> Vec<u8> {
    value
        .iter()
        .copied()
        .filter(|byte| !matches!(byte, b'\r' | b'\n'))
        .collect::<Vec<u8>>()
        .trim_ascii()
        .to_vec()
}

/// The end of the header, including its empty line, of a message that begins with these bytes;
/// `None` if the end is not among them.
pub(crate) fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        at = at.saturating_add(line).saturating_add(1);
        if line == 0 || (line == 1 && rest.first() == Some(&b'\r')) {
            return Some(at);
        }
    }
    None
}

/// The fields whose name is in `names`, or with `not` the others: unchanged, followed by an empty
/// line (RFC 3501 6.4.5, `HEADER.FIELDS`).
pub(crate) fn select(header: &[u8], names: &[String], not: bool) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields(header) {
        let named = names.iter().any(|name| field.name.eq_ignore_ascii_case(name.as_bytes()));
        if named != not {
            out.extend_from_slice(field.raw);
        }
    }
    if !out.is_empty() && !out.ends_with(b"\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
    out
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
        assert_eq!(end(HEADER), Some(HEADER.len()));
        assert_eq!(end(b"a: b\r\n"), None);
        assert_eq!(end(b"\r\nbody"), Some(2));
    }

    #[test]
    fn selected_fields_keep_bytes_and_order() {
        let names = vec!["SUBJECT".to_owned()];
        assert_eq!(select(HEADER, &names, false), b"Subject: a\r\n b\r\nSubject: second\r\n\r\n");
        assert_eq!(select(HEADER, &names, true), b"TO:x@y\r\n\r\n");
        assert_eq!(select(HEADER, &["cc".to_owned()], false), b"\r\n");
    }
}
