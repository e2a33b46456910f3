//! Headers with raw 8-bit bytes, written in ASCII (RFC 2047), so that servers without SMTPUTF8 take
//! the message (RFC 6531 1).
//!
//! Unstructured fields and the names in address lists are encoded. Fields with addresses beyond
//! ASCII and other structured fields stay as they are.

use crate::address::{self, ADDRESSES_MAX, Entry, Mailbox};
use crate::{charset, header, word};

/// The usual length of a line, in bytes, and the most for one with encoded words (RFC 2047 2).
const LINE_LEN: usize = 76;
/// Fields with address lists (RFC 5322 3.6.2, 3.6.3, 3.6.6; RFC 8098 2.1).
const ADDRESSES: [&str; 12] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "bcc",
    "resent-from",
    "resent-sender",
    "resent-to",
    "resent-cc",
    "resent-reply-to",
    "disposition-notification-to",
];
/// Other structured fields, in which RFC 2047 5 allows no encoded words.
const STRUCTURED: [&str; 13] = [
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "received",
    "return-path",
    "resent-date",
    "resent-message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
];

/// The header in ASCII, as far as its fields allow it. `header` may end with its empty line.
pub fn encode(header: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(header.len());
    let mut rest = header;
    while !rest.is_empty() {
        let (raw, after) = rest.split_at(header::field_len(rest).min(rest.len()));
        rest = after;
        match (!raw.is_ascii()).then(|| field(raw)).flatten() {
            Some(encoded) => out.extend_from_slice(encoded.as_bytes()),
            None => out.extend_from_slice(raw),
        }
    }
    out
}

/// A field in ASCII with its line end; `None` if it can't be encoded.
fn field(raw: &[u8]) -> Option<String> {
    let field = header::field(raw)?;
    let name = std::str::from_utf8(field.name).ok().filter(|name| is_name(name))?;
    let is_one_of = |names: &[&str]| names.iter().any(|known| field.is(known));
    if is_one_of(&ADDRESSES) {
        return addresses(name, field.value);
    }
    let begins = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if is_one_of(&STRUCTURED) || begins("list-") || begins("dkim-") || begins("arc-") {
        return None;
    }
    Some(unstructured(name, field.value))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Encodes from the first word that needs it to the last one: white space between encoded words is
/// no text (RFC 2047 6.2).
fn unstructured(name: &str, value: &[u8]) -> String {
    let value = header::unfold(value);
    let text = charset::decode(&value, None);
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let needs = |word: &&str| !word.is_ascii() || word.contains("=?") || has_control(word);
    let first = words.iter().position(needs).unwrap_or(words.len());
    let last = words.iter().rposition(needs).map_or(first, |last| last.saturating_add(1));
    let part = |range: std::ops::Range<usize>| words.get(range).unwrap_or_default();
    let encoded = word::encode(&word::decode(part(first..last).join(" ").as_bytes(), None));
    let mut lines = Lines::new(name);
    part(0..first).iter().for_each(|word| lines.word(word));
    encoded.split(' ').for_each(|word| lines.word(word));
    part(last..words.len()).iter().for_each(|word| lines.word(word));
    lines.end()
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

/// An address list with encoded names; `None` if an address itself is not in ASCII.
fn addresses(name: &str, value: &[u8]) -> Option<String> {
    let entries = address::parse(value);
    if entries.is_empty() || entries.len() >= ADDRESSES_MAX {
        return None;
    }
    let mut lines = Lines::new(name);
    let mut needs_comma = false;
    for entry in &entries {
        if needs_comma && *entry != Entry::GroupEnd {
            lines.append(",");
        }
        match entry {
            Entry::Mailbox(mailbox) => {
                person(mailbox)?.split(' ').for_each(|word| lines.word(word));
            }
            Entry::GroupStart(group) => {
                phrase(&word::decode(group, None)).split(' ').for_each(|word| lines.word(word));
                lines.append(":");
            }
            Entry::GroupEnd => lines.append(";"),
        }
        needs_comma = !matches!(entry, Entry::GroupStart(_));
    }
    Some(lines.end())
}

fn person(mailbox: &Mailbox) -> Option<String> {
    let address = mailbox.address();
    let name = mailbox.display_name(None);
    if mailbox.route.is_some() || has_control(&address) {
        return None;
    }
    if mailbox.host.is_empty() {
        // A word that is no address.
        return Some(phrase(if name.is_empty() { &address } else { &name }));
    }
    match (address.is_ascii(), name.trim()) {
        (false, _) => None,
        (true, "") => Some(address),
        (true, name) => Some(format!("{} <{address}>", phrase(name))),
    }
}

/// A name as words of atoms, as a quoted string, or encoded (RFC 5322 3.2.5, RFC 2047 5 (3)).
fn phrase(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/^_`{|}~ ".contains(c);
    if !name.is_ascii() || name.contains("=?") || has_control(name) || name.contains("  ") {
        word::encode(name)
    } else if name.chars().all(is_plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A field that is written word by word and folded between words (RFC 5322 2.2.3).
struct Lines {
    out: String,
    line_len: usize,
}

impl Lines {
    fn new(name: &str) -> Self {
        Self { out: format!("{name}:"), line_len: name.len().saturating_add(1) }
    }

    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        // A field's first line is never empty: some readers take the next one for another field.
        let is_first = self.out.ends_with(':') && !self.out.contains(' ');
        let len = self.line_len.saturating_add(word.len()).saturating_add(1);
        if len > LINE_LEN && !is_first {
            self.out.push_str("\r\n");
            self.line_len = 0;
        }
        self.out.push(' ');
        self.append(word);
        self.line_len = self.line_len.saturating_add(1);
    }

    /// Text that belongs to the last word.
    fn append(&mut self, text: &str) {
        self.out.push_str(text);
        self.line_len = self.line_len.saturating_add(text.len());
    }

    fn end(mut self) -> String {
        self.out.push_str("\r\n");
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields of the encoded header, decoded again as a reader does.
    fn read(header: &[u8]) -> (String, String) {
        let encoded = encode(header);
        assert!(encoded.is_ascii(), "{encoded:?}");
        for line in encoded.split(|byte| *byte == b'\n') {
            assert!(line.len() < 90, "{:?}", String::from_utf8_lossy(line));
        }
        let value = header::first(&encoded, "subject").unwrap_or_default();
        let to = header::first(&encoded, "to").unwrap_or_default();
        let people = address::parse(to);
        let people: Vec<String> = address::mailboxes(&people)
            .map(|person| format!("{}|{}", person.display_name(None), person.address()))
            .collect();
        (word::decode(value, None), people.join(" "))
    }

    #[test]
    fn raw_subject_is_encoded_and_read_again() {
        let long = "Größe über alles ".repeat(20);
        for subject in [
            "Grüße",
            "Grüße aus Köln an alle",
            "plain words before Grüße and after",
            "=?utf-8?q?J=C3=BCrgen?= grüßt =?utf-8?q?J=C3=BCrgen?= again",
            "Привет, мир",
            long.trim(),
        ] {
            let header = format!("X: y\r\nSubject: {subject}\r\n\r\n");
            let expected = word::decode(subject.as_bytes(), None);
            assert_eq!(read(header.as_bytes()).0, expected, "{subject}");
        }
        assert_eq!(read(b"Subject: Gr\xfc\xdfe\r\n aus\r\n\tK\xf6ln\r\n\r\n").0, "Grüße aus Köln");
        let ascii = b"Subject:  as it  is \r\n\r\n";
        assert_eq!(encode(ascii), ascii);
    }

    #[test]
    fn raw_names_are_encoded_and_addresses_stay() {
        let to = "Jörg Müller <j@a.example>, \"Ö, A.\" <o@a.example>, x@y.example,\r\n \
                  \"A. (B)\" <ab@a.example>, Größe: k@a.example, Ann <ann@a.example>;, l@b.example";
        let (_, people) = read(format!("To: {to}\r\n\r\n").as_bytes());
        assert_eq!(
            people,
            "Jörg Müller|j@a.example Ö, A.|o@a.example |x@y.example A. (B)|ab@a.example \
             |k@a.example Ann|ann@a.example |l@b.example"
        );
        let group = encode("To: Größe: k@a.example;, Ann <ann@a.example>\r\n".as_bytes());
        assert!(group.ends_with(b": k@a.example;, Ann <ann@a.example>\r\n"), "{group:?}");
        for other in ["To: jörg@a.example\r\n", "To: x@bücher.example\r\n", "Message-ID: <ü@a>\r\n"]
        {
            assert_eq!(encode(other.as_bytes()), other.as_bytes(), "{other}");
        }
    }

    #[test]
    fn hostile_header_adds_no_field() {
        let header = "To: \"=?utf-8?q?a=0D=0AX-Evil=3A_1?=\u{e9}\" <a@a.example>\r\n\
                      Subject: =?utf-8?q?a=0D=0AX-Evil=3A_1?= \u{e9}\r\nnonsense \u{e9}\r\n\r\n";
        let encoded = encode(header.as_bytes());
        let names: Vec<&[u8]> = header::fields(&encoded).map(|field| field.name).collect();
        assert_eq!(names, [&b"To"[..], b"Subject"]);
        let many = format!("Subject: {}\r\n", "ü ".repeat(50_000));
        assert!(encode(many.as_bytes()).len() < many.len() * 4);
        let many = format!("To: {}\r\n", "ü <a@a.example>,".repeat(50_000));
        assert_eq!(encode(many.as_bytes()), many.as_bytes(), "too many to be read");
    }
}
