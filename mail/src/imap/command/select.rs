//! SELECT and EXAMINE (RFC 3501 6.3.1 and 6.3.2; the CONDSTORE parameter, RFC 7162 3.1.8;
//! MAILBOXID, RFC 8474 4.2).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::flags;
use crate::imap::object_id::MailboxId;
use crate::imap::selected::{Access, Opened, Selected};

/// The folder to open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Select {
    pub(crate) name: String,
    pub(crate) access: Access,
    pub(crate) condstore: bool,
}

impl Select {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, access: Access) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let name = cursor.mailbox()?;
        let mut condstore = false;
        if cursor.eat(" (") {
            cursor.expect("CONDSTORE", "unknown parameter of SELECT")?;
            cursor.expect(")", "unknown parameter of SELECT")?;
            condstore = true;
        }
        Ok(Self { name, access, condstore })
    }
}

/// Opens the folder and prints its state.
pub(crate) async fn run(
    cx: &mut Context,
    select: &Select,
) -> Result<(Selected, Completion), Completion> {
    let folder =
        mailbox::folder_named(&cx.node, &select.name)?.ok_or_else(Completion::no_folder)?;
    // RFC 3501 6.3.1: a server may give less access than SELECT requests.
    let access = if cx.node.is_read_only() { Access::Read } else { select.access };
    let Opened { selected, first_unseen } = Selected::open(cx, &folder, access).await?;
    let writable = access == Access::Write;
    cx.out.raw("* FLAGS ");
    flags::print_known(&mut cx.out, &folder.keywords, false);
    cx.out.end().raw("* OK [PERMANENTFLAGS ");
    if writable {
        flags::print_known(&mut cx.out, &folder.keywords, folder.takes_new_keywords());
    } else {
        cx.out.raw("()");
    }
    cx.out.line("] permanent flags");
    cx.out.line(format!("* {} EXISTS", selected.len()));
    cx.out.line(format!("* {} RECENT", selected.recent_len()));
    if let Some(number) = first_unseen {
        cx.out.line(format!("* OK [UNSEEN {number}] first unseen"));
    }
    cx.out.line(format!("* OK [UIDVALIDITY {}] UID validity", folder.uid_validity));
    cx.out.line(format!("* OK [UIDNEXT {}] next UID", folder.uid_next));
    cx.out.line(format!(
        "* OK [HIGHESTMODSEQ {}] highest modification sequence",
        folder.highest_modseq
    ));
    cx.out.line(format!("* OK [MAILBOXID ({})] mailbox id", MailboxId(folder.id)));
    Ok((
        selected,
        if writable {
            Completion::ok("selected").code("READ-WRITE")
        } else {
            Completion::ok("examined").code("READ-ONLY")
        },
    ))
}
