//! The other messages of an open message's thread: in order, read ones folded.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{
    self, FlagChange, FlagError, Flags, Folder, FolderId, Message, SpecialUse, Summary,
};
use freehold_core::node::Node;
use freehold_core::store::StoreError;

use super::blocks;
use super::list;
use super::message::{self, ShownBlock};
use super::parsed::parsed;
use crate::dates;
use crate::problem::Problem;
use crate::site::Site;

/// Most messages of a thread that are looked for.
const MEMBERS_MAX: usize = 5_000;
/// Most other messages that are listed: the newest. So many are read of each folder.
const LISTED_MAX: usize = 50;
/// Most other messages whose text is on the page: the newest.
const SHOWN_MAX: usize = 10;
/// Longest of them, in bytes; and all together. The others are a link.
const SHOWN_LEN_MAX: u64 = 512 * 1024;
const SHOWN_LEN_SUM_MAX: u64 = 2 * 1024 * 1024;
/// Characters of the text beside a folded message.
const PREVIEW_CHARS: usize = 60;

/// The other messages of a thread, before and after the open one.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) earlier: Vec<ThreadMessage>,
    pub(super) later: Vec<ThreadMessage>,
}

/// A message of the thread.
pub(super) struct ThreadMessage {
    message: Message,
    pub(super) folder: u32,
    pub(super) uid: u32,
    /// The folder's title, if it is not the one of the open message; else empty.
    pub(super) folder_title: String,
    pub(super) name: String,
    pub(super) preview: String,
    pub(super) when: String,
    pub(super) machine_time: String,
    pub(super) is_unread: bool,
    /// Its text; `None` if the page only links to it.
    pub(super) blocks: Option<Vec<ShownBlock>>,
    /// The number of its files.
    pub(super) files: usize,
}

impl Thread {
    /// The thread of the open message, of the newest messages the text too. Empty if the owner
    /// lists single messages.
    pub(super) async fn of(site: &Site, open: &Message) -> Result<Self, Problem> {
        let folders = mailbox::folders(&site.node)?;
        let here = folders.iter().find(|folder| folder.id == open.folder);
        let is_draft = here.is_some_and(|folder| folder.special == Some(SpecialUse::Drafts));
        if is_draft || !mailbox::lists_threads(&site.node)? {
            return Ok(Self::default());
        }
        let (node, message, searched) = (site.node.clone(), open.clone(), folders.clone());
        let found = try_blocking(move || others(&node, &message, &searched)).await?;
        let now = site.node.clock.now();
        let mut thread = Self::default();
        let (mut shown, mut sum) = (0usize, 0u64);
        // The newest first: their texts are on the page.
        for (message, summary) in found.into_iter().rev() {
            let folder = folders.iter().find(|folder| folder.id == message.folder);
            let special = folder.and_then(|folder| folder.special);
            let mut other = ThreadMessage {
                folder: message.folder.0,
                uid: message.uid,
                folder_title: folder
                    .filter(|folder| folder.id != open.folder)
                    .map(|folder| folder.title().to_owned())
                    .unwrap_or_default(),
                name: match special {
                    Some(SpecialUse::Sent) => "You".to_owned(),
                    _ => list::correspondent(&summary, false),
                },
                preview: preview(&summary),
                when: dates::brief(message.internal_date, now),
                machine_time: dates::machine(message.internal_date),
                is_unread: !message.flags.has(Flags::SEEN),
                blocks: None,
                files: 0,
                message,
            };
            let len = other.message.size;
            if shown < SHOWN_MAX && len <= SHOWN_LEN_MAX && sum + len <= SHOWN_LEN_SUM_MAX {
                (shown, sum) = (shown + 1, sum + len);
                other.read(site).await?;
            }
            let is_earlier = order(&other.message) < order(open);
            let part = if is_earlier { &mut thread.earlier } else { &mut thread.later };
            part.insert(0, other);
        }
        Ok(thread)
    }

    /// Marks the messages as read that the page shows open.
    pub(super) async fn mark_read(&self, site: &Site) -> Result<(), Problem> {
        for other in self.earlier.iter().chain(&self.later).filter(|other| other.is_open()) {
            let (folder, change) = (other.message.folder, FlagChange::Add(Flags::of(Flags::SEEN)));
            match mailbox::store_flags(&site.node, folder, &[other.uid], change, None).await {
                // A disk that can't be written must not prevent reading.
                Err(FlagError::Store(error)) if error.is_refusal() => {}
                changed => drop(changed?),
            }
        }
        Ok(())
    }
}

impl ThreadMessage {
    /// True if the page shows it unfolded.
    pub(super) fn is_open(&self) -> bool {
        self.is_unread && self.blocks.is_some()
    }

    /// Reads its text.
    async fn read(&mut self, site: &Site) -> Result<(), Problem> {
        let found = match parsed(site, &self.message, blocks::blocks).await {
            // Expunged meanwhile, or damaged: its own page says so.
            Err(Problem::NotFound | Problem::Internal(_)) => None,
            found => found?,
        };
        if let Some(found) = found {
            self.files = found.attachments.len();
            self.blocks = Some(message::shown(site, &self.message, found.blocks)?);
        }
        Ok(())
    }
}

/// The order of the messages of a thread.
fn order(message: &Message) -> (u64, u32, u32) {
    (message.internal_date.0, message.folder.0, message.uid)
}

fn preview(summary: &Summary) -> String {
    let mut text: String = summary.preview.chars().take(PREVIEW_CHARS).collect();
    if text.len() < summary.preview.len() {
        text.push('…');
    }
    text
}

/// The other messages of the thread, in order: without copies of the same message, drafts, and what
/// is in junk or in the bin, unless the open message is there too.
fn others(
    node: &Node,
    open: &Message,
    folders: &[Folder],
) -> Result<Vec<(Message, Summary)>, StoreError> {
    let Some(content) = mailbox::content(node, open)? else { return Ok(Vec::new()) };
    let Some(thread) = content.thread else { return Ok(Vec::new()) };
    let is_left_out = |id: FolderId| {
        let special = folders.iter().find(|folder| folder.id == id).and_then(|f| f.special);
        let is_aside =
            matches!(special, Some(SpecialUse::Drafts | SpecialUse::Junk | SpecialUse::Trash));
        is_aside && id != open.folder
    };
    let mut known = BTreeSet::from([content.id.0]);
    let mut found = Vec::new();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    let places = mailbox::thread_messages(node, thread, MEMBERS_MAX)?;
    for (folder, uid) in places.into_iter().rev().filter(|(folder, _)| !is_left_out(*folder)) {
        let count = counts.entry(folder.0).or_default();
        *count = count.saturating_add(1);
        // The open message may be one of them.
        if *count > LISTED_MAX + 1 {
            continue;
        }
        let Some(message) = mailbox::message(node, folder, uid)? else { continue };
        let Some(content) = mailbox::content(node, &message)? else { continue };
        if known.insert(content.id.0) {
            found.push(message);
        }
    }
    found.sort_by_key(order);
    found.drain(..found.len().saturating_sub(LISTED_MAX));
    let with_summary = |message: Message| {
        let summary = mailbox::summary(node, message.folder, message.uid)?.unwrap_or_default();
        Ok((message, summary))
    };
    found.into_iter().map(with_summary).collect()
}
