//! CREATE (RFC 3501 6.3.3).

use freehold_core::mailbox;

use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};

/// A folder to make.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) name: String,
}

impl Create {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Bad> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()? })
    }
}

/// Makes the folder.
pub(crate) async fn run(cx: &mut Context, create: &Create) -> Result<Done, Done> {
    mailbox::create_folder(&cx.node, &create.name).await?;
    Ok(Done::ok("created"))
}
