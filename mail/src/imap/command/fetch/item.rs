//! The data items of FETCH (RFC 3501 6.4.5; BINARY, RFC 3516 4.2; MODSEQ, RFC 7162 3.1.4; EMAILID
//! and THREADID, RFC 8474 5; SAVEDATE, RFC 8514 4.1; PREVIEW, RFC 8970).

use freehold_core::mailbox;

use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::section::{Section, Text};
use freehold_mime::imap::Printer;

/// Most items of one FETCH.
const ITEMS_MAX: usize = 200;
/// Most header fields named in one section.
const FIELDS_MAX: usize = 500;
/// Most part numbers in one section: the structure is not parsed deeper.
const PATH_MAX: usize = freehold_mime::structure::DEPTH_MAX * 2;

/// One data item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// `BINARY[<section>]<<partial>>`: a decoded part.
    Binary(BodySection),
    /// `BINARY.SIZE[<section>]`: its length.
    BinarySize(BodySection),
    Body,
    BodyStructure,
    EmailId,
    Envelope,
    Flags,
    InternalDate,
    ModSeq,
    /// With LAZY too: previews are made at delivery, so no fetch makes one.
    Preview,
    SaveDate,
    Section(BodySection),
    Size,
    ThreadId,
    Uid,
}

/// `BODY[<section>]<<partial>>` and its RFC822 forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BodySection {
    pub(crate) section: Section,
    /// The first octet and the number of octets (64 bits, RFC 9051 9).
    pub(crate) partial: Option<(u64, u64)>,
    /// True when \Seen is not set.
    pub(crate) peek: bool,
    /// The item's name in the response, printed once for all messages.
    pub(crate) name: Vec<u8>,
    /// True if the mailbox's index has the header fields that are named.
    pub(crate) is_indexed: bool,
}

impl Item {
    /// The items of one FETCH: a macro, one item, or a list.
    pub(crate) fn parse_all(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, SyntaxError> {
        let fast = || vec![Self::Flags, Self::InternalDate, Self::Size];
        let items = match cursor.peek() {
            Some(b'(') => cursor.list(Self::parse)?,
            _ => match cursor.clone().atom()?.to_ascii_uppercase().as_str() {
                name @ ("ALL" | "FAST" | "FULL") => {
                    cursor.atom()?;
                    let mut items = fast();
                    if name != "FAST" {
                        items.push(Self::Envelope);
                    }
                    if name == "FULL" {
                        items.push(Self::Body);
                    }
                    items
                }
                _ => vec![Self::parse(cursor)?],
            },
        };
        if items.len() > ITEMS_MAX {
            return Err(cursor.over_limit("too many items to fetch"));
        }
        if items.is_empty() { Err(SyntaxError("no items to fetch")) } else { Ok(items) }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let name =
            cursor.run(|byte| byte.is_ascii_alphanumeric() || byte == b'.').to_ascii_uppercase();
        let rfc822 = |text, peek, name: &str| {
            Self::Section(BodySection {
                section: Section { path: Vec::new(), text },
                partial: None,
                peek,
                name: name.into(),
                is_indexed: false,
            })
        };
        Ok(match name.as_slice() {
            b"BINARY" => Self::Binary(part(cursor, "BINARY", false)?),
            b"BINARY.PEEK" => Self::Binary(part(cursor, "BINARY", true)?),
            b"BINARY.SIZE" => match part(cursor, "BINARY.SIZE", true)? {
                BodySection { partial: Some(_), .. } => {
                    return Err(SyntaxError("a size has no partial range"));
                }
                wanted => Self::BinarySize(wanted),
            },
            b"BODY" if cursor.peek() == Some(b'[') => {
                Self::Section(section(cursor, "BODY", false)?)
            }
            b"BODY.PEEK" => Self::Section(section(cursor, "BODY", true)?),
            b"BODY" => Self::Body,
            b"BODYSTRUCTURE" => Self::BodyStructure,
            b"EMAILID" => Self::EmailId,
            b"ENVELOPE" => Self::Envelope,
            b"FLAGS" => Self::Flags,
            b"INTERNALDATE" => Self::InternalDate,
            b"MODSEQ" => Self::ModSeq,
            b"PREVIEW" => {
                cursor.eat(" (LAZY)");
                Self::Preview
            }
            b"RFC822" => rfc822(Text::Whole, false, "RFC822"),
            b"RFC822.HEADER" => rfc822(Text::Header, true, "RFC822.HEADER"),
            b"RFC822.TEXT" => rfc822(Text::Body, false, "RFC822.TEXT"),
            b"RFC822.SIZE" => Self::Size,
            b"SAVEDATE" => Self::SaveDate,
            b"THREADID" => Self::ThreadId,
            b"UID" => Self::Uid,
            _ => return Err(SyntaxError("unknown fetch item")),
        })
    }

    /// True if fetching the item sets \Seen.
    pub(crate) fn marks_seen(&self) -> bool {
        matches!(self, Self::Section(wanted) | Self::Binary(wanted) if !wanted.peek)
    }
}

/// `section-binary` and a partial range: part numbers alone (RFC 3516 7).
fn part(cursor: &mut Cursor<'_>, name: &str, peek: bool) -> Result<BodySection, SyntaxError> {
    let wanted = section(cursor, name, peek)?;
    match wanted.section.text {
        Text::Whole => Ok(wanted),
        _ => Err(SyntaxError("BINARY takes the number of a part")),
    }
}

/// `[section]<partial>`.
fn section(cursor: &mut Cursor<'_>, name: &str, peek: bool) -> Result<BodySection, SyntaxError> {
    cursor.expect("[", "a section is missing")?;
    let mut path = Vec::new();
    let mut dotted = false;
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        path.push(cursor.nz_number()?);
        if path.len() > PATH_MAX {
            return Err(cursor.over_limit("the section is nested too deep"));
        }
        dotted = cursor.eat(".");
        if !dotted {
            break;
        }
    }
    let named = path.is_empty() || dotted;
    let text = if named && cursor.eat("HEADER.FIELDS") {
        let not = cursor.eat(".NOT");
        cursor.space()?;
        let names = cursor.list(|cursor| {
            String::from_utf8(cursor.astring()?)
                .map_err(|_| SyntaxError("a header name is malformed"))
        })?;
        if names.is_empty() {
            return Err(SyntaxError("no header names"));
        }
        if names.len() > FIELDS_MAX {
            return Err(cursor.over_limit("too many header names"));
        }
        Text::Fields { not, names }
    } else if named && cursor.eat("HEADER") {
        Text::Header
    } else if named && cursor.eat("TEXT") {
        Text::Body
    } else if dotted && cursor.eat("MIME") {
        Text::Mime
    } else if dotted {
        return Err(SyntaxError("the section is malformed"));
    } else {
        Text::Whole
    };
    cursor.expect("]", "the section is not closed")?;
    let partial = if cursor.eat("<") {
        let from = cursor.number64()?;
        cursor.expect(".", "the partial range is malformed")?;
        let len = cursor.number64()?;
        if len == 0 {
            return Err(SyntaxError("the partial range is empty"));
        }
        cursor.expect(">", "the partial range is malformed")?;
        Some((from, len))
    } else {
        None
    };
    let section = Section { path, text };
    let is_indexed = matches!(&section.text, Text::Fields { not: false, names }
        if section.path.is_empty() && names.iter().all(|name| mailbox::is_kept(name)));
    let mut out = Printer::default();
    print_name(&mut out, name, &section, partial);
    Ok(BodySection { section, partial, peek, name: out.take(), is_indexed })
}

/// Prints the item's name in the response: without PEEK, and with only the origin of a partial
/// range.
fn print_name(out: &mut Printer, name: &str, section: &Section, partial: Option<(u64, u64)>) {
    out.raw(name).raw("[");
    for (at, number) in section.path.iter().enumerate() {
        if at > 0 {
            out.raw(".");
        }
        out.show(number);
    }
    let dot = if section.path.is_empty() { "" } else { "." };
    match &section.text {
        Text::Whole => {}
        Text::Header => drop(out.raw(dot).raw("HEADER")),
        Text::Body => drop(out.raw(dot).raw("TEXT")),
        Text::Mime => drop(out.raw(dot).raw("MIME")),
        Text::Fields { not, names } => {
            out.raw(dot).raw(if *not { "HEADER.FIELDS.NOT " } else { "HEADER.FIELDS " }).list(
                names,
                |out, name| {
                    if name.bytes().all(crate::imap::cursor::is_atom_char) && !name.is_empty() {
                        out.raw(name);
                    } else {
                        out.string(name);
                    }
                },
            );
        }
    }
    out.raw("]");
    if let Some((from, _)) = partial {
        out.show(format_args!("<{from}>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, SyntaxError> {
        let items = Item::parse_all(&mut Cursor::new(text.as_bytes()))?;
        let [Item::Section(wanted) | Item::Binary(wanted)] = items.as_slice() else {
            return Err(SyntaxError("no section"));
        };
        Ok(String::from_utf8(wanted.name.clone()).unwrap())
    }

    #[test]
    fn section_response_has_the_name_of_its_request() {
        assert_eq!(name("BODY.PEEK[]").unwrap(), "BODY[]");
        assert_eq!(name("binary.peek[1.2]<5.9>").unwrap(), "BINARY[1.2]<5>");
        assert_eq!(name("BINARY[]").unwrap(), "BINARY[]");
        assert_eq!(name("BODY[]<4294967296.9>").unwrap(), "BODY[]<4294967296>");
        assert_eq!(name("body[1.2.mime]").unwrap(), "BODY[1.2.MIME]");
        assert_eq!(
            name("BODY[HEADER.FIELDS (Date \"From\")]<0.5>").unwrap(),
            "BODY[HEADER.FIELDS (Date From)]<0>"
        );
        assert_eq!(name("BODY[3.HEADER.FIELDS.NOT (x)]").unwrap(), "BODY[3.HEADER.FIELDS.NOT (x)]");
        assert_eq!(name("RFC822.HEADER").unwrap(), "RFC822.HEADER");
    }

    #[test]
    fn malformed_fetch_item_is_refused() {
        for text in [
            "",
            "()",
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[0]",
            "BODY[1TEXT]",
            "BODY[]<1>",
            "BODY[]<1.0>",
            "BODY[]<9223372036854775808.1>",
            "BINARY",
            "BINARY[1.MIME]",
            "BINARY[HEADER]",
            "BINARY.SIZE[1]<0.1>",
            "BINARY.SIZE",
            "BODY[",
            "NOSUCH",
            "(FLAGS UID",
            "BODY[HEADER.FIELDS ()]",
        ] {
            assert!(Item::parse_all(&mut Cursor::new(text.as_bytes())).is_err(), "{text}");
        }
    }
}
