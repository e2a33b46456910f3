//! Line ends: CRLF in the node's messages, LF in files.

/// True if every line of `text` ends with CRLF and no other CR is before one, so that
/// [`push_crlf`] reverses [`to_lf`].
pub(super) fn is_crlf(text: &[u8]) -> bool {
    let mut before = [0u8; 2];
    for &byte in text {
        if byte == b'\n' && (before[1] != b'\r' || before[0] == b'\r') {
            return false;
        }
        before = [before[1], byte];
    }
    true
}

/// `text` with LF for each CRLF.
pub(super) fn to_lf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    lines.by_ref().for_each(|line| match line.strip_suffix(b"\r\n") {
        Some(line) => {
            out.extend_from_slice(line);
            out.push(b'\n');
        }
        None => out.extend_from_slice(line),
    });
    out
}

/// Adds the next bytes of a text, with CRLF for each LF without CR.
pub(super) fn push_crlf(out: &mut Vec<u8>, bytes: &[u8]) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(text) = line.strip_suffix(b"\n") else {
            out.extend_from_slice(line);
            continue;
        };
        out.extend_from_slice(text);
        if out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_crlf(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        text.chunks(2).for_each(|piece| push_crlf(&mut out, piece));
        out
    }

    #[test]
    fn crlf_text_survives_lf_files() {
        for text in [&b""[..], b"a", b"a\r\n", b"\r\n\r\na\rb\r\nc", b"\r\r", b"\r\n\r"] {
            assert!(is_crlf(text), "{text:?}");
            assert_eq!(to_crlf(&to_lf(text)), text, "{text:?}");
        }
        for text in [&b"a\n"[..], b"a\r\nb\n", b"a\r\r\n", b"\n"] {
            assert!(!is_crlf(text), "{text:?}");
        }
        assert_eq!(to_crlf(b"a\nb\r\n\n"), b"a\r\nb\r\n\r\n");
    }
}
