//! Address lists (RFC 5322 3.4), also malformed ones: an address is never put together from words
//! that nobody wrote as an address.

mod lexical;

use lexical::{angle, closed, comment, is_quoted, quoted, requote, unquoted, words};

use crate::{charset, word};

/// Most entries read of one field.
pub const ADDRESSES_MAX: usize = 2_000;

/// Most pieces of a name with unquoted commas, without the last: `Dr. Miller, Ann, PhD <…>`.
const NAME_PIECES_MAX: usize = 4;

/// One entry of an address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A person.
    Mailbox(Mailbox),
    /// `name:`, the start of a group.
    GroupStart(Vec<u8>),
    /// `;`, its end.
    GroupEnd,
}

/// A person of an address list. All bytes are as sent; quoted strings are unquoted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// The display name or, without one, the comment; may have encoded words (RFC 2047).
    pub name: Option<Vec<u8>>,
    /// The obsolete source route, such as `@a,@b`.
    pub route: Option<Vec<u8>>,
    /// The local part; empty if the entry has no address.
    pub local: Vec<u8>,
    /// The domain; empty if the entry has none.
    pub host: Vec<u8>,
}

impl Mailbox {
    /// The decoded display name; empty if there is none. `charset` as for [`word::decode`].
    pub fn display_name(&self, charset: Option<&str>) -> String {
        self.name.as_deref().map(|name| word::decode(name, charset)).unwrap_or_default()
    }

    /// The address as text, such as `ann@a.example`; empty if there is none. A local part with
    /// special characters is quoted.
    pub fn address(&self) -> String {
        // RFC 2047 5 (3): an encoded word in an address is no encoded word.
        let local = charset::decode(&self.local, None).into_owned();
        let host = String::from_utf8_lossy(&self.host);
        let is_atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
        match (local.is_empty(), host.is_empty()) {
            (_, true) => local,
            (false, false) if local.chars().all(is_atom) => format!("{local}@{host}"),
            (..) => format!("\"{}\"@{host}", local.replace('\\', "\\\\").replace('"', "\\\"")),
        }
    }
}

/// The persons of an address list, without its groups' names.
pub fn mailboxes(entries: &[Entry]) -> impl Iterator<Item = &Mailbox> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Mailbox(mailbox) => Some(mailbox),
        Entry::GroupStart(_) | Entry::GroupEnd => None,
    })
}

/// Parses an address list. An entry that is no address is kept with its name alone.
pub fn parse(value: &[u8]) -> Vec<Entry> {
    let mut reader = Reader::default();
    let value = closed(value);
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        if reader.entries.len() >= ADDRESSES_MAX {
            break;
        }
        match byte {
            b'"' => reader.quoted(&quoted(&mut bytes)),
            b'(' => reader.comment = comment(&mut bytes),
            b'<' => reader.angle = Some(angle(&mut bytes)),
            b'>' | b'\0' => {}
            0x1b => {
                // Raw ISO-2022-JP (RFC 1468): its bytes are no punctuation until it ends.
                reader.push(byte);
                for byte in bytes.by_ref() {
                    reader.push(byte);
                    if reader.plain.ends_with(b"\x1b(B") || reader.plain.ends_with(b"\x1b(J") {
                        break;
                    }
                }
            }
            b'[' => {
                // A domain literal may contain colons.
                reader.push(byte);
                while let Some(byte) = bytes.next_if(|byte| !b",;<>\"".contains(byte)) {
                    reader.push(byte);
                    if byte == b']' {
                        break;
                    }
                }
            }
            b',' => reader.finish(true),
            b';' => {
                reader.finish(false);
                if std::mem::take(&mut reader.in_group) {
                    reader.entries.push(Entry::GroupEnd);
                }
            }
            b':' if !reader.in_group && reader.angle.is_none() => {
                let name = std::mem::take(&mut reader.phrase).trim_ascii().to_vec();
                reader.plain.clear();
                if !name.eq_ignore_ascii_case(b"mailto") {
                    reader.entries.push(Entry::GroupStart(name));
                    reader.in_group = true;
                }
            }
            _ => reader.push(byte),
        }
    }
    reader.finish(false);
    if reader.in_group {
        reader.entries.push(Entry::GroupEnd);
    }
    reader.entries
}

#[derive(Default)]
struct Reader {
    entries: Vec<Entry>,
    /// The words outside angle brackets, unquoted.
    phrase: Vec<u8>,
    /// The same, with the quotes.
    plain: Vec<u8>,
    /// The content of angle brackets, with its quotes.
    angle: Option<Vec<u8>>,
    comment: Vec<u8>,
    in_group: bool,
    /// Words that commas ended, before they are known to be a name.
    before_comma: Vec<Vec<u8>>,
}

impl Reader {
    fn push(&mut self, byte: u8) {
        for text in [&mut self.phrase, &mut self.plain] {
            match byte {
                b' ' | b'\t' if text.is_empty() || text.ends_with(b" ") => {}
                b' ' | b'\t' => text.push(b' '),
                _ => text.push(byte),
            }
        }
    }

    fn quoted(&mut self, text: &[u8]) {
        self.phrase.extend_from_slice(text);
        requote(&mut self.plain, text);
    }

    /// Ends an entry, at a comma or elsewhere.
    fn finish(&mut self, at_comma: bool) {
        let phrase = std::mem::take(&mut self.phrase).trim_ascii().to_vec();
        let plain = std::mem::take(&mut self.plain);
        let comment = std::mem::take(&mut self.comment);
        let mut before_comma = std::mem::take(&mut self.before_comma);
        if let Some(angle) = self.angle.take() {
            let mut name = if phrase.is_empty() { comment } else { phrase };
            if name.is_empty() {
                before_comma.drain(..).for_each(|before| self.words(before, Vec::new()));
            } else {
                // `Miller, Ann <ann@a.example>`, which should be quoted.
                before_comma.push(name);
                name = before_comma.join(&b", "[..]);
            }
            let mut words = words(&angle);
            let address = words.pop().filter(|last| words.is_empty() || last.contains(&b'@'));
            let mut mailbox = mailbox(address.unwrap_or_default());
            if name.is_empty() && mailbox.local.is_empty() {
                name = angle.trim_ascii().to_vec();
            }
            mailbox.name = Some(name).filter(|name| !name.is_empty());
            if mailbox.name.is_some() || !mailbox.local.is_empty() {
                self.entries.push(Entry::Mailbox(mailbox));
            }
            return;
        }
        let is_local_user = |byte: &u8| !byte.is_ascii_uppercase() && byte.is_ascii_graphic();
        if at_comma
            && before_comma.len() < NAME_PIECES_MAX
            && comment.is_empty()
            && !phrase.is_empty()
            && !phrase.contains(&b'@')
            && !phrase.iter().all(is_local_user)
        {
            before_comma.push(phrase);
            self.before_comma = before_comma;
            return;
        }
        before_comma.into_iter().for_each(|before| self.words(before, Vec::new()));
        if !phrase.contains(&b'@') && !comment.contains(&b' ') && comment.contains(&b'@') {
            // `Ann (ann@a.example)`: the address is the comment.
            let name = Some(phrase).filter(|name| !name.is_empty());
            return self.entries.push(Entry::Mailbox(Mailbox { name, ..mailbox(comment) }));
        }
        self.plain_words(phrase, &plain, comment);
    }

    /// Words without quotes.
    fn words(&mut self, phrase: Vec<u8>, comment: Vec<u8>) {
        let plain = phrase.clone();
        self.plain_words(phrase, &plain, comment);
    }

    /// An entry without angle brackets: an address, addresses, or a name with an address behind.
    fn plain_words(&mut self, phrase: Vec<u8>, plain: &[u8], comment: Vec<u8>) {
        let mut words = words(plain);
        // A quoted string alone is a name, also with an `@` in it.
        let is_address = |word: &[u8]| word.contains(&b'@') && !is_quoted(word);
        let named = |name: Vec<u8>| Some(name).filter(|name| !name.is_empty());
        if words.is_empty() {
            return;
        }
        if words.iter().all(|word| is_address(word)) {
            let many = words
                .into_iter()
                .map(|word| Mailbox { name: named(comment.clone()), ..mailbox(word) });
            let room = ADDRESSES_MAX.saturating_sub(self.entries.len());
            self.entries.extend(many.take(room).map(Entry::Mailbox));
            return;
        }
        let found = match words.pop() {
            Some(last) if words.is_empty() && !is_quoted(&last) => {
                Mailbox { name: named(comment), ..mailbox(last) }
            }
            Some(last) if is_address(&last) => {
                // `Ann [ann@a.example]`
                let inside = last.strip_prefix(b"[").and_then(|last| last.strip_suffix(b"]"));
                let last = inside.map_or(last.clone(), <[u8]>::to_vec);
                let name: Vec<_> = words.into_iter().map(unquoted).collect();
                Mailbox { name: named(name.join(&b" "[..])), ..mailbox(last) }
            }
            _ => Mailbox { name: named(phrase), ..Mailbox::default() },
        };
        self.entries.push(Entry::Mailbox(found));
    }
}

/// The parts of an address, with its quotes.
fn mailbox(address: Vec<u8>) -> Mailbox {
    let address = match address.get(..b"mailto:".len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(b"mailto:") => {
            address.get(scheme.len()..).unwrap_or_default().to_vec()
        }
        _ => address,
    };
    let (route, address) = match (address.first(), memchr::memchr(b':', &address)) {
        (Some(b'@'), Some(colon)) => {
            let (route, rest) = address.split_at_checked(colon).unwrap_or((&address, b""));
            (Some(route.to_vec()), rest.get(1..).unwrap_or_default().to_vec())
        }
        _ => (None, address),
    };
    let at = address.iter().rposition(|byte| *byte == b'@');
    let (local, host) = match at.and_then(|at| address.split_at_checked(at)) {
        Some((local, host)) => (local.to_vec(), host.get(1..).unwrap_or_default().to_vec()),
        None => (address, Vec::new()),
    };
    Mailbox { name: None, route, local: unquote(local), host }
}

fn unquote(local: Vec<u8>) -> Vec<u8> {
    match local.strip_prefix(b"\"").and_then(|local| local.strip_suffix(b"\"")) {
        Some(inside) => quoted(&mut inside.iter().copied()),
        None => local,
    }
}

#[cfg(test)]
mod tests;
