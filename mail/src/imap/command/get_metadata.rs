//! GETMETADATA (RFC 5464 4.2).

use std::collections::BTreeMap;

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::metadata::{self, Subject};
use crate::imap::{special_use, utf7};

/// Most annotations named in one command.
const ENTRIES_MAX: usize = 200;

/// How far below a name annotations are listed (RFC 5464 4.2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The name itself.
    #[default]
    Zero,
    /// Also the names one level below.
    One,
    /// Also all names below.
    Infinity,
}

/// The folder, or the empty name for the server, and the annotations.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct GetMetadata {
    pub(crate) name: String,
    pub(crate) entries: Vec<String>,
    pub(crate) depth: Depth,
    /// Longer values are not listed, in octets.
    pub(crate) max_size: Option<u32>,
}

impl GetMetadata {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut get = Self::default();
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            cursor.list(|cursor| get.option(cursor))?;
            cursor.space()?;
        }
        get.name = cursor.mailbox()?;
        cursor.space()?;
        get.entries = if cursor.peek() == Some(b'(') {
            cursor.list(metadata::entry)?
        } else {
            vec![metadata::entry(cursor)?]
        };
        match get.entries.len() {
            0 => Err(SyntaxError("no annotations are named")),
            len if len > ENTRIES_MAX => Err(cursor.over_limit("too many annotations are named")),
            _ => Ok(get),
        }
    }

    fn option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        let name = cursor.atom()?.to_ascii_uppercase();
        cursor.space()?;
        match name.as_str() {
            "MAXSIZE" => self.max_size = Some(cursor.number()?),
            "DEPTH" => {
                self.depth = match cursor.atom()?.to_ascii_lowercase().as_str() {
                    "0" => Depth::Zero,
                    "1" => Depth::One,
                    "infinity" => Depth::Infinity,
                    _ => return Err(SyntaxError("unknown depth")),
                };
            }
            _ => return Err(SyntaxError("unknown option of GETMETADATA")),
        }
        Ok(())
    }

    /// True if an annotation below `entry` is listed with it.
    fn lists(&self, entry: &str, name: &str) -> bool {
        let below = name.strip_prefix(entry).and_then(|rest| rest.strip_prefix('/'));
        below.is_some_and(|below| match self.depth {
            Depth::Zero => false,
            Depth::One => !below.contains('/'),
            Depth::Infinity => true,
        })
    }
}

/// Prints the annotations. A named one without a value is NIL.
pub(crate) fn run(cx: &mut Context, get: &GetMetadata) -> Result<Completion, Completion> {
    let subject = Subject::named(cx, &get.name)?;
    let mut known = mailbox::metadata(&cx.node, subject.id())?;
    if let Subject::Folder(folder) = &subject
        && let Some(attribute) = folder.special.and_then(special_use::attribute)
    {
        known.insert(metadata::SPECIAL_USE.to_owned(), attribute.as_bytes().to_vec());
    }
    let mut listed: BTreeMap<&str, Option<&[u8]>> = BTreeMap::new();
    for entry in &get.entries {
        if !metadata::is_scope(entry) {
            listed.insert(entry, known.get(entry).map(Vec::as_slice));
        }
        if get.depth != Depth::Zero {
            let below = known.iter().filter(|(name, _)| get.lists(entry, name));
            listed.extend(below.map(|(name, value)| (name.as_str(), Some(value.as_slice()))));
        }
    }
    let too_long = |value: &Option<&[u8]>| match (value, get.max_size) {
        (Some(value), Some(max)) => Some(value.len()).filter(|len| *len > max as usize),
        _ => None,
    };
    let longest = listed.values().filter_map(too_long).max();
    listed.retain(|_, value| too_long(value).is_none());
    if !listed.is_empty() {
        utf7::print(cx.out.raw("* METADATA "), &get.name).raw(" (");
        for (at, (entry, value)) in listed.into_iter().enumerate() {
            cx.out.raw(if at > 0 { " " } else { "" });
            metadata::print_entry(&mut cx.out, entry);
            cx.out.raw(" ");
            metadata::print_value(&mut cx.out, value);
        }
        cx.out.line(")");
    }
    let completion = Completion::ok("annotations printed");
    Ok(match longest {
        // RFC 5464 4.2.1.
        Some(longest) => completion.code(format!("METADATA LONGENTRIES {longest}")),
        None => completion,
    })
}
