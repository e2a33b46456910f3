//! STORE (RFC 3501 6.4.6; UNCHANGEDSINCE, RFC 7162 3.1.3).

use freehold_core::mailbox::{self, FlagChange};

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::flags;
use crate::imap::selected::{Access, Selected};
use crate::imap::sequence::{self, Numbering, Set};

/// How the given flags change those of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Add,
    Remove,
    Replace,
}

/// The messages and the change of their flags.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Store {
    pub(crate) by: Numbering,
    pub(crate) set: Set,
    pub(crate) unchanged_since: Option<u64>,
    pub(crate) sign: Sign,
    pub(crate) silent: bool,
    pub(crate) flags: Vec<String>,
}

impl Store {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let set = cursor.set()?;
        cursor.space()?;
        let unchanged_since = if cursor.eat("(UNCHANGEDSINCE ") {
            let since = cursor.number64()?;
            cursor.expect(") ", "the modifier is not closed")?;
            Some(since)
        } else {
            None
        };
        let sign = match cursor.peek() {
            Some(b'+') => Sign::Add,
            Some(b'-') => Sign::Remove,
            _ => Sign::Replace,
        };
        cursor.run(|byte| matches!(byte, b'+' | b'-'));
        cursor.expect("FLAGS", "only flags can be stored")?;
        let silent = cursor.eat(".SILENT");
        cursor.space()?;
        let flags = if cursor.peek() == Some(b'(') {
            cursor.list(Cursor::flag)?
        } else {
            let mut flags = vec![cursor.flag()?];
            while !cursor.is_done() && cursor.rest() != b" " {
                cursor.space()?;
                flags.push(cursor.flag()?);
            }
            flags
        };
        Ok(Self { by, set, unchanged_since, sign, silent, flags })
    }
}

/// Changes the flags and, without `.SILENT`, sends the new flags.
pub(crate) async fn run(
    cx: &mut Context,
    selected: &mut Selected,
    store: &Store,
) -> Result<Completion, Completion> {
    if selected.access == Access::Read {
        return Err(Completion::read_only());
    }
    let flags = flags::from_wire(&store.flags)?;
    let change = match store.sign {
        Sign::Add => FlagChange::Add(flags),
        Sign::Remove => FlagChange::Remove(flags),
        Sign::Replace => FlagChange::Set(flags),
    };
    let uids = selected.uids(&store.set, store.by)?;
    let outcome =
        mailbox::store_flags(&cx.node, selected.folder, &uids, change, store.unchanged_since)
            .await?;
    selected.report_keywords(cx, outcome.changed.iter().map(|(_, _, now)| now));
    for (uid, modseq, now) in &outcome.changed {
        selected.mark_reported(*uid, *modseq);
        if !store.silent {
            selected.report_flags(cx, *uid, *modseq, now);
        } else if cx.enabled.condstore
            && let Some(number) = selected.number_of(*uid)
        {
            // RFC 7162 3.1.3: the new modification sequence is sent even with `.SILENT`.
            cx.out.line(format!("* {number} FETCH (UID {uid} MODSEQ ({modseq}))"));
        }
    }
    if outcome.modified.is_empty() {
        let is_expunged =
            !store.set.may_lack_messages(store.by) && outcome.changed.len() < uids.len();
        return Ok(match (is_expunged, outcome.changed.is_empty() && !store.silent) {
            (false, _) => Completion::ok("stored"),
            // RFC 2180 4.2.
            (true, true) => Completion::expunged(),
            (true, false) => Completion::ok("stored for the others").code("EXPUNGEISSUED"),
        });
    }
    let modified: Vec<u32> = match store.by {
        Numbering::Uid => outcome.modified,
        Numbering::Sequence => {
            outcome.modified.iter().filter_map(|uid| selected.number_of(*uid)).collect()
        }
    };
    Ok(Completion::ok("some messages changed meanwhile")
        .code(format!("MODIFIED {}", sequence::write(&modified))))
}
