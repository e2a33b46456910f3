//! RENAME (RFC 3501 6.3.5). A name that LIST shows only for its children is renamed with them.
//! Renaming INBOX moves its messages into a new folder; INBOX stays, empty.

use freehold_core::mailbox::{self, FolderId, SpecialUse};

use super::list;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// Messages moved out of INBOX at once.
const PAGE: usize = 1_000;

/// A folder and its new name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rename {
    pub(crate) from: String,
    pub(crate) to: String,
}

impl Rename {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let from = cursor.mailbox()?;
        cursor.space()?;
        Ok(Self { from, to: cursor.mailbox()? })
    }
}

/// Renames the folder.
pub(crate) async fn run(cx: &mut Context, rename: &Rename) -> Result<Completion, Completion> {
    let Some(folder) = mailbox::folder_named(&cx.node, &rename.from)? else {
        mailbox::rename_below(&cx.node, &rename.from, &rename.to).await?;
        return Ok(Completion::ok("renamed"));
    };
    if folder.special == Some(SpecialUse::Inbox) {
        let target = mailbox::create_folder(&cx.node, &rename.to).await?;
        move_all(cx, folder.id, target.id).await?;
    } else {
        mailbox::rename_folder(&cx.node, folder.id, &rename.to).await?;
        if cx.enabled.rev2
            && let Some(folder) = mailbox::folder(&cx.node, folder.id)?
            && folder.name != rename.to
        {
            list::print_folder(cx, &folder, &rename.to)?;
        }
    }
    Ok(Completion::ok("renamed"))
}

async fn move_all(cx: &mut Context, from: FolderId, to: FolderId) -> Result<(), Completion> {
    loop {
        let uids: Vec<u32> = mailbox::messages(&cx.node, from, 1, u32::MAX, PAGE)?
            .iter()
            .map(|message| message.uid)
            .collect();
        if uids.is_empty() {
            return Ok(());
        }
        mailbox::move_messages(&cx.node, from, &uids, to).await?;
    }
}
