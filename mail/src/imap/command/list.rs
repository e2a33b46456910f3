//! LIST (RFC 3501 6.3.8) with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC
//! 6154).

use std::collections::BTreeMap;

use freehold_core::mailbox::{self, Folder, SpecialUse};

use super::status;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::glob;

/// Most patterns in one LIST.
const PATTERNS_MAX: usize = 50;
/// Longest pattern, including its reference, in bytes: matching costs this length for each octet of
/// each name.
const PATTERN_LEN_MAX: usize = 1_000;

/// The folders to list and the attributes to return.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) reference: String,
    pub(crate) patterns: Vec<String>,
    /// `SUBSCRIBED` as a selection option.
    pub(crate) only_subscribed: bool,
    /// `RECURSIVEMATCH` as a selection option: also ancestors of subscribed folders.
    pub(crate) recursive: bool,
    /// `SPECIAL-USE` as a selection option.
    pub(crate) only_special: bool,
    /// `RETURN (SUBSCRIBED)`.
    pub(crate) show_subscribed: bool,
    /// `RETURN (STATUS (…))`.
    pub(crate) status: Vec<status::Item>,
}

impl List {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let mut list = Self::default();
        cursor.space()?;
        if cursor.peek() == Some(b'(') {
            for option in cursor.list(Cursor::atom)? {
                match option.to_ascii_uppercase().as_str() {
                    "SUBSCRIBED" => list.only_subscribed = true,
                    "SPECIAL-USE" => list.only_special = true,
                    "RECURSIVEMATCH" => list.recursive = true,
                    "REMOTE" => {}
                    _ => return Err(SyntaxError("unknown selection option")),
                }
            }
            if list.recursive && !list.only_subscribed {
                return Err(SyntaxError("RECURSIVEMATCH needs another selection option"));
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
            return Err(SyntaxError("too many patterns, or too long"));
        }
        Ok(list)
    }

    fn return_option(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "SUBSCRIBED" => self.show_subscribed = true,
            // Both are always returned.
            "CHILDREN" | "SPECIAL-USE" => {}
            "STATUS" => {
                cursor.space()?;
                self.status = status::items(cursor)?;
            }
            _ => return Err(SyntaxError("unknown return option")),
        }
        Ok(())
    }
}

/// A name in the hierarchy. One without a folder exists only as an ancestor.
#[derive(Debug, Default)]
struct TreeNode {
    folder: Option<Folder>,
    has_children: bool,
    child_subscribed: bool,
}

/// Lists the folders.
pub(crate) fn run(cx: &mut Context, list: &List) -> Result<Completion, Completion> {
    if list.patterns.iter().all(String::is_empty) {
        // RFC 3501 6.3.8: an empty pattern requests the hierarchy delimiter.
        cx.out.line("* LIST (\\Noselect) \"/\" \"\"");
        return Ok(Completion::ok("listed"));
    }
    for (name, node) in hierarchy(mailbox::folders(&cx.node)?) {
        let matched = list
            .patterns
            .iter()
            .any(|pattern| glob::matches(&format!("{}{pattern}", list.reference), &name));
        let subscribed = node.folder.as_ref().is_some_and(|folder| folder.subscribed);
        let special = node.folder.as_ref().is_some_and(|folder| use_name(folder).is_some());
        let is_ancestor = list.recursive && node.child_subscribed;
        if !matched
            || (list.only_subscribed && !subscribed && !is_ancestor)
            || (list.only_special && !special)
        {
            continue;
        }
        let mut attributes =
            vec![if node.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
        match &node.folder {
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
        if is_ancestor {
            cx.out.raw(" (CHILDINFO (\"SUBSCRIBED\"))");
        }
        cx.out.end();
        if let Some(folder) = node.folder.filter(|_| !list.status.is_empty()) {
            status::print(cx, &folder, &list.status);
        }
    }
    Ok(Completion::ok("listed"))
}

/// Every folder and every ancestor, by name.
fn hierarchy(folders: Vec<Folder>) -> BTreeMap<String, TreeNode> {
    let mut hierarchy: BTreeMap<String, TreeNode> = BTreeMap::new();
    for folder in folders {
        for (at, _) in folder.name.match_indices('/') {
            let ancestor =
                hierarchy.entry(folder.name.get(..at).unwrap_or_default().to_owned()).or_default();
            ancestor.has_children = true;
            ancestor.child_subscribed |= folder.subscribed;
        }
        let name = folder.name.clone();
        hierarchy.entry(name).or_default().folder = Some(folder);
    }
    hierarchy
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
