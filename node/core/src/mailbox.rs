//! The owner's mail: folders of messages, and the queue of messages to be sent.
//!
//! A folder is a mailbox of IMAP (RFC 9051 2.3): it has UIDs, a UIDVALIDITY and modseqs (RFC 7162).
//! On disk a message has two rows under `folder ‖ uid`: one with its flags and modseq, which
//! change, and one with its summary, which does not. A row under `folder ‖ modseq` names the
//! message whose latest change, or expunge, has that modseq. The message's bytes are a blob. Counts
//! are in the folder's row, so that no frequent path reads more rows than it shows. UIDs, modseqs
//! and counts are read and increased within the commit: without gaps, and never visible before they
//! are durable.

mod change;
mod check;
mod delete_folder;
mod deliver;
mod expunge;
mod flags;
mod folders;
mod idempotency;
pub mod queue;
mod read;
mod recent;
mod store_flags;
mod subscriptions;
mod summary;
mod transfer;

pub use change::{Changes, EXPUNGES_REMEMBERED, changes_since};
pub use check::check;
pub use delete_folder::delete_folder;
pub use deliver::{DeliverError, Delivery, deliver};
pub use expunge::expunge;
pub use flags::{FlagError, Flags};
pub use folders::{
    Folder, FolderError, FolderId, SpecialUse, create_folder, folder, folder_named, folders,
    folders_below, rename_below, rename_folder, special_folder,
};
pub use idempotency::IdempotencyKey;
pub use queue::{
    Outcome, QueueId, QueuedMessage, Recipient, RecipientState, RecordError, Submission,
    SubmitError, due, next_due, queued_blobs, queued_with_blob, record_outcomes, submit,
};
pub use read::{
    MESSAGE_LEN_MAX, Message, MessageId, body, first_unseen, message, messages, messages_in,
    summaries, summary, uids,
};
pub use recent::claim_recent;
pub use store_flags::{FlagChange, StoreOutcome, store_flags};
pub use subscriptions::{subscribe, subscriptions, unsubscribe};
pub use summary::{Correspondent, Summary};
pub use transfer::{TransferError, copy_messages, move_messages};

use crate::node::Node;
use crate::store::StoreError;

/// How many messages one commit changes at most; a larger command takes several commits.
const MESSAGES_PER_COMMIT: usize = 100;

/// Creates the special folders of a new node, brings rows of earlier versions up to date, and
/// resumes deletions of folders that a stop interrupted. Idempotent; called at every start.
///
/// # Errors
/// When the store is unavailable.
pub async fn initialise(node: &Node) -> Result<(), StoreError> {
    let now = node.clock.now().as_secs();
    node.store.commit(move |tx| folders::create_special_folders(tx, now)).await?;
    subscriptions::carry_over(node).await?;
    delete_folder::resume(node).await
}

#[cfg(test)]
mod tests;
