//! DELETE (RFC 3501 6.3.4). The folder's children stay.

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// The folder to delete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delete {
    pub(crate) name: String,
}

impl Delete {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()? })
    }
}

/// Deletes the folder and its messages.
pub(crate) async fn run(cx: &mut Context, delete: &Delete) -> Result<Completion, Completion> {
    let folder =
        mailbox::folder_named(&cx.node, &delete.name)?.ok_or_else(Completion::no_folder)?;
    mailbox::delete_folder(&cx.node, folder.id).await?;
    Ok(Completion::ok("deleted"))
}
