//! DELETE (RFC 3501 6.3.4). Folders below the one deleted stay.

use freehold_core::mailbox;

use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};

/// A folder to delete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delete {
    pub(crate) name: String,
}

impl Delete {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()? })
    }
}

/// Deletes the folder and its messages.
pub(crate) async fn run(cx: &mut Context, delete: &Delete) -> Result<Done, Done> {
    let folder = mailbox::folder_named(&cx.node, &delete.name)?.ok_or_else(Done::no_folder)?;
    mailbox::delete_folder(&cx.node, folder.id).await?;
    Ok(Done::ok("deleted"))
}
