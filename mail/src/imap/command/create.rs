//! CREATE (RFC 3501 6.3.3; MAILBOXID, RFC 8474 4.1; CREATE-SPECIAL-USE, RFC 6154 3).

use freehold_core::mailbox;

use super::list;
use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::object_id::MailboxId;
use crate::imap::special_use;

/// The folder to create.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Create {
    pub(crate) name: String,
    /// The attributes of `(USE (…))`.
    pub(crate) uses: Vec<String>,
}

impl Create {
    pub(crate) fn parse(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.space()?;
        let name = cursor.mailbox()?;
        let mut uses = Vec::new();
        if cursor.eat(" (") {
            cursor.expect("USE ", "unknown parameter of CREATE")?;
            uses = cursor.list(Cursor::flag)?;
            cursor.expect(")", "the parameters are not closed")?;
        }
        if uses.iter().any(|attribute| !attribute.starts_with('\\')) {
            return Err(SyntaxError("a special use begins with a backslash"));
        }
        Ok(Self { name, uses })
    }
}

/// Creates the folder.
pub(crate) async fn run(cx: &mut Context, create: &Create) -> Result<Completion, Completion> {
    if let Some(attribute) = create.uses.first()
        && mailbox::folder_named(&cx.node, &create.name)?.is_none()
    {
        return Err(use_refusal(attribute));
    }
    let folder = mailbox::create_folder(&cx.node, &create.name).await?;
    if cx.enabled.rev2 && folder.name != create.name {
        list::print_folder(cx, &folder, &create.name)?;
    }
    Ok(Completion::ok("created").code(format!("MAILBOXID ({})", MailboxId(folder.id))))
}

/// The refusal of a folder with a special use (RFC 6154 3). Each use that this server knows has its
/// folder from the first start on, which can't be renamed or deleted.
fn use_refusal(attribute: &str) -> Completion {
    let text = match special_use::named(attribute) {
        Some(_) => "another folder has this special use",
        None => "unknown special use",
    };
    Completion::no(text).code("USEATTR")
}
