//! LSUB (RFC 3501 6.3.9): the subscribed names.

use std::collections::BTreeSet;

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::glob;
use crate::imap::utf7;

/// Longest pattern, including its reference, in bytes.
const PATTERN_LEN_MAX: usize = 1_000;

/// The reference and the pattern of names to list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lsub {
    pub(crate) reference: String,
    pub(crate) pattern: String,
}

impl Lsub {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let reference = cursor.mailbox()?;
        cursor.space()?;
        let pattern = cursor.pattern()?;
        if reference.len().saturating_add(pattern.len()) > PATTERN_LEN_MAX {
            return Err(cursor.over_limit("the pattern is too long"));
        }
        Ok(Self { reference, pattern })
    }
}

/// Lists the subscribed names, those without a folder with \NonExistent (RFC 5258 3). Where `%`
/// excludes a subscribed name, the ancestor that matches is listed with \Noselect (RFC 3501 6.3.9).
pub(crate) fn run(cx: &mut Context, lsub: &Lsub) -> Result<Completion, Completion> {
    let pattern = format!("{}{}", lsub.reference, lsub.pattern);
    let subscribed = mailbox::subscriptions(&cx.node)?;
    let folders: BTreeSet<String> =
        mailbox::folders(&cx.node)?.into_iter().map(|folder| folder.name).collect();
    let mut ancestors = BTreeSet::new();
    for name in &subscribed {
        if glob::matches(&pattern, name) {
            let attributes = if folders.contains(name) { "" } else { "\\NonExistent" };
            utf7::print(cx.out.show(format_args!("* LSUB ({attributes}) \"/\" ")), name).end();
        } else if pattern.ends_with('%') {
            let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            ancestors.extend(
                parents.filter(|parent| {
                    !subscribed.contains(*parent) && glob::matches(&pattern, parent)
                }),
            );
        }
    }
    for name in ancestors {
        utf7::print(cx.out.raw("* LSUB (\\Noselect) \"/\" "), name).end();
    }
    Ok(Completion::ok("listed"))
}
