//! CLOSE (RFC 3501 6.4.2): expunges the messages with \Deleted, sends no EXPUNGE, and deselects the
//! folder.

use freehold_core::mailbox;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::selected::{Access, Selected};

/// Expunges, unless the folder was opened with EXAMINE.
pub(crate) async fn run(cx: &mut Context, selected: &Selected) -> Result<Completion, Completion> {
    if selected.access == Access::Write {
        mailbox::expunge(&cx.node, selected.folder, None).await?;
    }
    Ok(Completion::ok("closed"))
}
