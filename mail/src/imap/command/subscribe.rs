//! SUBSCRIBE and UNSUBSCRIBE (RFC 3501 6.3.6 and 6.3.7).

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::cursor::{Cursor, SyntaxError};

/// A name and whether it is to be subscribed.
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

/// Subscribes or unsubscribes a name, whether or not there is such a folder.
pub(crate) async fn run(cx: &mut Context, subscribe: &Subscribe) -> Result<Completion, Completion> {
    if subscribe.subscribed {
        mailbox::subscribe(&cx.node, &subscribe.name).await?;
    } else {
        mailbox::unsubscribe(&cx.node, &subscribe.name).await?;
    }
    Ok(Completion::ok("done"))
}
