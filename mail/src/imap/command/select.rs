//! SELECT and EXAMINE (RFC 3501 6.3.1 and 6.3.2; RFC 9051 6.3.2 and 6.3.3; the CONDSTORE parameter,
//! RFC 7162 3.1.8, and QRESYNC, 3.2.5; MAILBOXID, RFC 8474 4.2).

mod resync;

use freehold_core::mailbox;

pub(crate) use self::resync::Resync;
use super::list;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::enabled::Enabled;
use crate::imap::flags;
use crate::imap::object_id::MailboxId;
use crate::imap::selected::{Access, Opened, Selected};

/// The folder to open.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Select {
    pub(crate) name: String,
    pub(crate) access: Access,
    pub(crate) condstore: bool,
    pub(crate) resync: Option<Resync>,
}

impl Select {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, access: Access) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let mut select = Self { name: cursor.mailbox()?, access, condstore: false, resync: None };
        if cursor.peek() == Some(b' ') && cursor.rest() != b" " {
            cursor.space()?;
            let parameters = cursor.list(|cursor| select.parameter(cursor))?;
            if parameters.is_empty() {
                return Err(SyntaxError("SELECT has no parameters"));
            }
        }
        Ok(select)
    }

    fn parameter(&mut self, cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        match cursor.atom()?.to_ascii_uppercase().as_str() {
            "CONDSTORE" => self.condstore = true,
            "QRESYNC" if self.resync.is_none() => {
                cursor.space()?;
                self.resync = Some(Resync::parse(cursor)?);
            }
            _ => return Err(SyntaxError("unknown parameter of SELECT")),
        }
        Ok(())
    }

    /// The refusal of QRESYNC to a client that has not enabled it (RFC 7162 3.2.5).
    pub(crate) fn refusal(&self, enabled: Enabled) -> Option<Completion> {
        let is_early = self.resync.is_some() && !enabled.qresync;
        is_early.then(|| Completion::bad("enable QRESYNC first"))
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
    if cx.enabled.rev2 {
        // RFC 9051 appendix E, 10 to 12: LIST is sent, RECENT and UNSEEN are not.
        list::print_folder(cx, &folder, &select.name)?;
    } else {
        cx.out.line(format!("* {} RECENT", selected.recent_len()));
        if let Some(number) = first_unseen {
            cx.out.line(format!("* OK [UNSEEN {number}] first unseen"));
        }
    }
    cx.out.line(format!("* OK [UIDVALIDITY {}] UID validity", folder.uid_validity));
    cx.out.line(format!("* OK [UIDNEXT {}] next UID", folder.uid_next));
    cx.out.line(format!(
        "* OK [HIGHESTMODSEQ {}] highest modification sequence",
        folder.highest_modseq
    ));
    cx.out.line(format!("* OK [MAILBOXID ({})] mailbox id", MailboxId(folder.id)));
    if let Some(resync) = &select.resync {
        resync.print(cx, &selected, &folder)?;
    }
    Ok((
        selected,
        if writable {
            Completion::ok("selected").code("READ-WRITE")
        } else {
            Completion::ok("examined").code("READ-ONLY")
        },
    ))
}
