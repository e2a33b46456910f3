//! Address lists for ENVELOPE (RFC 5322 3.4): names keep their RFC 2047 encoding, local parts lose
//! their quotes (RFC 3501 7.4.2).

/// Most entries read of one field.
const ADDRESSES_MAX: usize = 2_000;

/// One entry of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A person.
    Mailbox {
        /// The display name, if any.
        name: Option<Vec<u8>>,
        /// The local part.
        local: Vec<u8>,
        /// The domain; may be empty.
        host: Vec<u8>,
    },
    /// `name:`, the start of a group.
    GroupStart(Vec<u8>),
    /// `;`, its end.
    GroupEnd,
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    /// Words outside angle brackets.
    phrase: Vec<u8>,
    /// The content of angle brackets.
    angle: Option<Vec<u8>>,
    comment: Vec<u8>,
    in_group: bool,
}

/// Parses an address list. Malformed entries are skipped.
pub(crate) fn parse(value: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::default();
    let mut bytes = value.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).peekable();
    while let Some(byte) = bytes.next() {
        if reader.entries.len() >= ADDRESSES_MAX {
            break;
        }
        match byte {
            b'"' => {
                let quoted = quoted(&mut bytes);
                reader.phrase.extend_from_slice(&quoted);
            }
            b'(' => {
                let comment = comment(&mut bytes);
                reader.comment = comment;
            }
            b'<' => {
                let mut angle = Vec::new();
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'>' => break,
                        b'"' => {
                            angle.push(b'"');
                            for byte in quoted(&mut bytes) {
                                if matches!(byte, b'"' | b'\\') {
                                    angle.push(b'\\');
                                }
                                angle.push(byte);
                            }
                            angle.push(b'"');
                        }
                        b'(' => drop(comment(&mut bytes)),
                        b' ' | b'\t' => {}
                        _ => angle.push(byte),
                    }
                }
                reader.angle = Some(angle);
            }
            b',' => reader.finish(),
            b';' => {
                reader.finish();
                if std::mem::take(&mut reader.in_group) {
                    reader.entries.push(Entry::GroupEnd);
                }
            }
            b':' if !reader.in_group && reader.angle.is_none() => {
                let name = std::mem::take(&mut reader.phrase).trim_ascii().to_vec();
                reader.entries.push(Entry::GroupStart(name));
                reader.in_group = true;
            }
            b' ' | b'\t' => {
                if !reader.phrase.is_empty() && !reader.phrase.ends_with(b" ") {
                    reader.phrase.push(b' ');
                }
            }
            _ => reader.phrase.push(byte),
        }
    }
    reader.finish();
    if reader.in_group {
        reader.entries.push(Entry::GroupEnd);
    }
    reader.entries
}

impl Reader {
    fn finish(&mut self) {
        let phrase = std::mem::take(&mut self.phrase).trim_ascii().to_vec();
        let comment = std::mem::take(&mut self.comment);
        let (name, address) = match self.angle.take() {
            Some(angle) => (phrase, angle),
            None => (comment, phrase.into_iter().filter(|byte| *byte != b' ').collect()),
        };
        // A route (RFC 5322 4.4) is dropped: it is obsolete.
        let address = match address.first() {
            Some(b'@') => {
                address.splitn(2, |byte| *byte == b':').nth(1).map_or_else(Vec::new, <[u8]>::to_vec)
            }
            _ => address,
        };
        if address.is_empty() {
            return;
        }
        let (local, host) = match address
            .iter()
            .rposition(|byte| *byte == b'@')
            .and_then(|at| address.split_at_checked(at))
        {
            Some((local, host)) => (local.to_vec(), host.get(1..).unwrap_or_default().to_vec()),
            None => (address, Vec::new()),
        };
        let name = Some(name).filter(|name| !name.is_empty());
        self.entries.push(Entry::Mailbox { name, local: unquote(local), host });
    }
}

fn unquote(local: Vec<u8>) -> Vec<u8> {
    match local.strip_prefix(b"\"").and_then(|local| local.strip_suffix(b"\"")) {
        Some(inside) => quoted(&mut inside.iter().copied()),
        None => local,
    }
}

/// The content of a quoted string after its first quote; consumes the last.
fn quoted(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
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
fn comment(bytes: &mut impl Iterator<Item = u8>) -> Vec<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, local: &str, host: &str) -> Entry {
        let name = Some(name.as_bytes().to_vec()).filter(|name| !name.is_empty());
        Entry::Mailbox { name, local: local.into(), host: host.into() }
    }

    #[test]
    fn common_address_forms_are_parsed() {
        assert_eq!(parse(b" a@b "), [person("", "a", "b")]);
        assert_eq!(
            parse(b"Ann  B. <a@b>,\r\n \"C, D\" <\"c d\"@e>"),
            [person("Ann B.", "a", "b"), person("C, D", "c d", "e")]
        );
        assert_eq!(parse(b"a@b (Ann (the first))"), [person("Ann (the first)", "a", "b")]);
        assert_eq!(
            parse(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@b>"),
            [person("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "a", "b")]
        );
        assert_eq!(parse(b"<@x,@y:a@b>"), [person("", "a", "b")]);
        assert_eq!(parse(b"root"), [person("", "root", "")]);
        assert_eq!(parse(b""), []);
        assert_eq!(parse(b", ,,"), []);
    }

    #[test]
    fn address_groups_open_and_close() {
        assert_eq!(
            parse(b"undisclosed-recipients:;"),
            [Entry::GroupStart(b"undisclosed-recipients".to_vec()), Entry::GroupEnd]
        );
        assert_eq!(
            parse(b"G: a@b, c@d; e@f"),
            [
                Entry::GroupStart(b"G".to_vec()),
                person("", "a", "b"),
                person("", "c", "d"),
                Entry::GroupEnd,
                person("", "e", "f")
            ]
        );
        assert_eq!(
            parse(b"G: a@b"),
            [Entry::GroupStart(b"G".to_vec()), person("", "a", "b"), Entry::GroupEnd]
        );
    }

    proptest::proptest! {
        #[test]
        fn address_parser_survives_any_bytes(
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        ) {
            parse(&bytes);
        }
    }
}
