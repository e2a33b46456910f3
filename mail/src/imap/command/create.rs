//! CREATE (RFC 3501 6.3.3; MAILBOXID, RFC 8474 4.1).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::object_id::MailboxId;

/// The folder to create.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) name: String,
}

impl Create {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()? })
    }
}

/// Creates the folder.
pub(crate) async fn run(cx: &mut Context, create: &Create) -> Result<Completion, Completion> {
    let folder = mailbox::create_folder(&cx.node, &create.name).await?;
    Ok(Completion::ok("created").code(format!("MAILBOXID ({})", MailboxId(folder.id))))
}
