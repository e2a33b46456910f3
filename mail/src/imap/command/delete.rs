//! DELETE (RFC 3501 6.3.4). The folder's children stay.

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};
use crate::imap::utf7;

/// The most children that a refusal names.
const NAMED_MAX: usize = 3;

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
    let Some(folder) = mailbox::folder_named(&cx.node, &delete.name)? else {
        return Err(missing(cx, &delete.name)?);
    };
    mailbox::delete_folder(&cx.node, folder.id).await?;
    Ok(Completion::ok("deleted"))
}

/// The refusal for a name that is no folder: LIST shows it if it has children (RFC 9051 7.1,
/// HASCHILDREN).
fn missing(cx: &Context, name: &str) -> Result<Completion, Completion> {
    let below = mailbox::folders_below(&cx.node, name)?;
    let names: Vec<String> =
        below.iter().take(NAMED_MAX).map(|it| utf7::wire(&cx.out, &it.name).into_owned()).collect();
    Ok(match below.len() {
        0 => Completion::no_folder(),
        len if len > NAMED_MAX => {
            Completion::no(format!("delete its {len} children first: {}, ...", names.join(", ")))
                .code("HASCHILDREN")
        }
        _ => Completion::no(format!("delete its children first: {}", names.join(", ")))
            .code("HASCHILDREN"),
    })
}
