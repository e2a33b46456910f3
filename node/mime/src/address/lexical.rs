//! The lexical elements of an address list (RFC 5322 3.2): quoted strings, comments, brackets,
//! words.

/// The value on one line, with a space for a quote or a parenthesis that is never closed: it would
/// hide all that follows.
pub(super) fn closed(value: &[u8]) -> Vec<u8> {
    let kept = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n'));
    let mut value: Vec<u8> = kept.collect();
    let mut open_quote = None;
    let mut open_comments = Vec::new();
    let mut at = 0usize;
    while let Some(byte) = value.get(at) {
        match (byte, open_quote) {
            (b'\\', _) => at = at.saturating_add(1),
            (0x1b, _) => {
                // Raw ISO-2022-JP: the parenthesis of `ESC ( B` opens no comment.
                let rest = value.get(at.saturating_add(1)..).unwrap_or_default();
                let text = if rest.starts_with(b"$") { memchr::memchr(0x1b, rest) } else { None };
                at = at.saturating_add(text.unwrap_or(2));
            }
            (b'"', None) if open_comments.is_empty() => open_quote = Some(at),
            (b'"', Some(_)) => open_quote = None,
            (b'(', None) => open_comments.push(at),
            (b')', None) => drop(open_comments.pop()),
            _ => {}
        }
        at = at.saturating_add(1);
    }
    let unclosed = open_quote.into_iter().chain(open_comments);
    for at in unclosed {
        value.get_mut(at).into_iter().for_each(|byte| *byte = b' ');
    }
    value
}

/// Splits at white space outside quotes; around `@` and `.` white space belongs to the address
/// (RFC 5322 4.4).
pub(super) fn words(text: &[u8]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut is_quoted = false;
    let mut is_apart = true;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' if !is_quoted => is_apart = true,
            _ => {
                if byte == b'"' {
                    is_quoted = !is_quoted;
                }
                let continues = matches!(byte, b'@' | b'.')
                    || words
                        .last()
                        .is_some_and(|word| word.ends_with(b"@") || word.ends_with(b"."));
                match words.last_mut().filter(|_| !is_apart || continues) {
                    Some(word) => word.push(byte),
                    None => words.push(vec![byte]),
                }
                is_apart = false;
                if byte == b'\\' && is_quoted {
                    words.last_mut().into_iter().for_each(|word| word.extend(bytes.next()));
                }
            }
        }
    }
    words
}

pub(super) fn is_quoted(word: &[u8]) -> bool {
    word.starts_with(b"\"") && word.ends_with(b"\"")
}

/// The content of a word that is one quoted string; any other word as it is.
pub(super) fn unquoted(word: Vec<u8>) -> Vec<u8> {
    let Some(inside) = word.strip_prefix(b"\"") else { return word };
    let mut bytes = inside.iter().copied();
    let content = quoted(&mut bytes);
    if is_quoted(&word) && bytes.next().is_none() { content } else { word }
}

/// Writes a text as a quoted string.
pub(super) fn requote(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

/// The content of angle brackets after the first; consumes the last. A bracket inside begins anew,
/// and a comma behind an address ends brackets that are not closed.
pub(super) fn angle(bytes: &mut std::iter::Peekable<impl Iterator<Item = u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(byte) =
        bytes.next_if(|byte| *byte != b',' || out.first() == Some(&b'@') || !out.contains(&b'@'))
    {
        match byte {
            b'>' => break,
            b'<' => out.clear(),
            b'"' => requote(&mut out, &quoted(bytes)),
            b'(' => drop(comment(bytes)),
            _ => out.push(byte),
        }
    }
    out
}

/// The content of a quoted string after its first quote; consumes the last.
pub(super) fn quoted(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    out
}

/// The content of a comment after its first parenthesis.
pub(super) fn comment(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let mut depth = 1usize;
    while let Some(byte) = bytes.next() {
        match byte {
            b'(' => depth = depth.saturating_add(1),
            b')' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    break;
                }
            }
            b'\\' => {
                out.extend(bytes.next());
                continue;
            }
            _ => {}
        }
        out.push(byte);
    }
    out.trim_ascii().to_vec()
}
