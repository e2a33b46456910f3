//! A folder as a list of threads, the newest first.
//!
//! The list walks back over the messages of the folder. Each represents its thread if it is the
//! newest of that thread in the folder, which the rows of [`thread_members`] tell; an older message
//! of a thread is passed over. So a page needs no memory of the pages before it: a thread whose
//! newest message is on an earlier page is not listed again.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::{self, Values};
use super::details::Column;
use super::flags::{self, Flags};
use super::folders::{Folder, FolderId, load};
use super::page::{self, Page};
use super::read::{self, Message};
use super::removals;
use super::summary::Summary;
use super::thread::ThreadId;
use super::thread_members;
use crate::node::Node;
use crate::store::StoreError;

/// The most messages of a thread in one folder that are counted.
pub const THREAD_COUNTED_MAX: usize = 500;
/// The most messages of a thread that a list has in full: the newest.
const READ_MAX: usize = 8;
/// The most correspondents of the messages before these.
const EARLIER_MAX: usize = 16;
/// The most pages read for the state of older messages of threads, for one page of a list: those of
/// a folder of 128,000 messages. Of a message in a further page the state is not known.
const STATE_PAGES_MAX: usize = 2_000;
/// The most pages whose summaries are unpacked for the correspondents of older messages, for one
/// page of a list.
const EARLIER_PAGES_MAX: usize = 100;
/// The most messages that are examined for one page of a list.
const EXAMINED_MAX: usize = 2_000;

/// A thread in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedThread {
    /// Its id; `None` for a message of an earlier version that was not read yet.
    pub thread: Option<ThreadId>,
    /// Its newest messages in the folder, the newest first: at least one, at most eight.
    pub messages: Vec<(Message, Summary)>,
    /// Summaries of messages before these, the oldest first: one of each pair of author and first
    /// recipient.
    pub earlier: Vec<Summary>,
    /// The number of its messages in the folder, at most [`THREAD_COUNTED_MAX`].
    pub count: usize,
    /// The flags that at least one of the counted messages has.
    pub flags: Flags,
    /// The UID of the oldest of the counted messages without \Seen.
    pub oldest_unseen: Option<u32>,
}

impl ListedThread {
    /// A message for itself.
    pub fn of_one(message: Message, summary: Summary) -> Self {
        Self {
            thread: None,
            earlier: Vec::new(),
            count: 1,
            flags: message.flags.clone(),
            oldest_unseen: (!message.flags.has(Flags::SEEN)).then_some(message.uid),
            messages: vec![(message, summary)],
        }
    }
}

/// A page of a list of threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadList {
    /// The newest first.
    pub threads: Vec<ListedThread>,
    /// The UID before which the next page begins; `None` at the end of the folder.
    pub older: Option<u32>,
}

/// The threads of a folder whose newest message there has a UID below `before` (all for `None`), at
/// most `limit`. In a folder where few threads have very many messages a page may have fewer.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn threads(
    node: &Node,
    id: FolderId,
    before: Option<u32>,
    limit: usize,
) -> Result<ThreadList, StoreError> {
    let Some(folder) = load(&node.store, id)? else { return Ok(ThreadList::default()) };
    if !folder.is_paged {
        return single(node, id, before, limit);
    }
    let mut until = before.map_or(Some(u32::MAX), |before| before.checked_sub(1));
    let mut reader = Reader::new(node, folder)?;
    let (mut list, mut examined) = (ThreadList::default(), 0usize);
    while let Some(last) = until {
        let Some(page) = page::holding(&node.store, id, last)? else { break };
        until = page.first.checked_sub(1);
        let (Some(low), Some(high)) = (page.entries.first(), page.entries.last()) else { continue };
        let found = read::contents(node, id, low.uid, high.uid.min(last))?;
        let known: BTreeMap<u32, Option<ThreadId>> =
            found.into_iter().map(|(uid, content)| (uid, content.thread)).collect();
        let uids: Vec<u32> = page.entries.iter().map(|entry| entry.uid).collect();
        reader.pages.insert(page.first, page);
        for uid in uids.into_iter().rev().filter(|uid| *uid <= last) {
            if list.threads.len() >= limit || examined >= EXAMINED_MAX {
                list.older = uid.checked_add(1);
                return Ok(list);
            }
            examined = examined.saturating_add(1);
            if let Some(thread) = reader.thread(uid, known.get(&uid).copied().flatten())? {
                list.threads.push(thread);
            }
        }
    }
    Ok(list)
}

/// Each message for itself, in a folder of an earlier version.
fn single(
    node: &Node,
    id: FolderId,
    before: Option<u32>,
    limit: usize,
) -> Result<ThreadList, StoreError> {
    let listed = read::summaries(node, id, before, limit)?;
    let last = listed.last().filter(|_| listed.len() >= limit);
    Ok(ThreadList {
        older: last.map(|(message, _)| message.uid),
        threads: listed
            .into_iter()
            .map(|(message, summary)| ListedThread::of_one(message, summary))
            .collect(),
    })
}

/// Reads messages of one folder, each page and each block of summaries once.
struct Reader<'a> {
    node: &'a Node,
    folder: Folder,
    /// By the UID in their key.
    pages: BTreeMap<u32, Page>,
    /// By the UID in the key of their page.
    summaries: BTreeMap<u32, Values>,
    /// Messages that were expunged, and are still listed in their threads.
    expunged: BTreeSet<u32>,
    /// The threads whose newest message was met.
    met: BTreeSet<[u8; 16]>,
    /// The pages that may still be read for older messages.
    state_pages: usize,
    /// The pages whose summaries may still be unpacked for older messages.
    earlier_pages: usize,
}

impl<'a> Reader<'a> {
    fn new(node: &'a Node, folder: Folder) -> Result<Self, StoreError> {
        let expunged = removals::recorded(node, folder.id)?;
        let (pages, summaries) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            node,
            folder,
            pages,
            summaries,
            expunged,
            met: BTreeSet::new(),
            state_pages: STATE_PAGES_MAX,
            earlier_pages: EARLIER_PAGES_MAX,
        })
    }

    /// The thread that message `uid` represents; `None` if it is not the newest of its thread.
    fn thread(
        &mut self,
        uid: u32,
        thread: Option<ThreadId>,
    ) -> Result<Option<ListedThread>, StoreError> {
        let mut members = vec![uid];
        if let Some(thread) = thread {
            if !self.met.insert(thread.0) {
                return Ok(None);
            }
            let rows = &self.node.store;
            let found =
                thread_members::in_folder(rows, thread, self.folder.id, THREAD_COUNTED_MAX)?;
            let is_whole = found.len() < THREAD_COUNTED_MAX;
            // A message of an earlier version that is not among the members is its own thread.
            if found.contains(&uid) || !is_whole {
                members = found;
                members.retain(|member| !self.expunged.contains(member));
            }
            if members.first() != Some(&uid) {
                return Ok(None);
            }
        }
        let mut messages = Vec::new();
        for member in members.iter().take(READ_MAX) {
            messages.extend(self.message(*member)?);
        }
        // It may have been expunged meanwhile.
        if messages.is_empty() {
            return Ok(None);
        }
        let (flags, oldest_unseen) = self.state(&members)?;
        let older = members.get(READ_MAX..).unwrap_or_default();
        let (earlier, count) = (self.earlier(older)?, members.len());
        Ok(Some(ListedThread { thread, messages, earlier, count, flags, oldest_unseen }))
    }

    /// The flags that at least one of the members has, and the oldest member without \Seen.
    /// `members` descend.
    fn state(&mut self, members: &[u32]) -> Result<(Flags, Option<u32>), StoreError> {
        let (mut bits, mut keywords, mut oldest_unseen) = (0u8, 0u64, None);
        for uid in members {
            if !self.has_page(*uid) {
                if self.state_pages == 0 {
                    break;
                }
                self.state_pages -= 1;
            }
            let Some(first) = self.page(*uid)? else { continue };
            let Some(entry) = self.pages.get(&first).and_then(|page| page.entry(*uid)) else {
                continue;
            };
            (bits, keywords) = (bits | entry.bits, keywords | entry.keywords);
            if entry.bits & Flags::SEEN == 0 {
                oldest_unseen = Some(*uid);
            }
        }
        let keywords = flags::named(keywords, &self.folder.keywords);
        Ok((Flags { bits, keywords }, oldest_unseen))
    }

    /// Summaries of the older members, the oldest first, one for each pair of correspondents.
    fn earlier(&mut self, older: &[u32]) -> Result<Vec<Summary>, StoreError> {
        let mut earlier: Vec<Summary> = Vec::new();
        for uid in older.iter().rev() {
            if earlier.len() >= EARLIER_MAX {
                break;
            }
            if !self.has_page(*uid) {
                continue;
            }
            let Some(first) = self.page(*uid)? else { continue };
            if !self.summaries.contains_key(&first) {
                if self.earlier_pages == 0 {
                    continue;
                }
                self.earlier_pages -= 1;
            }
            let Some((_, summary)) = self.message(*uid)? else { continue };
            let is_known = |known: &Summary| {
                known.from == summary.from && known.to.first() == summary.to.first()
            };
            if !earlier.iter().any(is_known) {
                earlier.push(summary);
            }
        }
        Ok(earlier)
    }

    /// Whether the page of a message was read.
    fn has_page(&self, uid: u32) -> bool {
        let nearest = self.pages.range(..=uid).next_back();
        nearest.is_some_and(|(_, page)| page.entry(uid).is_some())
    }

    /// The key of the page that has a message, which is read if need be; `None` if it is gone.
    fn page(&mut self, uid: u32) -> Result<Option<u32>, StoreError> {
        if !self.has_page(uid) {
            let read = page::holding(&self.node.store, self.folder.id, uid)?;
            let Some(page) = read.filter(|page| page.entry(uid).is_some()) else { return Ok(None) };
            self.pages.insert(page.first, page);
        }
        Ok(self.pages.range(..=uid).next_back().map(|(first, _)| *first))
    }

    /// A message with its summary; `None` if it is gone.
    fn message(&mut self, uid: u32) -> Result<Option<(Message, Summary)>, StoreError> {
        let Some(first) = self.page(uid)? else { return Ok(None) };
        let (rows, id) = (&self.node.store, self.folder.id);
        let Some(page) = self.pages.get(&first) else { return Ok(None) };
        let Some(entry) = page.entry(uid) else { return Ok(None) };
        let message = entry.message(id, &self.folder.keywords);
        if !self.summaries.contains_key(&first) {
            let (low, high) = (page.entries.first(), page.entries.last());
            let (low, high) = (low.map_or(uid, |e| e.uid), high.map_or(uid, |e| e.uid));
            let values = columns::values(self.node, id, Column::Summary, low, high)?;
            self.summaries.insert(first, values);
        }
        let summary = match self.summaries.get(&first) {
            Some(values) => read::summary_of(rows, values, id, uid)?,
            None => Summary::default(),
        };
        Ok(Some((message, summary)))
    }
}

#[cfg(test)]
mod tests;
