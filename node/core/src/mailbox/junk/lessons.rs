//! Lessons: messages whose place says whether they are junk. A lesson is recorded in the commit
//! that moves the message, and learnt in the background.
//!
//! On disk a lesson is under the message's id and refers to its blob until it is learnt. Another
//! row under the id remembers what was learnt, so that a message moved back is unlearnt.

use minicbor::{Decode, Encode};

use super::bayes::Counts;
use super::judge::{Judgement, Origin};
use super::{learnt, reputation, tokens};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::mailbox::Flags;
use crate::mailbox::deliver::read_bytes;
use crate::mailbox::folders::{Folder, SpecialUse, special_folder};
use crate::mailbox::page::Entry;
use crate::mailbox::read::{self, MESSAGE_LEN_MAX, MessageRow};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{BlobId, Scan, StoreError, Table, Tx};

const DAY_MS: u64 = 24 * 3_600_000;
/// A message that was read and stays in the inbox for so long is wanted.
const STAYED_AFTER: u64 = 7 * DAY_MS;
/// Lessons of such messages that one call records.
const STAYED_EACH: usize = 200;
/// A lesson and a reputation are forgotten after this time.
const REMEMBERED: u64 = 400 * DAY_MS;
/// Rows that one commit forgets.
const FORGOTTEN_EACH: usize = 400;

/// Junk or wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum Class {
    #[n(0)]
    Junk,
    #[n(1)]
    Wanted,
}

impl Class {
    fn count(self, counts: &mut Counts) -> &mut u32 {
        match self {
            Self::Junk => &mut counts.junk,
            Self::Wanted => &mut counts.wanted,
        }
    }
}

/// Under the id of the message: it is to be learnt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
struct LessonRow {
    #[n(0)]
    class: Class,
    #[n(1)]
    blob: BlobId,
    #[n(2)]
    #[cbor(default)]
    origin: Origin,
}

impl Record for LessonRow {
    const TABLE: Table = Table::referring("junk_lessons");
    const VERSION: u8 = 1;
}

/// Under the id of the message: it was learnt.
#[derive(Clone, Copy, Encode, Decode)]
#[cbor(map)]
struct TaughtRow {
    #[n(0)]
    class: Class,
    #[n(1)]
    at: Timestamp,
}

impl Record for TaughtRow {
    const TABLE: Table = Table::new("junk_taught");
    const VERSION: u8 = 1;
}

/// The point in the inbox up to which messages that stay were taken as lessons.
#[derive(Default, Encode, Decode)]
#[cbor(map)]
struct InboxRow {
    #[n(0)]
    uid_validity: u32,
    /// The UID from which on messages are looked at.
    #[n(1)]
    next: u32,
}

impl Record for InboxRow {
    const TABLE: Table = Table::new("junk_inbox");
    const VERSION: u8 = 1;
}

const INBOX: &[u8] = b"inbox";

/// The lesson of a move: into Junk it is junk. Out of Junk it is wanted, and out of the inbox into
/// a folder where letters are stayed.
fn class_of_transfer(from: &Folder, to: &Folder) -> Option<Class> {
    use SpecialUse::{Drafts, Inbox, Junk, Sent, Trash};
    match (from.special, to.special) {
        (Some(Junk), Some(Junk | Trash)) | (_, Some(Drafts | Sent)) => None,
        (_, Some(Junk)) => Some(Class::Junk),
        (Some(Junk), _) => Some(Class::Wanted),
        (Some(Inbox), Some(Inbox | Trash)) => None,
        (Some(Inbox), _) => Some(Class::Wanted),
        _ => None,
    }
}

/// Records the lesson of a move or copy within its commit.
pub(in crate::mailbox) fn record_transfer(
    tx: &mut Tx<'_>,
    from: &Folder,
    to: &Folder,
    message: &MessageRow,
) -> Result<(), StoreError> {
    match class_of_transfer(from, to) {
        Some(class) => record(tx, class, message),
        None => Ok(()),
    }
}

/// Records that a message of a known sender is wanted, within the commit of its delivery.
pub(in crate::mailbox) fn record_known(
    tx: &mut Tx<'_>,
    message: &MessageRow,
) -> Result<(), StoreError> {
    match message.judgement.as_ref().is_some_and(Judgement::is_proven_friend) {
        true => record(tx, Class::Wanted, message),
        false => Ok(()),
    }
}

fn record(tx: &mut Tx<'_>, class: Class, message: &MessageRow) -> Result<(), StoreError> {
    let origin = message.judgement.as_ref().map(|judgement| judgement.origin.clone());
    let lesson = LessonRow { class, blob: message.blob, origin: origin.unwrap_or_default() };
    row::put_referring(tx, &message.id.0, &lesson, &[message.blob])
}

/// Learns one lesson. Returns false if there was none. Only one call may run at a time.
///
/// # Errors
/// When the store refuses; the lesson stays.
pub async fn learn_next(node: &Node) -> Result<bool, StoreError> {
    let Some(key) = node.store.keys(LessonRow::TABLE, &Scan::prefix(&[], 1))?.into_iter().next()
    else {
        return Ok(false);
    };
    let lesson = match row::get::<LessonRow>(&node.store, &key) {
        Ok(Some(lesson)) => lesson,
        Ok(None) => return Ok(true),
        // A damaged lesson is left out, so that it does not stop the others.
        Err(StoreError::Corrupt { .. }) => {
            tracing::warn!("a lesson of the junk filter is damaged and left out");
            let forget = move |tx: &mut Tx<'_>| {
                row::delete::<LessonRow>(tx, &key);
                Ok::<_, StoreError>(())
            };
            return node.store.commit(forget).await.map(|()| true);
        }
        Err(error) => return Err(error),
    };
    // The row has no length: each message counts as long, so it is read alone.
    let keys = match read_bytes(node, lesson.blob, MESSAGE_LEN_MAX, tokens).await {
        Ok(tokens) => {
            let node = node.clone();
            try_blocking(move || {
                let keys = learnt::keys(&node.store, &tokens)?;
                // Outside the commit, which others wait for, the rows are read from the disk.
                learnt::counts(&node.store, &keys)?;
                Ok::<_, StoreError>(keys)
            })
            .await?
        }
        // The message can't be read: nothing is learnt from it.
        Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Vec::new(),
        Err(error) => return Err(error),
    };
    let now = node.clock.now();
    node.store.commit(move |tx| learn(tx, &key, &lesson, &keys, now)).await?;
    learnt::halve_if_many(node).await?;
    Ok(true)
}

fn learn(
    tx: &mut Tx<'_>,
    key: &[u8],
    lesson: &LessonRow,
    tokens: &[learnt::TokenKey],
    now: Timestamp,
) -> Result<(), StoreError> {
    // The message was moved again meanwhile.
    if row::get::<LessonRow>(tx, key)?.as_ref() != Some(lesson) {
        return Ok(());
    }
    row::delete::<LessonRow>(tx, key);
    let taught = row::get::<TaughtRow>(tx, key)?.map(|row| row.class);
    if tokens.is_empty() || taught == Some(lesson.class) {
        return Ok(());
    }
    let change = |counts: &mut Counts| {
        if let Some(earlier) = taught {
            let count = earlier.count(counts);
            *count = count.saturating_sub(1);
        }
        let count = lesson.class.count(counts);
        *count = count.saturating_add(1);
    };
    learnt::change(tx, tokens, change)?;
    reputation::change(tx, &lesson.origin, now, change)?;
    row::put(tx, key, &TaughtRow { class: lesson.class, at: now })
}

/// How many messages the filter has learnt from: junk and wanted.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn lessons_learnt(node: &Node) -> Result<(u32, u32), StoreError> {
    let Counts { junk, wanted } = learnt::all(&node.store)?.messages;
    Ok((junk, wanted))
}

/// Takes messages that were read and stay in the inbox for a week as wanted. Returns how many.
///
/// # Errors
/// As [`learn_next`].
pub async fn learn_from_inbox(node: &Node) -> Result<usize, StoreError> {
    let reading = node.clone();
    let Some((inbox, stayed, next)) = try_blocking(move || stayed(&reading)).await? else {
        return Ok(0);
    };
    let count = stayed.len();
    let commit = move |tx: &mut Tx<'_>| {
        for uid in stayed {
            if let Some(message) = row::get::<MessageRow>(tx, &read::key(inbox.id, uid))? {
                record(tx, Class::Wanted, &message)?;
            }
        }
        row::put(tx, INBOX, &InboxRow { uid_validity: inbox.uid_validity, next })
    };
    node.store.commit(commit).await?;
    Ok(count)
}

/// The inbox, the next messages that stay, and the UID from which on the next call looks; `None` if
/// nothing new is old enough.
fn stayed(node: &Node) -> Result<Option<(Folder, Vec<u32>, u32)>, StoreError> {
    let Some(inbox) = special_folder(node, SpecialUse::Inbox)? else { return Ok(None) };
    let begun = row::get::<InboxRow>(&node.store, INBOX)?.unwrap_or_default();
    let from = if begun.uid_validity == inbox.uid_validity { begun.next } else { 0 };
    let now = node.clock.now();
    let (mut stayed, mut next) = (Vec::new(), from);
    read::each_entry(&node.store, &inbox, from, |entry| {
        // A message of the future does not keep the others waiting.
        let is_old = now.millis_since(entry.internal_date) >= STAYED_AFTER
            || entry.internal_date.0 > now.0.saturating_add(DAY_MS);
        if !is_old || stayed.len() >= STAYED_EACH {
            return false;
        }
        next = entry.uid.saturating_add(1);
        if is_read(entry) {
            stayed.push(entry.uid);
        }
        true
    })?;
    Ok((next > from).then_some((inbox, stayed, next)))
}

fn is_read(entry: &Entry) -> bool {
    entry.bits & Flags::SEEN != 0 && entry.bits & Flags::DELETED == 0
}

/// Forgets what was learnt from messages long ago. Returns how many rows.
///
/// # Errors
/// As [`learn_next`].
pub async fn forget_old_lessons(node: &Node) -> Result<usize, StoreError> {
    let taught = forget::<TaughtRow>(node, |row| row.at).await?;
    Ok(taught + forget::<reputation::ReputationRow>(node, |row| row.changed).await?)
}

async fn forget<T: Record + 'static>(
    node: &Node,
    at: impl Fn(&T) -> Timestamp,
) -> Result<usize, StoreError> {
    let (mut scan, mut forgotten) = (Scan::prefix(&[], FORGOTTEN_EACH), 0);
    loop {
        let page = row::scan::<T>(&node.store, &scan)?;
        let Some((last, _)) = page.last() else { return Ok(forgotten) };
        scan = Scan::prefix(&[], FORGOTTEN_EACH).after(last);
        let now = node.clock.now();
        let is_old = |row: &T| now.millis_since(at(row)) > REMEMBERED;
        let old: Vec<Vec<u8>> =
            page.into_iter().filter(|(_, row)| is_old(row)).map(|(key, _)| key).collect();
        if old.is_empty() {
            continue;
        }
        forgotten += old.len();
        let commit = move |tx: &mut Tx<'_>| {
            old.iter().for_each(|key| row::delete::<T>(tx, key));
            Ok::<_, StoreError>(())
        };
        node.store.commit(commit).await?;
    }
}

#[cfg(test)]
mod tests;
