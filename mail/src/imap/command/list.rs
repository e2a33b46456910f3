//! LIST (RFC 3501 6.3.8) with LIST-EXTENDED (RFC 5258), LIST-STATUS (RFC 5819), SPECIAL-USE (RFC
//! 6154).

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::mailbox::{self, Folder};
use freehold_core::store::StoreError;

use super::status;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::glob;
use crate::imap::special_use;
use crate::imap::utf7;

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
            return Err(cursor.over_limit("too many patterns, or too long"));
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

/// A name in the hierarchy. One without a folder exists only as an ancestor, or is only subscribed.
#[derive(Debug, Default)]
struct TreeNode {
    folder: Option<Folder>,
    has_children: bool,
    is_subscribed: bool,
    /// A name below meets the selection options and is not listed itself.
    has_unlisted_match: bool,
}

impl TreeNode {
    fn is_selected(&self, list: &List) -> bool {
        let special = self.folder.as_ref().and_then(attribute);
        (!list.only_subscribed || self.is_subscribed) && (!list.only_special || special.is_some())
    }
}

impl List {
    fn matches(&self, name: &str) -> bool {
        let mut patterns = self.patterns.iter();
        patterns.any(|pattern| glob::matches(&format!("{}{pattern}", self.reference), name))
    }
}

/// Lists the folders, and with `SUBSCRIBED` the subscribed names without a folder (RFC 5258 3.4).
pub(crate) fn run(cx: &mut Context, list: &List) -> Result<Completion, Completion> {
    if list.patterns.iter().all(String::is_empty) {
        // RFC 3501 6.3.8: an empty pattern requests the hierarchy delimiter.
        cx.out.line("* LIST (\\Noselect) \"/\" \"\"");
        return Ok(Completion::ok("listed"));
    }
    let mut hierarchy = hierarchy(mailbox::folders(&cx.node)?, mailbox::subscriptions(&cx.node)?);
    if list.recursive {
        mark_ancestors(&mut hierarchy, list);
    }
    for (name, node) in hierarchy {
        let exists = node.folder.is_some() || node.has_children;
        let is_selected = node.is_selected(list) && (exists || list.only_subscribed);
        if !list.matches(&name) || !(is_selected || node.has_unlisted_match) {
            continue;
        }
        let mut attributes =
            vec![if node.has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
        match &node.folder {
            Some(folder) => attributes.extend(attribute(folder)),
            None => attributes.extend(["\\NonExistent", "\\Noselect"]),
        }
        if list.show_subscribed && node.is_subscribed {
            attributes.push("\\Subscribed");
        }
        cx.out.raw("* LIST ").list(attributes, |out, attribute| {
            out.raw(attribute);
        });
        utf7::print(cx.out.raw(" \"/\" "), &name);
        if node.has_unlisted_match {
            cx.out.raw(" (CHILDINFO (\"SUBSCRIBED\"))");
        }
        cx.out.end();
        if let Some(folder) = node.folder.filter(|_| !list.status.is_empty()) {
            status::print(cx, &folder, &list.status)?;
        }
    }
    Ok(Completion::ok("listed"))
}

/// One name in an untagged LIST that no LIST command asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed<'a> {
    /// `None` if there is no folder of this name.
    pub(crate) folder: Option<&'a Folder>,
    pub(crate) has_children: bool,
    pub(crate) is_subscribed: bool,
    /// The name by which the client knows the folder, or knew it: OLDNAME (RFC 9051 6.3.9.7).
    pub(crate) known_as: Option<&'a str>,
}

impl Listed<'_> {
    /// Prints it.
    pub(crate) fn print(self, cx: &mut Context, name: &str) {
        let children = if self.has_children { "\\HasChildren" } else { "\\HasNoChildren" };
        let mut attributes = vec![children];
        match self.folder {
            Some(folder) => attributes.extend(attribute(folder)),
            None => attributes.push("\\NonExistent"),
        }
        if self.is_subscribed {
            attributes.push("\\Subscribed");
        }
        cx.out.raw("* LIST ").list(attributes, |out, attribute| {
            out.raw(attribute);
        });
        utf7::print(cx.out.raw(" \"/\" "), name);
        if let Some(old) = self.known_as {
            utf7::print(cx.out.raw(" (\"OLDNAME\" ("), old).raw("))");
        }
        cx.out.end();
    }
}

/// Prints an untagged LIST of one folder that the client named `named`, as SELECT, CREATE and
/// RENAME do (RFC 9051 6.3.2 to 6.3.6).
///
/// # Errors
/// When the store is unavailable.
pub(crate) fn print_folder(
    cx: &mut Context,
    folder: &Folder,
    named: &str,
) -> Result<(), StoreError> {
    let has_children = !mailbox::folders_below(&cx.node, &folder.name)?.is_empty();
    let known_as = Some(named).filter(|named| *named != folder.name);
    let listed = Listed { folder: Some(folder), has_children, is_subscribed: false, known_as };
    listed.print(cx, &folder.name);
    Ok(())
}

/// Every folder, every ancestor and every subscribed name, by name.
fn hierarchy(folders: Vec<Folder>, subscribed: BTreeSet<String>) -> BTreeMap<String, TreeNode> {
    let mut hierarchy: BTreeMap<String, TreeNode> = BTreeMap::new();
    for folder in folders {
        for ancestor in ancestors(&folder.name) {
            hierarchy.entry(ancestor.to_owned()).or_default().has_children = true;
        }
        let name = folder.name.clone();
        hierarchy.entry(name).or_default().folder = Some(folder);
    }
    for name in subscribed {
        hierarchy.entry(name).or_default().is_subscribed = true;
    }
    hierarchy
}

/// Marks the ancestors of names that meet the selection options, unless these names are listed
/// themselves: then CHILDINFO would say nothing new (RFC 5258 3.5).
fn mark_ancestors(hierarchy: &mut BTreeMap<String, TreeNode>, list: &List) {
    let unlisted: Vec<String> = hierarchy
        .iter()
        .filter(|(name, node)| node.is_selected(list) && !list.matches(name))
        .map(|(name, _)| name.clone())
        .collect();
    for ancestor in unlisted.iter().flat_map(|name| ancestors(name)) {
        hierarchy.entry(ancestor.to_owned()).or_default().has_unlisted_match = true;
    }
}

fn attribute(folder: &Folder) -> Option<&'static str> {
    special_use::attribute(folder.special?)
}

fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}
