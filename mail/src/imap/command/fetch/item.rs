//! What FETCH can bring (RFC 3501 6.4.5; MODSEQ, RFC 7162 3.1.4).

use crate::imap::cursor::{Bad, Cursor};
use crate::imap::mime::section::{Section, Text};
use crate::imap::print::Printer;

/// Most items of one FETCH.
const ITEMS_MAX: usize = 200;
/// Most header fields named in one section.
const FIELDS_MAX: usize = 500;
/// Most numbers in one section: a deeper structure is not taken apart.
const PATH_MAX: usize = crate::imap::mime::DEPTH_MAX * 2;

/// One thing to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Body,
    BodyStructure,
    Envelope,
    Flags,
    InternalDate,
    ModSeq,
    Section(Wanted),
    Size,
    Uid,
}

/// Bytes of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) section: Section,
    /// First octet and the most octets wanted.
    pub(crate) partial: Option<(u32, u32)>,
    /// True when reading leaves the message unseen.
    pub(crate) peek: bool,
    /// `RFC822` and its kin answer under their own name.
    pub(crate) old_name: Option<&'static str>,
}

impl Item {
    /// The items of one FETCH: a macro, one item, or a list.
    pub(crate) fn parse_all(cursor: &mut Cursor<'_>) -> Result<Vec<Self>, Bad> {
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
        if items.is_empty() || items.len() > ITEMS_MAX {
            Err(Bad("nothing to fetch, or too much"))
        } else {
            Ok(items)
        }
    }

    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let name =
            cursor.run(|byte| byte.is_ascii_alphanumeric() || byte == b'.').to_ascii_uppercase();
        let old = |text, peek, name| {
            Self::Section(Wanted {
                section: Section { path: Vec::new(), text },
                partial: None,
                peek,
                old_name: Some(name),
            })
        };
        Ok(match name.as_slice() {
            b"BODY" if cursor.peek() == Some(b'[') => Self::Section(wanted(cursor, false)?),
            b"BODY.PEEK" => Self::Section(wanted(cursor, true)?),
            b"BODY" => Self::Body,
            b"BODYSTRUCTURE" => Self::BodyStructure,
            b"ENVELOPE" => Self::Envelope,
            b"FLAGS" => Self::Flags,
            b"INTERNALDATE" => Self::InternalDate,
            b"MODSEQ" => Self::ModSeq,
            b"RFC822" => old(Text::Whole, false, "RFC822"),
            b"RFC822.HEADER" => old(Text::Header, true, "RFC822.HEADER"),
            b"RFC822.TEXT" => old(Text::Body, false, "RFC822.TEXT"),
            b"RFC822.SIZE" => Self::Size,
            b"UID" => Self::Uid,
            _ => return Err(Bad("unknown fetch item")),
        })
    }

    /// Whether fetching this marks the message as read.
    pub(crate) fn marks_seen(&self) -> bool {
        matches!(self, Self::Section(wanted) if !wanted.peek)
    }
}

/// `[section]<partial>`.
fn wanted(cursor: &mut Cursor<'_>, peek: bool) -> Result<Wanted, Bad> {
    cursor.expect("[", "a section is missing")?;
    let mut path = Vec::new();
    let mut dotted = false;
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        path.push(cursor.nz_number()?);
        if path.len() > PATH_MAX {
            return Err(Bad("the section is nested too deep"));
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
            String::from_utf8(cursor.astring()?).map_err(|_| Bad("a header name is malformed"))
        })?;
        if names.is_empty() || names.len() > FIELDS_MAX {
            return Err(Bad("no header names, or too many"));
        }
        Text::Fields { not, names }
    } else if named && cursor.eat("HEADER") {
        Text::Header
    } else if named && cursor.eat("TEXT") {
        Text::Body
    } else if dotted && cursor.eat("MIME") {
        Text::Mime
    } else if dotted {
        return Err(Bad("the section is malformed"));
    } else {
        Text::Whole
    };
    cursor.expect("]", "the section does not end")?;
    let partial = if cursor.eat("<") {
        let from = cursor.number()?;
        cursor.expect(".", "the partial range is malformed")?;
        let len = cursor.nz_number()?;
        cursor.expect(">", "the partial range is malformed")?;
        Some((from, len))
    } else {
        None
    };
    Ok(Wanted { section: Section { path, text }, partial, peek, old_name: None })
}

impl Wanted {
    /// Prints the name the answer carries: the section without PEEK, and where a partial range
    /// began.
    pub(crate) fn print_name(&self, out: &mut Printer) {
        if let Some(name) = self.old_name {
            out.raw(name);
            return;
        }
        out.raw("BODY[");
        for (at, number) in self.section.path.iter().enumerate() {
            if at > 0 {
                out.raw(".");
            }
            out.show(number);
        }
        let dot = if self.section.path.is_empty() { "" } else { "." };
        match &self.section.text {
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
        if let Some((from, _)) = self.partial {
            out.show(format_args!("<{from}>"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, Bad> {
        let items = Item::parse_all(&mut Cursor::new(text.as_bytes()))?;
        let [Item::Section(wanted)] = items.as_slice() else { return Err(Bad("no section")) };
        let mut out = Printer::default();
        wanted.print_name(&mut out);
        Ok(String::from_utf8(out.take()).unwrap())
    }

    #[test]
    fn sections_answer_under_the_right_name() {
        assert_eq!(name("BODY.PEEK[]").unwrap(), "BODY[]");
        assert_eq!(name("body[1.2.mime]").unwrap(), "BODY[1.2.MIME]");
        assert_eq!(
            name("BODY[HEADER.FIELDS (Date \"From\")]<0.5>").unwrap(),
            "BODY[HEADER.FIELDS (Date From)]<0>"
        );
        assert_eq!(name("BODY[3.HEADER.FIELDS.NOT (x)]").unwrap(), "BODY[3.HEADER.FIELDS.NOT (x)]");
        assert_eq!(name("RFC822.HEADER").unwrap(), "RFC822.HEADER");
    }

    #[test]
    fn malformed_items_are_refused() {
        for text in [
            "",
            "()",
            "BODY[MIME]",
            "BODY[1.]",
            "BODY[0]",
            "BODY[1TEXT]",
            "BODY[]<1>",
            "BODY[]<1.0>",
            "BODY[",
            "NOSUCH",
            "(FLAGS UID",
            "BODY[HEADER.FIELDS ()]",
        ] {
            assert!(Item::parse_all(&mut Cursor::new(text.as_bytes())).is_err(), "{text}");
        }
    }
}
