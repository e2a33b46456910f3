//! COPY (RFC 3501 6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315 3).

use freehold_core::mailbox;

use super::By;
use super::select::Access;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::selected::Selected;
use crate::imap::sequence::{self, Set};

/// What becomes of the originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// COPY.
    Keep,
    /// MOVE.
    Remove,
}

/// Messages, and where they go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    pub(crate) by: By,
    pub(crate) set: Set,
    pub(crate) to: String,
    pub(crate) then: Then,
}

impl Copy {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: By, then: Then) -> Result<Self, Bad> {
        cursor.space()?;
        let set = cursor.set()?;
        cursor.space()?;
        Ok(Self { by, set, to: cursor.mailbox()?, then })
    }
}

/// Copies or moves them. That moved ones are gone is told with everything else that changed.
pub(crate) async fn run(cx: &mut Context, selected: &Selected, copy: &Copy) -> Result<Done, Done> {
    if copy.then == Then::Remove && selected.access == Access::Read {
        return Err(Done::read_only());
    }
    let uids: Vec<u32> =
        selected.named(&copy.set, copy.by)?.iter().map(|named| named.uid).collect();
    let to = mailbox::folder_named(&cx.node, &copy.to)?.ok_or_else(Done::try_create)?;
    let pairs = match copy.then {
        Then::Keep => mailbox::copy_messages(&cx.node, selected.folder, &uids, to.id).await?,
        Then::Remove => mailbox::move_messages(&cx.node, selected.folder, &uids, to.id).await?,
    };
    if pairs.is_empty() {
        return Ok(Done::ok("there was nothing to do"));
    }
    let (old, new): (Vec<u32>, Vec<u32>) = pairs.into_iter().unzip();
    let code =
        format!("COPYUID {} {} {}", to.uid_validity, sequence::write(&old), sequence::write(&new));
    match copy.then {
        Then::Keep => Ok(Done::ok("copied").code(code)),
        Then::Remove => {
            // RFC 6851 4.3: before the EXPUNGEs, so that the client knows where they went when they
            // go.
            cx.out.line(format!("* OK [{code}] moved"));
            Ok(Done::ok("moved"))
        }
    }
}
