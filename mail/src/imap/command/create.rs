//! CREATE (RFC 3501 6.3.3).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

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
    mailbox::create_folder(&cx.node, &create.name).await?;
    Ok(Completion::ok("created"))
}
