//! Adding messages to a folder: UIDs, modseq, counts, pages, details.

use super::columns;
use super::deliver::{DeliverError, DeliveredRow};
use super::details::Details;
use super::folders::{Folder, FolderId, load, save};
use super::page::{self, Entry, PAGE_LEN, Page};
use super::read::{Message, MessageRow, key};
use super::{Flags, change, flags, recent, thread_members};
use crate::clock::Timestamp;
use crate::row;
use crate::store::{StoreError, Tx};

/// A message that is added to a folder.
pub(super) struct NewMessage {
    pub(super) flags: Flags,
    pub(super) internal_date: Timestamp,
    pub(super) sent_day: Option<i64>,
    pub(super) size: u64,
    pub(super) row: MessageRow,
    pub(super) details: Details,
}

/// Adds messages to a folder within one commit. They share a modseq.
pub(super) struct Appender {
    folder: Folder,
    /// The page to which the next message is added.
    page: Page,
    /// The modseq of the latest change of that page's row, if it has one.
    before: Option<u64>,
    modseq: u64,
    /// Details of messages of that page that are not written yet.
    details: Vec<(u32, Details)>,
}

impl Appender {
    /// Reads the end of a folder.
    pub(super) fn open(tx: &Tx<'_>, id: FolderId) -> Result<Self, DeliverError> {
        let folder = load(tx, id)?.ok_or(DeliverError::NoSuchFolder)?;
        let last = page::last(tx, id)?.filter(|page| !page.is_closed());
        let before = last.as_ref().map(|page| page.changed);
        let page = last.unwrap_or_else(|| Page::new(id, folder.uid_next));
        let modseq = folder.highest_modseq.saturating_add(1);
        Ok(Self { folder, page, before, modseq, details: Vec::new() })
    }

    /// Adds a message with the next UID.
    pub(super) fn push(
        &mut self,
        tx: &mut Tx<'_>,
        new: NewMessage,
    ) -> Result<Message, DeliverError> {
        let folder = &mut self.folder;
        let uid = folder.uid_next;
        folder.uid_next = uid.checked_add(1).ok_or(DeliverError::FolderFull)?;
        folder.total = folder.total.saturating_add(1);
        folder.size = folder.size.saturating_add(new.size);
        recent::add(folder, uid);
        flags::add(folder, &new.flags)?;
        let mut entry = Entry {
            uid,
            modseq: self.modseq,
            bits: 0,
            keywords: 0,
            size: new.size,
            internal_date: new.internal_date,
            sent_day: new.sent_day,
        };
        entry.set_flags(folder, &new.flags);
        row::put_referring(tx, &key(folder.id, uid), &new.row, &[new.row.blob])?;
        thread_members::add(tx, folder.id, uid, &new.row)?;
        if let Some(idempotency) = new.row.delivery {
            let delivered = DeliveredRow { folder: folder.id, uid, expunged: None };
            row::put(tx, &idempotency.0, &delivered)?;
        }
        let message = entry.message(folder.id, &folder.keywords);
        self.page.entries.push(entry);
        self.page.changed = self.modseq;
        self.details.push((uid, new.details));
        if self.page.entries.len() >= PAGE_LEN {
            columns::pack(tx, &mut self.page, std::mem::take(&mut self.details))?;
            self.page.save(tx, self.before.take())?;
            self.page = Page::new(self.folder.id, self.folder.uid_next);
        }
        Ok(message)
    }

    /// `flags` without the keywords that the folder's messages can't get.
    pub(super) fn fitting(&self, flags: &Flags) -> Flags {
        flags::fitting(&self.folder, flags)
    }

    /// As [`Appender::finish`], and no message of the folder is \Recent any more.
    pub(super) fn finish_reported(mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        recent::claim(&mut self.folder);
        self.finish(tx)
    }

    /// Writes what is not written yet.
    pub(super) fn finish(mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        for (uid, details) in &self.details {
            details.save(tx, self.folder.id, *uid)?;
        }
        if self.page.changed == self.modseq {
            self.page.save(tx, self.before)?;
        }
        self.folder.highest_modseq = self.modseq;
        change::forget_expunge(tx, &mut self.folder)?;
        save(tx, &self.folder)
    }
}
