//! The owner's mail: folders of messages, and the queue of messages to be sent.
//!
//! A folder is a mailbox of IMAP (RFC 9051 2.3): it has UIDs, a UIDVALIDITY and modseqs (RFC 7162).
//! On disk the flags, sizes and dates of messages are in pages of up to 64 (`page`), what lists
//! and searches need of their texts in details, packed column by column once a page is full
//! (`details`, `columns`). A row under `folder ‖ UID` keeps the blob with a message's bytes.
//! Counts are in the folder's row. So no list opens a blob, and a walk over a large folder reads a
//! row for many messages. UIDs, modseqs and counts are read and increased within the commit:
//! without gaps, and never visible before they are durable.

mod append;
mod append_all;
mod arrive;
mod away;
mod change;
mod check;
mod columns;
mod delete_folder;
mod deliver;
mod details;
mod empty;
mod expunge;
mod flags;
mod folders;
mod from_friend;
mod idempotency;
mod import;
mod index_older;
mod junk;
mod left_lists;
mod metadata;
mod page;
mod picture_senders;
pub mod queue;
mod quota;
mod read;
mod recent;
mod refused;
pub mod relay;
mod removals;
mod remove;
mod replace;
mod rules;
mod search;
mod senders;
mod sent;
mod settings;
mod store_flags;
mod subscriptions;
mod summary;
mod text_index;
mod thread;
mod thread_list;
mod thread_members;
mod transfer;
mod varint;

pub use append_all::{APPENDED_TOGETHER_MAX, append_all};
pub use arrive::{Arrival, Arrived, arrive};
pub use away::{AWAY_TEXT_LEN_MAX, Answerable, Away, answer, away, set_away};
pub use change::{Changes, EXPUNGES_REMEMBERED, changes_since};
pub use check::{check, check_bodies, check_rows};
pub use columns::{Values, values};
pub use delete_folder::delete_folder;
pub use deliver::{DeliverError, Delivery, deliver, delivered_to, discard};
pub use details::{Column, is_kept, searched, structures};
pub use empty::{delete_for_good, empty_folder, purge_old_messages};
pub use expunge::expunge;
pub use flags::{FlagError, Flags};
pub use folders::{
    Folder, FolderError, FolderId, SpecialUse, create_folder, folder, folder_named, folders,
    folders_below, nearest_name, rename_below, rename_folder, special_folder,
};
pub use from_friend::{
    FRIEND_MAIL_MIB_PER_DAY, FriendMail, FriendMailError, arrive_from_friend, friend_allowance,
    has_friend_mail,
};
pub use idempotency::IdempotencyKey;
pub use import::{
    Import, ImportOutcome, ImportProgress, Preparation, PreparedImport, commit_imports,
    import_progress, prepare_import, set_import_progress,
};
pub use index_older::index_older_messages;
pub use junk::{
    Disowned, Evidence, Judgement, JunkReason, LISTED_MAX, ListError, ListedSender, Listing,
    ReasonKind, forget_old_lessons, is_good_network, learn_from_inbox, learn_next, lessons_learnt,
    list_sender, listed_senders, unlist_sender,
};
pub use left_lists::{asked_to_leave, record_asked_to_leave};
pub use metadata::{
    METADATA_ENTRIES_MAX, METADATA_NAME_LEN_MAX, METADATA_VALUE_LEN_MAX, MetadataError,
    MetadataName, all_metadata, metadata, set_metadata,
};
pub use picture_senders::{
    PICTURE_SENDERS_MAX, PictureSender, PictureSenderError, add_picture_sender, is_picture_sender,
    picture_senders, remove_picture_sender,
};
pub use queue::{
    Outcome, QueueId, QueuedMessage, Recipient, RecipientState, RecordError, Submission,
    SubmitError, due, next_due, queued_blobs, queued_with_blob, record_outcomes, submit,
    submit_request,
};
pub use quota::{Quota, deleted_size, quota};
pub use read::{
    Content, MESSAGE_LEN_MAX, Message, MessageId, View, addressed, body, content, contents,
    judgement, message, messages, messages_in, messages_named, preview, summaries, summary, view,
};
pub use recent::claim_recent;
pub use refused::{
    FetchBackError, Recorded, Refusal, RefusalId, Refused, RefusedHead, fetch_back,
    forget_old_refusals, record_refusal, refusals, refused_head,
};
pub use removals::remove_expunged;
pub use replace::{ReplaceError, replace};
pub use rules::{RULES_MAX, Rule, RuleError, RuleId, add_rule, remove_rule, rules};
pub use search::{
    SearchCursor, SearchHit, SearchLimits, SearchPage, SearchQuery, TERMS_MAX, search,
};
pub use senders::{StrangersLimits, UsedUp, allowances, network_of};
pub use sent::append;
pub use settings::{
    BIN_DAYS_MAX, bin_days, heeds_keys, lists_threads, set_bin_days, set_heeds_keys,
    set_lists_threads,
};
pub use store_flags::{FlagChange, StoreOutcome, store_flags};
pub use subscriptions::{subscribe, subscriptions, unsubscribe};
pub use summary::{Correspondent, Summary};
pub use text_index::{Searched, TextCandidates, TextIndexer, body_text, text_candidates};
pub use thread::{ThreadId, forget_old_threads};
pub use thread_list::{ListedThread, THREAD_COUNTED_MAX, ThreadList, threads};
pub use thread_members::{thread_messages, with_threads};
pub use transfer::{
    Missing, TransferError, copy_messages, copy_named, move_messages, move_named,
    undo_failed_copies,
};

use crate::node::Node;
use crate::store::StoreError;

/// How many commits of one command wait together, so that they share a sync.
const COMMITS_TOGETHER: usize = 16;

/// Creates the special folders of a new node, brings rows of earlier versions up to date, resumes
/// deletions of folders that a stop interrupted, and expunges the copies of a COPY that it
/// interrupted. Idempotent; called at every start, before a client reads the mailbox.
///
/// # Errors
/// When the store is unavailable.
pub async fn initialise(node: &Node) -> Result<(), StoreError> {
    let now = node.clock.now().as_secs();
    node.store.commit(move |tx| folders::create_special_folders(tx, now)).await?;
    subscriptions::carry_over(node).await?;
    index_older::convert(node).await?;
    delete_folder::resume(node).await?;
    transfer::undo_interrupted(node).await
}

#[cfg(test)]
mod tests;
