//! The rows of a list: threads or single messages of a folder, and results of a search.

use freehold_core::blocking::try_blocking;
use freehold_core::clock::Timestamp;
use freehold_core::mailbox::queue::NOT_DELIVERED;
use freehold_core::mailbox::{
    self, Flags, Folder, ListedThread, SearchHit, SpecialUse, Summary, ThreadList,
};

use super::named_people;
use crate::dates;
use crate::problem::Problem;
use crate::site::Site;

/// Number of rows in one page of a list.
pub(super) const LIST_LEN: usize = 30;
/// Most people of a thread that are named.
const NAMED_MAX: usize = 3;

/// A message or a thread in the list.
pub(super) struct MessageRow {
    /// The folder of the message to which the row leads.
    pub(super) folder: u32,
    /// The UID of that message: the oldest unread one of a thread, or the newest.
    pub(super) uid: u32,
    /// The id of the row in its page, which stays when messages are read.
    pub(super) anchor: String,
    /// The sender; in the folders Sent and Drafts the first recipient; those of a thread.
    pub(super) correspondent: String,
    /// The number of its messages, as text; empty for one.
    pub(super) count: String,
    pub(super) subject: String,
    pub(super) preview: String,
    pub(super) time: String,
    pub(super) machine_time: String,
    /// The folder's title in results of a search; else empty.
    pub(super) folder_title: String,
    pub(super) is_unread: bool,
    pub(super) is_flagged: bool,
    pub(super) is_current: bool,
    /// True if it is in the queue for at least one recipient.
    pub(super) is_queued: bool,
    /// True if it did not reach every recipient.
    pub(super) has_failed: bool,
}

/// A page of a folder's list.
pub(super) struct Listed {
    pub(super) rows: Vec<MessageRow>,
    /// The UID before which the next page begins.
    pub(super) older: Option<u32>,
}

/// The rows of a folder with a UID below `before`; around the message `open`, if it is given.
pub(super) async fn listed(
    site: &Site,
    folder: &Folder,
    before: Option<u32>,
    open: Option<u32>,
    by_threads: bool,
) -> Result<Listed, Problem> {
    let (node, id) = (site.node.clone(), folder.id);
    let work = move || {
        let mut before = before;
        if let Some(open) = open {
            let newest = match by_threads {
                true => mailbox::with_threads(&node, id, &[open])?.last().copied(),
                false => None,
            };
            before = newest.unwrap_or(open).checked_add(LIST_LEN as u32 / 2);
        }
        if by_threads {
            return mailbox::threads(&node, id, before, LIST_LEN);
        }
        let single = mailbox::summaries(&node, id, before, LIST_LEN)?;
        let last = single.last().filter(|_| single.len() == LIST_LEN);
        let older = last.map(|(message, _)| message.uid);
        let of_one = |(message, summary)| ListedThread::of_one(message, summary);
        Ok(ThreadList { threads: single.into_iter().map(of_one).collect(), older })
    };
    let list = try_blocking(work).await?;
    let queued = match folder.special {
        Some(SpecialUse::Sent) => queued_uids(site, &list)?,
        _ => Vec::new(),
    };
    let open_thread = match open.map(|uid| mailbox::message(&site.node, id, uid)).transpose()? {
        Some(Some(message)) => mailbox::content(&site.node, &message)?.and_then(|c| c.thread),
        _ => None,
    };
    let now = site.node.clock.now();
    let rows = list.threads.iter().filter_map(|thread| {
        let row = row(thread, is_outgoing(folder.special), now)?;
        let holds = |uid: u32| thread.messages.iter().any(|(message, _)| message.uid == uid);
        let is_open_thread = by_threads && open_thread.is_some() && thread.thread == open_thread;
        Some(MessageRow {
            is_current: is_open_thread || open.is_some_and(holds),
            is_queued: queued.iter().any(|uid| holds(*uid)),
            ..row
        })
    });
    Ok(Listed { rows: rows.collect(), older: list.older })
}

/// The row of a result of a search.
pub(super) fn found(hit: SearchHit, folders: &[Folder], now: Timestamp) -> Option<MessageRow> {
    let folder = folders.iter().find(|folder| folder.id == hit.message.folder)?;
    let thread = ListedThread::of_one(hit.message, hit.summary);
    let row = row(&thread, is_outgoing(folder.special), now)?;
    Some(MessageRow { folder_title: folder.title().to_owned(), ..row })
}

fn is_outgoing(special: Option<SpecialUse>) -> bool {
    matches!(special, Some(SpecialUse::Sent | SpecialUse::Drafts))
}

fn row(thread: &ListedThread, is_outgoing: bool, now: Timestamp) -> Option<MessageRow> {
    let (newest, summary) = thread.messages.first()?;
    Some(MessageRow {
        folder: newest.folder.0,
        uid: thread.oldest_unseen.unwrap_or(newest.uid),
        anchor: format!("l{}-{}", newest.folder.0, newest.uid),
        correspondent: people(thread, is_outgoing),
        count: match thread.count {
            0 | 1 => String::new(),
            count if count >= mailbox::THREAD_COUNTED_MAX => format!("{count}+"),
            count => count.to_string(),
        },
        subject: if summary.subject.is_empty() {
            "No subject".to_owned()
        } else {
            summary.subject.clone()
        },
        preview: summary.preview.clone(),
        time: dates::brief(newest.internal_date, now),
        machine_time: dates::machine(newest.internal_date),
        folder_title: String::new(),
        is_unread: thread.oldest_unseen.is_some(),
        is_flagged: thread.flags.has(Flags::FLAGGED),
        is_current: false,
        is_queued: false,
        has_failed: thread.flags.has_keyword(NOT_DELIVERED),
    })
}

/// The people of a thread, in the order in which they joined. With too many, those in the middle
/// are left out.
fn people(thread: &ListedThread, is_outgoing: bool) -> String {
    let mut names: Vec<String> = Vec::new();
    let newest = thread.messages.iter().rev().map(|(_, summary)| summary);
    for summary in thread.earlier.iter().chain(newest) {
        let name = correspondent(summary, is_outgoing);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.len() > NAMED_MAX {
        let middle = 1..names.len().saturating_sub(NAMED_MAX - 1);
        drop(names.splice(middle, ["…".to_owned()]));
    }
    names.join(", ")
}

/// The sender of a message, or the first recipient of an own one.
pub(super) fn correspondent(summary: &Summary, is_outgoing: bool) -> String {
    let other = if is_outgoing { summary.to.first() } else { Some(&summary.from) };
    other
        .map(|person| named_people::in_a_list(&person.name, &person.address))
        .filter(|shown| !shown.is_empty())
        .unwrap_or_else(|| "Nobody named".to_owned())
}

/// The UIDs of messages that are still to be sent.
fn queued_uids(site: &Site, list: &ThreadList) -> Result<Vec<u32>, Problem> {
    let blobs = mailbox::queued_blobs(&site.node)?;
    let mut uids = Vec::new();
    let messages = list.threads.iter().flat_map(|thread| &thread.messages);
    for (message, _) in messages.filter(|_| !blobs.is_empty()) {
        if mailbox::content(&site.node, message)?.is_some_and(|c| blobs.contains(&c.blob)) {
            uids.push(message.uid);
        }
    }
    Ok(uids)
}
