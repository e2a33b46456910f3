//! CLOSE (RFC 3501 6.4.2): expunges the messages with \Deleted, sends no EXPUNGE, and deselects the
//! folder. With QRESYNC the completion has HIGHESTMODSEQ (RFC 7162 3.2.8).

use freehold_core::mailbox;
use freehold_core::store::StoreError;

use crate::imap::completion::Completion;
use crate::imap::context::Context;
use crate::imap::selected::{Access, Selected};

/// Expunges, unless the folder was opened with EXAMINE.
pub(crate) async fn run(cx: &mut Context, selected: &Selected) -> Result<Completion, Completion> {
    if selected.access == Access::Write {
        let expunged = mailbox::expunge(&cx.node, selected.folder, None).await?;
        if cx.enabled.qresync && !expunged.is_empty() {
            let modseq = modseq_after(cx, selected, expunged)?;
            return Ok(Completion::ok("closed").code(format!("HIGHESTMODSEQ {modseq}")));
        }
    }
    Ok(Completion::ok("closed"))
}

/// The modseq up to which the client knows the folder: that of the expunge, unless others changed
/// the folder meanwhile, which was not reported to the client.
fn modseq_after(
    cx: &Context,
    selected: &Selected,
    mut expunged: Vec<u32>,
) -> Result<u64, StoreError> {
    let changes = mailbox::changes_since(&cx.node, selected.folder, selected.modseq())?;
    let mut vanished = changes.vanished;
    vanished.sort_unstable();
    expunged.sort_unstable();
    let is_own = changes.changed.is_empty() && !changes.is_incomplete && vanished == expunged;
    Ok(if is_own { changes.modseq } else { selected.modseq() })
}
