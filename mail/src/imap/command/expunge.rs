//! EXPUNGE (RFC 3501 6.4.3) and UID EXPUNGE (RFC 4315 2.1), with HIGHESTMODSEQ (RFC 7162 3.2.7).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::selected::{Access, Numbers, Selected, Wanted};
use crate::imap::sequence::{Numbering, Set};

/// The messages to expunge, if they have \Deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expunge {
    /// Only these UIDs; `None` for every message.
    pub(crate) uids: Option<Set>,
}

impl Expunge {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: Numbering) -> Result<Self, SyntaxError> {
        if by == Numbering::Sequence {
            return Ok(Self { uids: None });
        }
        cursor.space()?;
        Ok(Self { uids: Some(cursor.set()?) })
    }
}

/// Expunges them. The EXPUNGEs are sent with the other changes; a client with QRESYNC is sent the
/// modseq up to which it then knows the folder.
pub(crate) async fn run(
    cx: &mut Context,
    selected: &mut Selected,
    expunge: &Expunge,
) -> Result<Completion, Completion> {
    if selected.access == Access::Read {
        return Err(Completion::read_only());
    }
    let uids: Option<Vec<u32>> = match &expunge.uids {
        Some(set) => Some(selected.uids(set, Numbering::Uid)?),
        None => None,
    };
    let expunged = mailbox::expunge(&cx.node, selected.folder, uids.as_deref()).await?;
    if !cx.enabled.qresync || expunged.is_empty() {
        return Ok(Completion::ok("expunged"));
    }
    selected.report_changes(cx, Numbers::MayChange, Wanted::ALL).await?;
    Ok(Completion::ok("expunged").code(format!("HIGHESTMODSEQ {}", selected.modseq())))
}
