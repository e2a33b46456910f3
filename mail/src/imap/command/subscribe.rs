//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3.6 and 6.3.7).

use freehold_core::mailbox;

use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::cursor::{Bad, Cursor};

/// A folder to show or to hide.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Subscribe {
    pub(crate) name: String,
    pub(crate) subscribed: bool,
}

impl Subscribe {
    pub(crate) fn parse(cursor: &mut Cursor<'_>, subscribed: bool) -> Result<Self, Bad> {
        cursor.space()?;
        Ok(Self { name: cursor.mailbox()?, subscribed })
    }
}

/// Shows or hides the folder. Hiding one that is not there is no error: programs tidy up so after
/// DELETE.
pub(crate) async fn run(cx: &mut Context, subscribe: &Subscribe) -> Result<Done, Done> {
    match mailbox::folder_named(&cx.node, &subscribe.name)? {
        Some(folder) => mailbox::subscribe(&cx.node, folder.id, subscribe.subscribed).await?,
        None if subscribe.subscribed => return Err(Done::no_folder()),
        None => {}
    }
    Ok(Done::ok("done"))
}
