//! GETQUOTAROOT (RFC 9208 4.1.2).

use freehold_core::mailbox;

use super::get_quota;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::utf7;

/// The folder whose quota root is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GetQuotaRoot {
    pub(crate) name: String,
}

impl GetQuotaRoot {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()? })
    }
}

/// Prints the quota root of the folder, and its quota.
pub(crate) fn run(cx: &mut Context, get: &GetQuotaRoot) -> Result<Completion, Completion> {
    let folder = mailbox::folder_named(&cx.node, &get.name)?.ok_or_else(Completion::no_folder)?;
    utf7::print(cx.out.raw("* QUOTAROOT "), &folder.name).line(" \"\"");
    get_quota::print(cx)?;
    Ok(Completion::ok("quota root printed"))
}
