//! A folder as one session sees it: which message has which sequence number, and what the client
//! has not been told yet.
//!
//! Numbers change only when the client is told so. Messages that are gone keep their number until
//! an EXPUNGE may be sent, which is never in the middle of a command that uses numbers (RFC 3501
//! 5.5 and 7.4.1).

use std::collections::{BTreeSet, HashMap};

use freehold_core::mailbox::{self, Flags, Folder, FolderId, Message};
use freehold_core::store::StoreError;

use super::command::By;
use super::command::select::Access;
use super::context::Context;
use super::cursor::Bad;
use super::flags;
use super::sequence::Set;

/// Rows read at once while a folder is opened.
const PAGE: usize = 1_000;

/// Whether EXPUNGE may be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Numbers may change.
    MayChange,
    /// They must stay: the command that ends used them.
    MustStay,
}

/// A message the client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) number: u32,
    pub(crate) uid: u32,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    pub(crate) access: Access,
    /// Ascending; the message at index 0 has number 1.
    uids: Vec<u32>,
    /// What changed up to here was told or is kept below.
    modseq: u64,
    /// Gone, but the client still counts them.
    gone: BTreeSet<u32>,
    /// Changes this session was told about as the answer to its own command, by UID.
    told: HashMap<u32, u64>,
    keywords: Vec<String>,
}

/// A folder just opened, and the number of its first message without \Seen.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) selected: Selected,
    pub(crate) first_unseen: Option<u32>,
}

impl Selected {
    /// Opens a folder.
    pub(crate) async fn open(
        cx: &Context,
        folder: &Folder,
        access: Access,
    ) -> Result<Opened, StoreError> {
        // Before the UIDs: a message that comes in between has no number yet, and is not the
        // oldest.
        let unseen = mailbox::first_unseen(&cx.node, folder.id)?;
        let mut uids = Vec::new();
        let mut from = 1;
        loop {
            let page = mailbox::uids(&cx.node, folder.id, from, PAGE)?;
            uids.extend_from_slice(&page);
            match page.last() {
                Some(last) if page.len() == PAGE => from = last.saturating_add(1),
                _ => break,
            }
            tokio::task::yield_now().await;
        }
        uids.shrink_to_fit();
        let selected = Self {
            folder: folder.id,
            access,
            uids,
            // The row was read before the messages: what came in between is told at the next
            // occasion, at worst twice.
            modseq: folder.highest_modseq,
            gone: BTreeSet::new(),
            told: HashMap::new(),
            keywords: folder.keywords.clone(),
        };
        let first_unseen = unseen.and_then(|uid| selected.number_of(uid));
        Ok(Opened { selected, first_unseen })
    }

    /// How many messages the client counts.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The largest UID, zero in an empty folder.
    pub(crate) fn largest_uid(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }

    /// The messages a set means, in order. A UID that is not there is passed over; a number that is
    /// not there is an error.
    pub(crate) fn named(&self, set: &Set, by: By) -> Result<Vec<Named>, Bad> {
        let mut named = Vec::new();
        let largest = match by {
            By::Number => self.len(),
            By::Uid => self.largest_uid(),
        };
        for (from, to) in set.ranges(largest) {
            let (start, end) = match by {
                By::Number if to > largest => {
                    return Err(Bad("there is no message of that number"));
                }
                By::Number => (from as usize - 1, to as usize),
                By::Uid => (
                    self.uids.partition_point(|uid| *uid < from),
                    self.uids.partition_point(|uid| *uid <= to),
                ),
            };
            let uids = self.uids.get(start..end).unwrap_or_default();
            named.extend(
                (start..end).zip(uids).map(|(at, uid)| Named { number: number(at), uid: *uid }),
            );
        }
        Ok(named)
    }

    /// Every message.
    pub(crate) fn all(&self) -> Vec<Named> {
        self.uids
            .iter()
            .enumerate()
            .map(|(at, uid)| Named { number: number(at), uid: *uid })
            .collect()
    }

    /// The number of a message.
    pub(crate) fn number_of(&self, uid: u32) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(number)
    }

    /// Remembers that the client knows of a change, so that it is not told again.
    pub(crate) fn told(&mut self, uid: u32, modseq: u64) {
        self.told.insert(uid, modseq);
    }

    /// Tells the client what changed since it was last told (RFC 3501 7.3 and 7.4.1).
    pub(crate) fn tell(&mut self, cx: &mut Context, numbers: Numbers) -> Result<(), StoreError> {
        let mut changed: Vec<Message> = Vec::new();
        match mailbox::folder(&cx.node, self.folder)? {
            Some(folder) if folder.highest_modseq > self.modseq => {
                let changes = mailbox::changes_since(&cx.node, self.folder, self.modseq)?;
                self.modseq = changes
                    .changed
                    .iter()
                    .map(|message| message.modseq)
                    .fold(folder.highest_modseq, u64::max);
                self.gone.extend(
                    changes.vanished.into_iter().filter(|uid| self.uids.binary_search(uid).is_ok()),
                );
                if changes.is_incomplete {
                    self.gone.extend(self.missing(cx)?);
                }
                changed = changes.changed;
                if folder.keywords != self.keywords {
                    cx.out.raw("* FLAGS ");
                    flags::print_known(&mut cx.out, &folder.keywords, false);
                    cx.out.end();
                    self.keywords = folder.keywords;
                }
            }
            Some(_) => {}
            // Deleted by another session: all its messages are gone.
            None => self.gone.extend(self.uids.iter().copied()),
        }
        if numbers == Numbers::MayChange {
            self.tell_gone(cx);
        }
        let mut arrived: Vec<u32> = changed
            .iter()
            .map(|message| message.uid)
            .filter(|uid| self.uids.binary_search(uid).is_err())
            .collect();
        arrived.sort_unstable();
        arrived.dedup();
        let is_new = |uid: u32| arrived.binary_search(&uid).is_ok();
        if !arrived.is_empty() {
            // UIDs only rise (RFC 3501 2.3.1.1): what is new comes last.
            self.uids.extend(arrived.iter().copied().filter(|uid| !self.gone.contains(uid)));
            cx.out.line(format!("* {} EXISTS", self.uids.len()));
        }
        for message in &changed {
            let known =
                self.told.remove(&message.uid).is_some_and(|modseq| modseq >= message.modseq);
            if !known && !is_new(message.uid) {
                self.tell_flags(cx, message.uid, message.modseq, &message.flags);
            }
        }
        self.told.clear();
        Ok(())
    }

    /// The UIDs the client counts that are not there any more.
    fn missing(&self, cx: &Context) -> Result<BTreeSet<u32>, StoreError> {
        let mut missing: BTreeSet<u32> = self.uids.iter().copied().collect();
        let mut from = 1;
        loop {
            let page = mailbox::uids(&cx.node, self.folder, from, PAGE)?;
            for uid in &page {
                missing.remove(uid);
            }
            match page.last() {
                Some(last) if page.len() == PAGE => from = last.saturating_add(1),
                _ => return Ok(missing),
            }
        }
    }

    fn tell_gone(&mut self, cx: &mut Context) {
        // From the last down, so that no number moves before it is said.
        for uid in std::mem::take(&mut self.gone).into_iter().rev() {
            if let Ok(at) = self.uids.binary_search(&uid) {
                cx.out.line(format!("* {} EXPUNGE", number(at)));
                self.uids.remove(at);
            }
        }
    }

    /// One message's flags as an untagged FETCH.
    pub(crate) fn tell_flags(&self, cx: &mut Context, uid: u32, modseq: u64, set: &Flags) {
        let Some(number) = self.number_of(uid) else { return };
        cx.out.show(format_args!("* {number} FETCH (UID {uid} FLAGS "));
        flags::print(&mut cx.out, set);
        if cx.condstore {
            cx.out.show(format_args!(" MODSEQ ({modseq})"));
        }
        cx.out.line(")");
    }
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX).saturating_add(1)
}
