//! STATUS (RFC 3501 6.3.10; SIZE, RFC 8438; DELETED, RFC 9051 6.3.11; HIGHESTMODSEQ, RFC 7162
//! 3.1.7; MAILBOXID, RFC 8474 4.3).

use freehold_core::mailbox::{self, Folder};
use freehold_core::store::StoreError;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::object_id::MailboxId;
use crate::imap::utf7;

/// Most items of one STATUS.
const ITEMS_MAX: usize = 20;

/// One item of STATUS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    AppendLimit,
    Deleted,
    DeletedStorage,
    HighestModSeq,
    MailboxId,
    Messages,
    Recent,
    Size,
    UidNext,
    UidValidity,
    Unseen,
}

/// The folder and the items asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) name: String,
    pub(crate) items: Vec<Item>,
}

impl Status {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let name = cursor.mailbox()?;
        cursor.space()?;
        Ok(Self { name, items: items(cursor)? })
    }
}

/// `(item item …)`.
pub(crate) fn items(cursor: &mut Cursor<'_>) -> Result<Vec<Item>, SyntaxError> {
    let items = cursor.list(|cursor| {
        Ok(match cursor.atom()?.to_ascii_uppercase().as_str() {
            "APPENDLIMIT" => Item::AppendLimit,
            "DELETED" => Item::Deleted,
            "DELETED-STORAGE" => Item::DeletedStorage,
            "HIGHESTMODSEQ" => Item::HighestModSeq,
            "MAILBOXID" => Item::MailboxId,
            "MESSAGES" => Item::Messages,
            "RECENT" => Item::Recent,
            "SIZE" => Item::Size,
            "UIDNEXT" => Item::UidNext,
            "UIDVALIDITY" => Item::UidValidity,
            "UNSEEN" => Item::Unseen,
            _ => return Err(SyntaxError("unknown status item")),
        })
    })?;
    if items.is_empty() || items.len() > ITEMS_MAX {
        Err(SyntaxError("no status items, or too many"))
    } else {
        Ok(items)
    }
}

/// Prints the items. All but DELETED-STORAGE are in the folder's row.
pub(crate) fn run(cx: &mut Context, status: &Status) -> Result<Completion, Completion> {
    let folder =
        mailbox::folder_named(&cx.node, &status.name)?.ok_or_else(Completion::no_folder)?;
    print(cx, &folder, &status.items)?;
    Ok(Completion::ok("status printed"))
}

/// One untagged STATUS.
///
/// # Errors
/// When the store is unavailable.
pub(crate) fn print(cx: &mut Context, folder: &Folder, items: &[Item]) -> Result<(), StoreError> {
    let limit = cx.shared.message_len_max;
    let deleted_size = match items.contains(&Item::DeletedStorage) {
        true => mailbox::deleted_size(&cx.node, folder)?,
        false => 0,
    };
    utf7::print(cx.out.raw("* STATUS "), &folder.name).raw(" ");
    cx.out.list(items, |out, item| {
        match item {
            Item::AppendLimit => out.show(format_args!("APPENDLIMIT {limit}")),
            Item::Deleted => out.show(format_args!("DELETED {}", folder.deleted)),
            Item::DeletedStorage => out.show(format_args!("DELETED-STORAGE {deleted_size}")),
            Item::HighestModSeq => {
                out.show(format_args!("HIGHESTMODSEQ {}", folder.highest_modseq))
            }
            Item::MailboxId => out.show(format_args!("MAILBOXID ({})", MailboxId(folder.id))),
            Item::Messages => out.show(format_args!("MESSAGES {}", folder.total)),
            Item::Recent => out.show(format_args!("RECENT {}", folder.recent)),
            Item::Size => out.show(format_args!("SIZE {}", folder.size)),
            Item::UidNext => out.show(format_args!("UIDNEXT {}", folder.uid_next)),
            Item::UidValidity => out.show(format_args!("UIDVALIDITY {}", folder.uid_validity)),
            Item::Unseen => out.show(format_args!("UNSEEN {}", folder.unseen)),
        };
    });
    cx.out.end();
    Ok(())
}
