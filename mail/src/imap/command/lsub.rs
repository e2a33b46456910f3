//! LSUB (RFC 3501 6.3.9): the subscribed folders.

use std::collections::BTreeSet;

use freehold_core::mailbox;

use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::glob;

/// Longest pattern, its reference included.
const PATTERN_LEN_MAX: usize = 1_000;

/// Which of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lsub {
    pub(crate) reference: String,
    pub(crate) pattern: String,
}

impl Lsub {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        cursor.space()?;
        let reference = cursor.mailbox()?;
        cursor.space()?;
        let pattern = cursor.pattern()?;
        if reference.len().saturating_add(pattern.len()) > PATTERN_LEN_MAX {
            return Err(Bad("the pattern is too long"));
        }
        Ok(Self { reference, pattern })
    }
}

/// Lists them. Where `%` hides a subscribed folder, the name above it that matches is listed
/// instead.
pub(crate) fn run(cx: &mut Context, lsub: &Lsub) -> Result<Done, Done> {
    let pattern = format!("{}{}", lsub.reference, lsub.pattern);
    let folders = mailbox::folders(&cx.node)?;
    let subscribed: BTreeSet<&str> = folders
        .iter()
        .filter(|folder| folder.subscribed)
        .map(|folder| folder.name.as_str())
        .collect();
    let mut above = BTreeSet::new();
    for name in &subscribed {
        if glob::matches(&pattern, name) {
            cx.out.raw("* LSUB () \"/\" ").mailbox(name).end();
        } else if pattern.ends_with('%') {
            let parents = name.match_indices('/').filter_map(|(at, _)| name.get(..at));
            above.extend(
                parents.filter(|parent| {
                    !subscribed.contains(parent) && glob::matches(&pattern, parent)
                }),
            );
        }
    }
    for name in above {
        cx.out.raw("* LSUB (\\Noselect) \"/\" ").mailbox(name).end();
    }
    Ok(Done::ok("listed"))
}
