//! COPY (RFC 3501 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315 3).

use freehold_core::mailbox::{self, Missing};

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::selected::{Access, Selected};
use crate::imap::sequence::{self, Numbering, Set};

/// The command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CopyMode {
    /// COPY: they stay.
    Copy,
    /// MOVE: they are expunged.
    Move,
}

/// The messages and the target folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) by: Numbering,
    pub(crate) set: Set,
    pub(crate) to: String,
    pub(crate) mode: CopyMode,
}

impl Copy {
    pub(crate) fn parse(
        cursor: &mut Cursor<'_>,
        by: Numbering,
        mode: CopyMode,
    ) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let set = cursor.set()?;
        cursor.space()?;
        Ok(Self { by, set, to: cursor.mailbox()?, mode })
    }
}

/// Copies or moves them. The EXPUNGEs of moved messages are sent with the other changes.
pub(crate) async fn run(
    cx: &mut Context,
    selected: &Selected,
    copy: &Copy,
) -> Result<Completion, Completion> {
    if copy.mode == CopyMode::Move && selected.access == Access::Read {
        return Err(Completion::read_only());
    }
    let uids = selected.uids(&copy.set, copy.by)?;
    let to = mailbox::folder_named(&cx.node, &copy.to)?.ok_or_else(Completion::try_create)?;
    let missing = match copy.set.may_lack_messages(copy.by) {
        true => Missing::Skip,
        false => Missing::Refuse,
    };
    let (node, from) = (&cx.node, selected.folder);
    let pairs = match copy.mode {
        CopyMode::Copy => mailbox::copy_named(node, from, &uids, to.id, missing).await?,
        CopyMode::Move => mailbox::move_named(node, from, &uids, to.id, missing).await?,
    };
    if pairs.is_empty() {
        return Ok(Completion::ok("no messages to copy"));
    }
    let (old, new): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
    let code =
        format!("COPYUID {} {} {}", to.uid_validity, sequence::write(&old), sequence::write(&new));
    match copy.mode {
        CopyMode::Copy => Ok(Completion::ok("copied").code(code)),
        CopyMode::Move => {
            // RFC 6851 4.3: sent before the EXPUNGEs, so that the client knows the new UIDs by
            // then.
            cx.out.line(format!("* OK [{code}] moved"));
            Ok(Completion::ok("moved"))
        }
    }
}
