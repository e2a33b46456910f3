//! The selected folder as one session sees it: the sequence number of each message, and the changes
//! that the client has not been sent yet.
//!
//! A sequence number changes only when the client is sent an EXPUNGE. An expunged message keeps its
//! number until EXPUNGE may be sent, which is never at the end of a command that uses sequence
//! numbers (RFC 3501 5.5 and 7.4.1).

use std::collections::{BTreeSet, HashMap};
use std::ops::{Range, RangeInclusive};

use freehold_core::mailbox::{self, Folder, FolderId};
use freehold_core::store::StoreError;

use super::context::Context;
use super::cursor::SyntaxError;
use super::sequence::{Numbering, Set};
use super::vanished;
pub(crate) use report::{Arrived, Wanted};

mod report;

/// The command that opened the folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// SELECT.
    Write,
    /// EXAMINE.
    Read,
}

/// The permission to send EXPUNGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Sequence numbers may change.
    MayChange,
    /// Sequence numbers must stay: the command that ends used them.
    MustStay,
}

impl Numbers {
    /// Commands that use sequence numbers must leave them as they are (RFC 3501 7.4.1); their UID
    /// forms need not.
    pub(crate) fn after(numbering: Numbering) -> Self {
        match numbering {
            Numbering::Sequence => Self::MustStay,
            Numbering::Uid => Self::MayChange,
        }
    }
}

/// A message that the client named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MessageRef {
    pub(crate) number: u32,
    pub(crate) uid: u32,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Selected {
    pub(crate) folder: FolderId,
    pub(crate) access: Access,
    /// Ascending; the message at index 0 has sequence number 1.
    uids: Vec<u32>,
    /// Changes up to this modification sequence were reported or are in `expunged`.
    modseq: u64,
    /// Expunged messages that still have a sequence number.
    expunged: BTreeSet<u32>,
    /// By UID, the modification sequence up to which this session's own commands have reported the
    /// flags.
    reported: HashMap<u32, u64>,
    keywords: Vec<String>,
    recent: Recent,
    /// The UIDs that the last SEARCH with SAVE found, ascending (`$`, RFC 5182 2.1). UIDs are never
    /// reused, so expunged ones may stay: they have no sequence number.
    saved: Vec<u32>,
}

/// The UIDs that are \Recent in this session, and their number as last reported.
#[derive(Debug, Default)]
struct Recent {
    /// Ascending and disjoint.
    ranges: Vec<Range<u32>>,
    reported: u32,
}

impl Recent {
    fn add(&mut self, uids: Range<u32>) {
        match self.ranges.last_mut() {
            _ if uids.is_empty() => {}
            Some(last) if uids.start <= last.end => last.end = last.end.max(uids.end),
            _ => self.ranges.push(uids),
        }
    }

    fn contains(&self, uid: u32) -> bool {
        let at = self.ranges.partition_point(|range| range.end <= uid);
        self.ranges.get(at).is_some_and(|range| range.contains(&uid))
    }
}

/// A folder just opened, and the sequence number of its first message without \Seen.
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
        let mut recent = Recent::default();
        recent.add(claim_recent(cx, folder, access).await);
        let mailbox::View { mut uids, first_unseen } = mailbox::view(&cx.node, folder.id)?;
        // A message that came after the folder's row was read is new in the next report. The walk
        // may have found it and missed one that came just before.
        uids.truncate(uids.partition_point(|uid| *uid < folder.uid_next));
        uids.shrink_to_fit();
        let mut selected = Self {
            folder: folder.id,
            access,
            uids,
            // The folder's row was read before the UIDs: a change made in between is reported at
            // the next opportunity, at worst twice.
            modseq: folder.highest_modseq,
            expunged: BTreeSet::new(),
            reported: HashMap::new(),
            keywords: folder.keywords.clone(),
            recent,
            saved: Vec::new(),
        };
        selected.recent.reported = selected.recent_len();
        let first_unseen = first_unseen.and_then(|uid| selected.number_of(uid));
        Ok(Opened { selected, first_unseen })
    }

    /// The number of sequence numbers.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.uids.len()).unwrap_or(u32::MAX)
    }

    /// The largest UID, zero in an empty folder.
    pub(crate) fn largest_uid(&self) -> u32 {
        self.uids.last().copied().unwrap_or(0)
    }

    /// The modseq up to which the client knows the folder, as a response code.
    pub(crate) fn report_modseq(&self, cx: &mut Context) {
        cx.out.line(format!("* OK [HIGHESTMODSEQ {}] highest modification sequence", self.modseq));
    }

    /// The number of messages that are \Recent in this session.
    pub(crate) fn recent_len(&self) -> u32 {
        let index = |uid: u32| self.uids.partition_point(|known| *known < uid);
        let len = |range: &Range<u32>| index(range.end).saturating_sub(index(range.start));
        u32::try_from(self.recent.ranges.iter().map(len).sum::<usize>()).unwrap_or(u32::MAX)
    }

    /// True if a message is \Recent in this session (RFC 3501 2.3.2).
    pub(crate) fn is_recent(&self, uid: u32) -> bool {
        self.recent.contains(uid)
    }

    /// The messages in a set, in order. A UID without a message is skipped; a sequence number
    /// without a message is an error.
    pub(crate) fn resolve(&self, set: &Set, by: Numbering) -> Result<Vec<MessageRef>, SyntaxError> {
        let mut messages = Vec::new();
        let largest = match by {
            Numbering::Sequence => self.len(),
            Numbering::Uid => self.largest_uid(),
        };
        for (from, to) in set.ranges(largest) {
            let (start, end) = match by {
                Numbering::Sequence if to > largest => {
                    return Err(SyntaxError("no message has that sequence number"));
                }
                Numbering::Sequence => (from as usize - 1, to as usize),
                Numbering::Uid => (
                    self.uids.partition_point(|uid| *uid < from),
                    self.uids.partition_point(|uid| *uid <= to),
                ),
            };
            let uids = self.uids.get(start..end).unwrap_or_default();
            messages.extend(
                (start..end)
                    .zip(uids)
                    .map(|(index, uid)| MessageRef { number: number(index), uid: *uid }),
            );
        }
        if set.has_saved {
            messages.extend(self.saved());
            messages.sort_unstable_by_key(|message| message.number);
            messages.dedup();
        }
        Ok(messages)
    }

    /// The messages of `$` that still have a sequence number, in order.
    pub(crate) fn saved(&self) -> impl Iterator<Item = MessageRef> {
        let message = |uid: &u32| Some(MessageRef { number: self.number_of(*uid)?, uid: *uid });
        self.saved.iter().filter_map(message)
    }

    /// Makes `$` stand for these messages.
    pub(crate) fn save(&mut self, numbers: &[u32], by: Numbering) {
        let index = |number: u32| (number as usize).checked_sub(1);
        let uid_of = |number: &u32| match by {
            Numbering::Uid => Some(*number),
            Numbering::Sequence => self.uids.get(index(*number)?).copied(),
        };
        let mut uids: Vec<u32> = numbers.iter().filter_map(uid_of).collect();
        uids.sort_unstable();
        uids.dedup();
        self.saved = uids;
    }

    /// Empties `$`.
    pub(crate) fn forget_saved(&mut self) {
        self.saved = Vec::new();
    }

    /// The UIDs in a set, as [`Selected::resolve`].
    pub(crate) fn uids(&self, set: &Set, by: Numbering) -> Result<Vec<u32>, SyntaxError> {
        Ok(self.resolve(set, by)?.iter().map(|message| message.uid).collect())
    }

    /// Every message.
    pub(crate) fn all(&self) -> Vec<MessageRef> {
        self.uids
            .iter()
            .enumerate()
            .map(|(index, uid)| MessageRef { number: number(index), uid: *uid })
            .collect()
    }

    /// The sequence number of a message.
    pub(crate) fn number_of(&self, uid: u32) -> Option<u32> {
        self.uids.binary_search(&uid).ok().map(number)
    }

    /// Adds the ranges of UIDs that no message with a sequence number has.
    pub(crate) fn gaps(&self, range: RangeInclusive<u32>, out: &mut Vec<(u32, u32)>) {
        vanished::gaps(&self.uids, range, out);
    }

    /// The modseq up to which the client has been sent all changes.
    pub(crate) fn modseq(&self) -> u64 {
        self.modseq
    }

    /// Notes that the client has been sent this change, so that it is not reported again.
    pub(crate) fn mark_reported(&mut self, uid: u32, modseq: u64) {
        self.reported.insert(uid, modseq);
    }

    /// True when there is nothing to report: one row is read.
    pub(crate) fn is_current(&self, cx: &Context) -> Result<bool, StoreError> {
        let folder = mailbox::folder(&cx.node, self.folder)?;
        let unchanged = folder.is_some_and(|folder| folder.highest_modseq <= self.modseq);
        Ok(unchanged && self.expunged.is_empty() && self.reported.is_empty())
    }
}

/// The UIDs that were reported to no session until now. EXAMINE leaves them for the next session
/// (RFC 3501 6.3.2). If they can't be claimed, they may be recent in two sessions, as RFC 3501
/// 2.3.2 advises.
async fn claim_recent(cx: &Context, folder: &Folder, access: Access) -> Range<u32> {
    let recent = folder.recent_uids();
    if recent.is_empty() || access == Access::Read {
        return recent;
    }
    mailbox::claim_recent(&cx.node, folder.id).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "imap: recent messages could not be marked");
        recent
    })
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)
}
