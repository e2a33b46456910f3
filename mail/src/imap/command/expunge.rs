//! EXPUNGE (RFC 3501 6.4.3) and UID EXPUNGE (RFC 4315 2.1).

use freehold_core::mailbox;

use super::By;
use super::select::Access;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};
use crate::imap::selected::Selected;
use crate::imap::sequence::Set;

/// What to remove of what is marked as deleted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expunge {
    /// Only these UIDs; everything when there are none.
    pub(crate) uids: Option<Set>,
}

impl Expunge {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, by: By) -> Result<Self, Bad> {
        if by == By::Number {
            return Ok(Self { uids: None });
        }
        cursor.space()?;
        Ok(Self { uids: Some(cursor.set()?) })
    }
}

/// Removes them; what the client is told about it follows with everything else that changed.
pub(crate) async fn run(
    cx: &mut Context,
    selected: &Selected,
    expunge: &Expunge,
) -> Result<Done, Done> {
    if selected.access == Access::Read {
        return Err(Done::read_only());
    }
    let uids: Option<Vec<u32>> = match &expunge.uids {
        Some(set) => Some(selected.named(set, By::Uid)?.iter().map(|named| named.uid).collect()),
        None => None,
    };
    mailbox::expunge(&cx.node, selected.folder, uids.as_deref()).await?;
    Ok(Done::ok("expunged"))
}
