//! mail-parser as an oracle: it reads well-formed messages as this crate does. The oracle of
//! malformed messages is people, so those are tests of their own.

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::mime::{BodyPart, MimePart};
use mail_parser::{Message, MessageParser, PartType};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{Kind, Structure, charset, content, date, header, people, word};

/// Malformed fixtures that the two read differently, and why.
const DIFFERENT: [(&str, &str); 9] = [
    ("broken_encodings", "base64 without padding, uuencode, UTF-16 cut in a character, day 32"),
    ("duplicate_fields", "of two fields the first counts here, the last there"),
    ("empty_multiparts", "a multipart without a boundary: the boundary is guessed here"),
    ("encoded_words", "words split inside a character are joined here"),
    ("header_only", "a header without an end has a subject here"),
    ("nested_message", "a message without a body has an empty leaf here, and none there"),
    ("no_header", "text without a header is a body here"),
    ("no_mime_version", "raw 8-bit bytes, a year of two digits, a source route"),
    ("unclosed_multipart", "a line that goes on behind the boundary is no delimiter here"),
];

/// The result of a reader.
#[derive(Debug, Default, PartialEq)]
struct Seen {
    /// With one space for several: mail-parser has one where a line was folded.
    subject: String,
    from: Vec<String>,
    to: Vec<String>,
    /// Seconds since 1970.
    date: Option<i64>,
    /// The decoded leaves in order. Texts are decoded, without white space at their end.
    leaves: Vec<Vec<u8>>,
}

fn ours(message: &[u8]) -> Seen {
    let structure = Structure::parse(message);
    let fields = structure.header(message, Structure::ROOT);
    let label = content::main_charset(&structure);
    let people = |name: &str| {
        let people = people::of(fields, name, label.as_deref()).into_iter();
        people.map(|person| person.address).filter(|address| !address.is_empty()).collect()
    };
    let leaves = structure.ids().filter(|id| structure.part(*id).kind == Kind::Leaf);
    let leaf = |id| {
        let media = &structure.part(id).media;
        let bytes = structure.decoded(message, id).bytes;
        if media.is("text", None) {
            let label = media.parameter("charset");
            text(&charset::decode(&bytes, label.as_deref()))
        } else {
            bytes.into_owned()
        }
    };
    let subject = header::first(fields, "subject").unwrap_or_default();
    Seen {
        subject: spaced(&word::decode(subject, label.as_deref())),
        from: people("from"),
        to: people("to"),
        date: header::first(fields, "date").and_then(date::parse).map(|date| date.secs),
        leaves: leaves.map(leaf).collect(),
    }
}

fn theirs(message: &[u8]) -> Seen {
    let Some(parsed) = MessageParser::default().parse(message) else { return Seen::default() };
    let people = |people: Option<&mail_parser::Address<'_>>| {
        let people = people.into_iter().flat_map(|list| list.iter());
        people.filter_map(|person| person.address().map(str::to_owned)).collect()
    };
    let mut leaves = Vec::new();
    flatten(&parsed, &mut leaves);
    Seen {
        subject: spaced(parsed.subject().unwrap_or_default()),
        from: people(parsed.from()),
        to: people(parsed.to()),
        date: parsed.date().map(mail_parser::DateTime::to_timestamp),
        leaves,
    }
}

fn flatten(message: &Message<'_>, leaves: &mut Vec<Vec<u8>>) {
    for part in &message.parts {
        match &part.body {
            PartType::Text(words) | PartType::Html(words) => leaves.push(text(words)),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => leaves.push(bytes.to_vec()),
            PartType::Message(inner) => flatten(inner, leaves),
            PartType::Multipart(_) => {}
        }
    }
}

fn spaced(subject: &str) -> String {
    subject.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

fn text(words: &str) -> Vec<u8> {
    words.replace("\r\n", "\n").trim_end().as_bytes().to_vec()
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test may block")]
fn fixtures_are_read_as_by_mail_parser() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../mail/tests/mail/messages");
    let mut compared = 0;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let message = std::fs::read(&path).unwrap();
        let (ours, theirs) = (ours(&message), theirs(&message));
        let reason = DIFFERENT.iter().find(|(known, _)| *known == name);
        if (ours != theirs) != reason.is_some() {
            found.push(format!("{name}, {reason:?}:\n  {ours:?}\n  {theirs:?}"));
        }
        compared += 1;
    }
    assert!(found.is_empty() && compared > 10, "{}", found.join("\n"));
}

/// Words that are encoded in every way.
fn words() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,80}", "[a-zäöüß€ ]{0,200}", "[一-三あ-う😀 ]{0,60}"]
        .prop_map(|words| words.trim().to_owned())
}

fn leaf() -> impl Strategy<Value = MimePart<'static>> {
    let lines = proptest::collection::vec(words(), 0..5).prop_map(|lines| lines.join("\r\n"));
    prop_oneof![
        (select(vec!["text/plain", "text/html"]), lines)
            .prop_map(|(kind, text)| MimePart::new(kind, text)),
        (select(vec!["image/png", "application/pdf"]), any::<Vec<u8>>())
            .prop_map(|(kind, bytes)| MimePart::new(kind, bytes).attachment("Größe.bin")),
    ]
}

fn part() -> impl Strategy<Value = MimePart<'static>> {
    leaf().prop_recursive(3, 12, 4, |inner| {
        let kinds = vec!["multipart/mixed", "multipart/alternative", "multipart/related"];
        (select(kinds), proptest::collection::vec(inner, 1..4))
            .prop_map(|(kind, parts)| MimePart::new(kind, BodyPart::Multipart(parts)))
    })
}

fn address() -> impl Strategy<Value = (String, String)> {
    (words(), "[a-z][a-z0-9._+-]{0,8}[a-z]@[a-z]{1,10}\\.example")
        .prop_map(|(name, address)| (name, address.replace("..", ".")))
}

proptest! {
    #[test]
    fn generated_messages_are_read_as_by_mail_parser(
        subject in words(),
        from in address(),
        to in proptest::collection::vec(address(), 1..4),
        date in 0i64..4_000_000_000,
        body in part(),
    ) {
        let to = to.into_iter().map(Address::from).collect();
        let message = MessageBuilder::new()
            .from(from)
            .to(Address::new_list(to))
            .subject(subject)
            .date(date)
            .body(body)
            .write_to_vec()
            .unwrap();
        let shown = String::from_utf8_lossy(&message).into_owned();
        prop_assert_eq!(ours(&message), theirs(&message), "{}", shown);
    }
}
