//! LIST (RFC 3501 6.3.8) with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC
//! 6154).

use std::collections::BTreeMap;

use freehold_core::mailbox::{self, Folder, SpecialUse};

use super::status;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::glob;

/// Most patterns of one LIST.
const PATTERNS_MAX: usize = 50;
/// Longest pattern, its reference included: matching costs its length for each octet of each name.
const PATTERN_LEN_MAX: usize = 1_000;

/// Which folders to list, and how.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) reference: String,
    pub(crate) patterns: Vec<String>,
    /// `SUBSCRIBED` in front: only these.
    pub(crate) only_subscribed: bool,
    /// `RECURSIVEMATCH` in front: also folders above such.
    pub(crate) recursive: bool,
    /// `SPECIAL-USE` in front: only these.
    pub(crate) only_special: bool,
    /// `RETURN (SUBSCRIBED)`.
    pub(crate) show_subscribed: bool,
    /// `RETURN (STATUS (…))`.
    pub(crate) status: Vec<status::Item>,
}

impl List {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        let mut list = Self::default();
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            for option in cursor.list(Cursor::atom)? {
                match option.to_ascii_uppercase().as_str() {
                    "SUBSCRIBED" => list.only_subscribed = true,
                    "SPECIAL-USE" => list.only_special = true,
                    "RECURSIVEMATCH" => list.recursive = true,
                    "REMOTE" => {}
                    _ => return Err(Bad("unknown selection option")),
                }
            }
            if list.recursive && !list.only_subscribed {
                return Err(Bad("RECURSIVEMATCH needs something to match"));
            }
            cursor.space()?;
        }
        list.reference = cursor.mailbox()?;
        cursor.space()?;
        list.patterns = if cursor.peek() == Some(b'(') {
            cursor.list(Cursor::pattern)?
        } else {
            vec![cursor.pattern()?]
        };
        if cursor.eat(" RETURN ") {
            cursor.list(|cursor| list.return_option(cursor))?;
        }
        list.show_subscribed |= list.only_subscribed;
        let too_long =
            |pattern: &String| pattern.len().saturating_add(list.reference.len()) > PATTERN_LEN_MAX;
        if list.patterns.len() > PATTERNS_MAX || list.patterns.iter().any(too_long) {
            return Err(Bad("too many patterns, or too long"));
        }
        Ok(list)
    }

    fn return_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Bad> {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => self.show_subscribed = true,
            // Both are always said.
            "CHILDREN" | "SPECIAL-USE" => {}
            "STATUS" => {
                cursor.space()?;
                self.status = status::items(cursor)?;
            }
            _ => return Err(Bad("unknown return option")),
        }
        Ok(())
    }
}

/// A name in the tree of folders; one without a folder stands only above others.
#[derive(Debug, Default)]
struct Place {
    folder: Option<Folder>,
    has_children: bool,
    child_subscribed: bool,
}

/// Lists the folders.
pub(crate) fn run(cx: &mut Context, list: &List) -> Result<Done, Done> {
    if list.patterns.iter().all(String::is_empty) {
        // RFC 3501 6.3.8: an empty pattern asks for the separator.
        cx.out.line("* LIST (\\Noselect) \"/\" \"\"");
        return Ok(Done::ok("listed"));
    }
    for (name, place) in places(mailbox::folders(&cx.node)?) {
        let matched = list
            .patterns
            .iter()
            .any(|pattern| glob::matches(&format!("{}{pattern}", list.reference), &name));
        let subscribed = place.folder.as_ref().is_some_and(|folder| folder.subscribed);
        let special = place.folder.as_ref().is_some_and(|folder| use_name(folder).is_some());
        let above = list.recursive && place.child_subscribed;
        if !matched
            || (list.only_subscribed && !subscribed && !above)
            || (list.only_special && !special)
        {
            continue;
        }
        let mut attributes =
            vec![if place.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
        match &place.folder {
            Some(folder) => attributes.extend(use_name(folder)),
            None => attributes.extend(["\\NonExistent", "\\Noselect"]),
        }
        if list.show_subscribed && subscribed {
            attributes.push("\\Subscribed");
        }
        cx.out.raw("* LIST ").list(attributes, |out, attribute| {
            out.raw(attribute);
        });
        cx.out.raw(" \"/\" ").mailbox(&name);
        if above {
            cx.out.raw(" (CHILDINFO (\"SUBSCRIBED\"))");
        }
        cx.out.end();
        if let Some(folder) = place.folder.filter(|_| !list.status.is_empty()) {
            status::print(cx, &folder, &list.status);
        }
    }
    Ok(Done::ok("listed"))
}

/// Every folder by name, and every name above one.
fn places(folders: Vec<Folder>) -> BTreeMap<String, Place> {
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for folder in folders {
        for (at, _) in folder.name.match_indices('/') {
            let above =
                places.entry(folder.name.get(..at).unwrap_or_default().to_owned()).or_default();
            above.has_children = true;
            above.child_subscribed |= folder.subscribed;
        }
        let name = folder.name.clone();
        places.entry(name).or_default().folder = Some(folder);
    }
    places
}

/// The attribute of RFC 6154 2.
fn use_name(folder: &Folder) -> Option<&'static str> {
    match folder.special? {
        SpecialUse::Inbox => None,
        SpecialUse::Drafts => Some("\\Drafts"),
        SpecialUse::Sent => Some("\\Sent"),
        SpecialUse::Archive => Some("\\Archive"),
        SpecialUse::Junk => Some("\\Junk"),
        SpecialUse::Trash => Some("\\Trash"),
    }
}
