//! Pages: the UIDs, flags, sizes and dates of up to [`PAGE_LEN`] messages of a folder in one row,
//! so that a walk over a folder of 100,000 messages reads some 1,600 rows.
//!
//! On disk a page is under `folder ‖ first UID`, the UID of its first message when it was begun.
//! The key stays when that message is expunged. The last page of a folder grows with each delivery;
//! a full page is packed ([`super::columns`]) and never grows again. A row under
//! `folder ‖ modseq ‖ first UID` names each page by the modseq of its latest change, so that the
//! changes since a modseq are found without a walk.

mod encoding;

use minicbor::{Decode, Encode};

use super::flags::{self, Flags};
use super::folders::{Folder, FolderId};
use super::read::Message;
use crate::clock::Timestamp;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most messages of a page. An entry takes at most 56 bytes, so that the row is under 4 KiB.
pub(super) const PAGE_LEN: usize = 64;
/// The number of pages read at a time.
const PAGES_PER_READ: usize = 100;

/// The state of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) uid: u32,
    pub(super) modseq: u64,
    /// The system flags ([`Flags::bits`]).
    pub(super) bits: u8,
    /// The keywords: bit n is the n-th keyword of the folder.
    pub(super) keywords: u64,
    pub(super) size: u64,
    pub(super) internal_date: Timestamp,
    /// The day of the Date field in the sender's zone, in days since 1970.
    pub(super) sent_day: Option<i64>,
}

/// Where the details of a page's messages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum State {
    /// In rows of their own ([`super::details`]): messages can be appended.
    #[n(0)]
    Open,
    /// In [`super::columns`].
    #[n(1)]
    Packed,
    /// Nowhere: the messages are of an earlier version, and their details are still to be read.
    #[n(2)]
    Unread,
}

/// A page of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) folder: FolderId,
    /// The UID in its key.
    pub(super) first: u32,
    /// The modseq of its latest change.
    pub(super) changed: u64,
    pub(super) state: State,
    /// In the order of UIDs.
    pub(super) entries: Vec<Entry>,
}

#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct PageRow {
    #[n(0)]
    changed: u64,
    #[n(1)]
    state: State,
    #[cbor(n(2), with = "minicbor::bytes")]
    entries: Vec<u8>,
}

impl Record for PageRow {
    const TABLE: Table = Table::new("mailbox_pages");
    const VERSION: u8 = 1;
}

/// Under `folder ‖ modseq ‖ first UID`: a page whose latest change has that modseq.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct PageChangeRow {}

impl Record for PageChangeRow {
    const TABLE: Table = Table::new("mailbox_page_changes");
    const VERSION: u8 = 1;
}

impl Page {
    /// A page without messages, to begin with UID `first`.
    pub(super) fn new(folder: FolderId, first: u32) -> Self {
        Self { folder, first, changed: 0, state: State::Open, entries: Vec::new() }
    }

    /// Whether no message can be appended.
    pub(super) fn is_closed(&self) -> bool {
        self.state != State::Open || self.entries.len() >= PAGE_LEN
    }

    /// The entry of a message.
    pub(super) fn entry(&self, uid: u32) -> Option<&Entry> {
        self.entries
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()
            .and_then(|at| self.entries.get(at))
    }

    fn of(key: &[u8], row: PageRow) -> Result<Self, StoreError> {
        let damaged =
            || StoreError::Corrupt { table: PageRow::TABLE.name().to_owned(), key: key.to_vec() };
        Ok(Self {
            folder: FolderId(u32::from_be_bytes(row::key_part(key, 0))),
            first: u32::from_be_bytes(row::key_part(key, 4)),
            changed: row.changed,
            state: row.state,
            entries: encoding::decode(&row.entries, row.changed).ok_or_else(damaged)?,
        })
    }

    /// Writes the page, whose row had `before` as the modseq of its latest change.
    pub(super) fn save(&self, tx: &mut Tx<'_>, before: Option<u64>) -> Result<(), StoreError> {
        if before != Some(self.changed) {
            if let Some(before) = before {
                row::delete::<PageChangeRow>(tx, &change_key(self.folder, before, self.first));
            }
            row::put(tx, &change_key(self.folder, self.changed, self.first), &PageChangeRow {})?;
        }
        let entries = encoding::encode(&self.entries, self.changed);
        let row = PageRow { changed: self.changed, state: self.state, entries };
        row::put(tx, &key(self.folder, self.first), &row)
    }

    /// Deletes the page, whose row had `before` as the modseq of its latest change.
    pub(super) fn delete(&self, tx: &mut Tx<'_>, before: u64) {
        row::delete::<PageChangeRow>(tx, &change_key(self.folder, before, self.first));
        row::delete::<PageRow>(tx, &key(self.folder, self.first));
    }
}

impl Entry {
    /// The message; `keywords` are its folder's.
    pub(super) fn message(&self, folder: FolderId, keywords: &[String]) -> Message {
        Message {
            folder,
            uid: self.uid,
            modseq: self.modseq,
            flags: Flags { bits: self.bits, keywords: flags::named(self.keywords, keywords) },
            internal_date: self.internal_date,
            sent_day: self.sent_day,
            size: self.size,
        }
    }

    /// Sets the flags, which the folder's row counts already.
    pub(super) fn set_flags(&mut self, folder: &Folder, flags: &Flags) {
        self.bits = flags.bits;
        self.keywords = flags::keyword_bits(folder, flags);
    }
}

fn key(folder: FolderId, first: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &first.to_be_bytes()])
}

fn change_key(folder: FolderId, modseq: u64, first: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &modseq.to_be_bytes(), &first.to_be_bytes()])
}

/// The last page at or before the key of `uid`: the only one that can hold that UID.
pub(super) fn holding(
    rows: &impl Rows,
    folder: FolderId,
    uid: u32,
) -> Result<Option<Page>, StoreError> {
    let scan = Scan::prefix(&folder.key(), 1).reversed();
    let scan = match uid.checked_add(1) {
        Some(after) => scan.after(&key(folder, after)),
        None => scan,
    };
    let found = row::scan::<PageRow>(rows, &scan)?.pop();
    found.map(|(key, row)| Page::of(&key, row)).transpose()
}

/// The last page of a folder.
pub(super) fn last(rows: &impl Rows, folder: FolderId) -> Result<Option<Page>, StoreError> {
    holding(rows, folder, u32::MAX)
}

/// Up to `limit` pages after the one that begins with UID `first`; all for `None`.
pub(super) fn after(
    rows: &impl Rows,
    folder: FolderId,
    first: Option<u32>,
    limit: usize,
) -> Result<Vec<Page>, StoreError> {
    let scan = Scan::prefix(&folder.key(), limit);
    let scan = match first {
        Some(first) => scan.after(&key(folder, first)),
        None => scan,
    };
    row::scan::<PageRow>(rows, &scan)?.into_iter().map(|(key, row)| Page::of(&key, row)).collect()
}

/// Calls `visit` with each page from the one that can hold UID `from` on, until it returns false.
pub(super) fn walk(
    rows: &impl Rows,
    folder: FolderId,
    from: u32,
    mut visit: impl FnMut(Page) -> bool,
) -> Result<(), StoreError> {
    let mut cursor = None;
    if from > 1
        && let Some(page) = holding(rows, folder, from)?
    {
        cursor = Some(page.first);
        if !visit(page) {
            return Ok(());
        }
    }
    // A short walk reads few pages, a long one many at a time.
    let mut limit = 2;
    loop {
        let pages = after(rows, folder, cursor, limit)?;
        let is_last = pages.len() < limit;
        for page in pages {
            cursor = Some(page.first);
            if !visit(page) {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
        limit = limit.saturating_mul(4).min(PAGES_PER_READ);
    }
}

/// The modseqs of the latest changes of pages, each with the first UID of its page, in order: at
/// most `limit` after `last`.
pub(super) fn changed_after(
    rows: &impl Rows,
    folder: FolderId,
    (modseq, first): (u64, u32),
    limit: usize,
) -> Result<Vec<(u64, u32)>, StoreError> {
    let scan = Scan::prefix(&folder.key(), limit).after(&change_key(folder, modseq, first));
    let found = row::scan::<PageChangeRow>(rows, &scan)?;
    Ok(found
        .iter()
        .map(|(key, _)| {
            let first = u32::from_be_bytes(row::key_part(key, 12));
            (u64::from_be_bytes(row::key_part(key, 4)), first)
        })
        .collect())
}

/// The page that begins with UID `first`.
pub(super) fn load(
    rows: &impl Rows,
    folder: FolderId,
    first: u32,
) -> Result<Option<Page>, StoreError> {
    let key = key(folder, first);
    row::get::<PageRow>(rows, &key)?.map(|row| Page::of(&key, row)).transpose()
}
