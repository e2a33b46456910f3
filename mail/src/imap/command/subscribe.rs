//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3.6 and 6.3.7).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// A folder and whether it is to be subscribed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) name: String,
    pub(crate) subscribed: bool,
}

impl Subscribe {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, subscribed: bool) -> Result<Self, SyntaxError> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()?, subscribed })
    }
}

/// Subscribes or unsubscribes. Unsubscribing a folder that does not exist succeeds: programs do so
/// after DELETE.
pub(crate) async fn run(cx: &mut Context, subscribe: &Subscribe) -> Result<Completion, Completion> {
    match mailbox::folder_named(&cx.node, &subscribe.name)? {
        Some(folder) => mailbox::subscribe(&cx.node, folder.id, subscribe.subscribed).await?,
        None if subscribe.subscribed => return Err(Completion::no_folder()),
        None => {}
    }
    Ok(Completion::ok("done"))
}
