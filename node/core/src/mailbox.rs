//! Mail the owner keeps: folders of messages, and the queue of what is still to be sent.
//!
//! On disk: a message is two rows under `folder ‖ uid`, what changes (flags, modseq) apart from
//! what doesn't (the summary lists show), plus a row under `folder ‖ modseq` that says what changed
//! last at that number, which may be "gone". The text is a blob. Counts live in the folder's row,
//! so no hot path reads more rows than it shows. UIDs, modseqs and counts are read and raised
//! inside the commit: gapless, and never seen before they are durable.

mod change;
mod check;
mod deliver;
mod expunge;
mod flags;
mod folders;
pub mod queue;
mod read;
mod summary;
mod transfer;

pub use change::{Changes, EXPUNGES_REMEMBERED, changes_since};
pub use check::check;
pub use deliver::{DeliverError, Delivery, IdempotencyKey, deliver};
pub use expunge::expunge;
pub use flags::{FlagChange, FlagError, Flags, StoreOutcome, store_flags};
pub use folders::{
    Folder, FolderError, FolderId, SpecialUse, create_folder, delete_folder, folder, folder_named,
    folders, initialise, rename_folder, special_folder, subscribe,
};
pub use queue::{
    Outcome, QueueId, QueuedMessage, Recipient, RecipientState, RecordError, Submission,
    SubmitError, due, next_due, queued_blobs, queued_with_blob, record_outcomes, submit,
};
pub use read::{
    MESSAGE_LEN_MAX, Message, MessageId, body, first_unseen, message, messages, messages_in,
    summaries, summary, uids,
};
pub use summary::{Correspondent, Summary};
pub use transfer::{TransferError, copy_messages, move_messages};

/// How many messages one commit touches at most; what is larger goes in several.
const MESSAGES_PER_COMMIT: usize = 100;

#[cfg(test)]
mod tests;
