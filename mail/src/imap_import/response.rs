//! Parses the responses that an import needs (RFC 3501 7). Unknown ones are passed over.

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::Flags;

use crate::imap::cursor::{Cursor, SyntaxError, is_atom_char};
use crate::imap::{date, flags, utf7};

/// The most flags of a message that are read.
const FLAGS_MAX: usize = 200;

/// A folder as the server lists it (RFC 3501 7.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its name as the server spells it.
    pub(super) wire: Vec<u8>,
    /// Its name, levels separated by `/`.
    pub(super) name: String,
    /// Its attributes, in lower case.
    pub(super) attributes: Vec<String>,
}

impl Listed {
    pub(super) fn is(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|found| found == attribute)
    }
}

/// A message as the server gives it (RFC 3501 7.4.2), without its text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fetched {
    pub(super) seq: u32,
    pub(super) uid: Option<u32>,
    pub(super) flags: Flags,
    pub(super) date: Option<Timestamp>,
    /// The labels of Gmail.
    pub(super) labels: Vec<String>,
    /// A text that came as a quoted string.
    pub(super) text: Option<Vec<u8>>,
}

/// `* LIST (…) "/" name`.
pub(super) fn listed(line: &[u8]) -> Option<Listed> {
    let mut cursor = Cursor::new(line);
    if !cursor.eat("* LIST ") {
        return None;
    }
    let attributes = cursor.list(word).ok()?;
    cursor.space().ok()?;
    let delimiter = cursor.nstring().ok()?;
    cursor.space().ok()?;
    let wire = cursor.astring().ok()?;
    let name = levels(&decoded(&wire), delimiter.as_deref());
    let attributes = attributes.into_iter().map(|word| word.to_ascii_lowercase()).collect();
    Some(Listed { wire, name, attributes })
}

/// A name with `/` between its levels; a `/` inside a level becomes `_`.
pub(super) fn levels(name: &str, delimiter: Option<&[u8]>) -> String {
    match delimiter.and_then(|delimiter| delimiter.first()) {
        Some(b'/') => name.to_owned(),
        Some(delimiter) => name.replace('/', "_").replace(char::from(*delimiter), "/"),
        None => name.replace('/', "_"),
    }
}

/// A name or label. One that is no modified UTF-7 is taken as it is.
fn decoded(wire: &[u8]) -> String {
    utf7::decode(wire).unwrap_or_else(|| String::from_utf8_lossy(wire).into_owned())
}

/// The prefixes of other people's and of shared folders, and of the owner's (RFC 2342 6).
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Namespaces {
    pub(super) personal: Vec<String>,
    pub(super) others: Vec<String>,
}

/// `* NAMESPACE personal other shared`.
pub(super) fn namespaces(line: &[u8]) -> Option<Namespaces> {
    let mut cursor = Cursor::new(line);
    if !cursor.eat("* NAMESPACE ") {
        return None;
    }
    let mut found = Namespaces { personal: prefixes(&mut cursor).ok()?, others: Vec::new() };
    for _ in 0..2 {
        cursor.space().ok()?;
        found.others.extend(prefixes(&mut cursor).ok()?);
    }
    // An empty prefix is that of all folders.
    found.others.retain(|prefix| !prefix.is_empty());
    Some(found)
}

fn prefixes(cursor: &mut Cursor<'_>) -> Result<Vec<String>, SyntaxError> {
    if cursor.eat("NIL") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    cursor.expect("(", "a namespace is missing")?;
    while !cursor.eat(")") {
        cursor.eat(" ");
        cursor.expect("(", "a namespace is missing")?;
        let prefix = cursor.string()?;
        cursor.space()?;
        let delimiter = cursor.nstring()?;
        found.push(levels(&decoded(&prefix), delimiter.as_deref()));
        // Extensions may follow (RFC 2342 6).
        while !cursor.eat(")") {
            skip(cursor)?;
        }
    }
    Ok(found)
}

/// The number before `name` in `* n name`.
pub(super) fn number_of(line: &[u8], name: &str) -> Option<u32> {
    let mut cursor = Cursor::new(line);
    let number = cursor.eat("* ").then(|| cursor.number().ok())??;
    (cursor.eat(" ") && cursor.eat(name)).then_some(number)
}

/// The number in the response code `[name n]` of `* OK` (RFC 3501 7.1).
pub(super) fn code_of(line: &[u8], name: &str) -> Option<u32> {
    let mut cursor = Cursor::new(line);
    (cursor.eat("* OK [") && cursor.eat(name) && cursor.eat(" ")).then(|| cursor.number().ok())?
}

/// The count of messages in `* STATUS name (MESSAGES n)`.
pub(super) fn status_messages(line: &[u8]) -> Option<u32> {
    let mut cursor = Cursor::new(line);
    if !cursor.eat("* STATUS ") {
        return None;
    }
    cursor.astring().ok()?;
    (cursor.eat(" (MESSAGES ")).then(|| cursor.number().ok())?
}

/// `* n FETCH (…)`; `None` for any other response.
///
/// # Errors
/// When it is one and can't be read.
pub(super) fn fetched(line: &[u8]) -> Option<Result<Fetched, SyntaxError>> {
    let mut cursor = Cursor::new(line);
    let seq = cursor.eat("* ").then(|| cursor.number().ok())??;
    cursor.eat(" FETCH (").then(|| items(&mut cursor, seq))
}

fn items(cursor: &mut Cursor<'_>, seq: u32) -> Result<Fetched, SyntaxError> {
    let mut found = Fetched { seq, ..Fetched::default() };
    loop {
        let name = cursor.run(|byte| !matches!(byte, b' ' | b')' | b'(')).to_ascii_uppercase();
        cursor.space()?;
        match name.as_slice() {
            b"UID" => found.uid = Some(cursor.nz_number()?),
            b"FLAGS" => found.flags = flags_of(&cursor.list(word)?),
            b"INTERNALDATE" => {
                let text = cursor.nstring()?.unwrap_or_default();
                found.date = std::str::from_utf8(&text).ok().and_then(date::moment);
            }
            b"X-GM-LABELS" => {
                found.labels = cursor.list(|cursor| match cursor.peek() {
                    Some(b'\\') => word(cursor),
                    _ => cursor.astring().map(|wire| decoded(&wire)),
                })?;
            }
            b"BODY[]" => found.text = cursor.nstring()?,
            _ => skip(cursor)?,
        }
        if cursor.eat(")") {
            return Ok(found);
        }
        cursor.space()?;
    }
}

/// A flag or an attribute, also one that no grammar allows.
fn word(cursor: &mut Cursor<'_>) -> Result<String, SyntaxError> {
    let word = cursor.run(|byte| !matches!(byte, b' ' | b')' | b'('));
    match word.is_empty() {
        true => Err(SyntaxError("a word is missing")),
        false => Ok(String::from_utf8_lossy(word).into_owned()),
    }
}

/// The flags that a message can have here: `\Recent` and unknown system flags are dropped.
fn flags_of(words: &[String]) -> Flags {
    let mut found = Flags::default();
    for word in words.iter().take(FLAGS_MAX) {
        match flags::system(word) {
            Some(bit) => found.bits |= bit,
            None if word.starts_with('\\') || found.has_keyword(word) => {}
            None => found.keywords.push(word.clone()),
        }
    }
    found
}

/// Passes over one value: a word, a string, or a list of such.
fn skip(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
    let mut depth = 0_usize;
    loop {
        if cursor.eat("(") {
            depth += 1;
        } else if cursor.eat(")") {
            depth = depth.checked_sub(1).ok_or(SyntaxError("a list ends twice"))?;
        } else if cursor.eat(" ") {
        } else if matches!(cursor.peek(), Some(b'"' | b'{')) {
            cursor.string()?;
        } else if cursor.run(|byte| is_atom_char(byte) || b"\\]%*".contains(&byte)).is_empty() {
            return Err(SyntaxError("a value is missing"));
        }
        if depth == 0 && matches!(cursor.peek(), None | Some(b' ' | b')')) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fetch_response_is_read_in_any_order() {
        let line = [
            r"* 12 FETCH (MODSEQ (7) FLAGS (\Seen \Recent $Junk \Odd) X-GM-MSGID 127845534423033486",
            r#"BODY[] NIL ENVELOPE ("a ) \" b" NIL (("x" NIL "(" "y")))"#,
            r#"X-GM-LABELS (\Inbox "\\Sent" "Gr&APwA3w-e" Work)"#,
            r#"INTERNALDATE "17-Jul-1996 02:44:25 -0700" UID 9)"#,
        ];
        let found = fetched(line.join(" ").as_bytes()).unwrap().unwrap();
        assert_eq!((found.seq, found.uid, found.text), (12, Some(9), None));
        assert_eq!(found.flags, Flags { bits: Flags::SEEN, keywords: vec!["$Junk".into()] });
        assert_eq!(found.labels, ["\\Inbox", "\\Sent", "Grüße", "Work"]);
        assert_eq!(found.date.map(|date| date.as_secs()), Some(837_596_665));
        let quoted = fetched(b"* 1 FETCH (BODY[] \"x\" INTERNALDATE \"never\")").unwrap().unwrap();
        assert_eq!((quoted.text, quoted.date), (Some(b"x".to_vec()), None));
        assert!(fetched(b"* 1 EXISTS").is_none() && fetched(b"A1 OK FETCH (").is_none());
        for bad in ["", "UID", "UID 0)", "FLAGS (", "X (((", "X )", "BODY[] {9}\r\nx)"] {
            assert!(fetched(format!("* 1 FETCH ({bad}").as_bytes()).unwrap().is_err(), "{bad}");
        }
    }

    #[test]
    fn listed_folder_has_levels_and_attributes() {
        let found =
            listed(br#"* LIST (\HasNoChildren \Sent) "." "INBOX.Entw&APw-rfe.a/b""#).unwrap();
        assert_eq!(found.name, "INBOX/Entwürfe/a_b");
        assert!(found.is("\\sent") && found.wire == b"INBOX.Entw&APw-rfe.a/b");
        let flat = listed(b"* LIST () NIL {3}\r\na.b").unwrap();
        assert_eq!((flat.name.as_str(), flat.attributes.len()), ("a.b", 0));
        assert_eq!(listed(b"* LIST () \"/\""), None);
    }

    #[test]
    fn namespaces_of_others_are_known() {
        let line = br#"* NAMESPACE (("INBOX." ".")) (("user." "." "X-P" ("a" "b"))) (("" "."))"#;
        let found = namespaces(line).unwrap();
        assert_eq!((found.personal, found.others), (vec!["INBOX/".into()], vec!["user/".into()]));
        assert!(namespaces(b"* NAMESPACE NIL NIL NIL").is_some());
        assert_eq!(namespaces(b"* NAMESPACE ((((("), None);
    }

    #[test]
    fn numbers_of_a_folder_are_read() {
        assert_eq!(number_of(b"* 172 EXISTS", "EXISTS"), Some(172));
        assert_eq!(
            code_of(b"* OK [UIDVALIDITY 3857529045] UIDs valid", "UIDVALIDITY"),
            Some(3_857_529_045)
        );
        assert_eq!(code_of(b"* OK [UIDNEXT x]", "UIDNEXT"), None);
        assert_eq!(status_messages(b"* STATUS \"a b\" (MESSAGES 231)"), Some(231));
    }

    proptest! {
        #[test]
        fn parser_survives_any_response(bytes in "[ -~]{0,60}") {
            let _ = fetched(format!("* 1 FETCH ({bytes}").as_bytes());
            let _ = listed(format!("* LIST {bytes}").as_bytes());
            let _ = namespaces(format!("* NAMESPACE {bytes}").as_bytes());
        }
    }
}
