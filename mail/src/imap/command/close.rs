//! CLOSE (RFC 3501 6.4.2): removes what is marked as deleted, without saying so, and leaves the
//! folder.

use freehold_core::mailbox;

use super::select::Access;
use crate::imap::answer::Done;
use crate::imap::context::Context;
use crate::imap::selected::Selected;

/// Tidies up; a folder opened with EXAMINE stays as it is.
pub(crate) async fn run(cx: &mut Context, selected: &Selected) -> Result<Done, Done> {
    if selected.access == Access::Write {
        mailbox::expunge(&cx.node, selected.folder, None).await?;
    }
    Ok(Done::ok("closed"))
}
