//! Runs: the words of up to 1,024 messages.
//!
//! A row under `folder ‖ first UID` has the UIDs of the messages, and where in the other rows to
//! find a word or gram. The others are under `folder ‖ id of the run ‖ number`: the words that two
//! messages or more have, as one text in compressed parts; for each of them the list of its
//! messages; the rare words ([`super::rare`]); for each gram of those the rows that have it; for
//! each gram of the headers its messages. An id is never used again. So a reader that meets a run
//! while it is replaced finds its rows or none.

mod encode;

use minicbor::{Decode, Encode};

pub(super) use self::encode::{Encoded, encode, fitting};
use super::content::{Content, Place};
use super::grams::{Buckets, Part};
use super::lists::{self, ROW_LEN};
use super::rare::RareWords;
use super::tokens::SEPARATOR;
use super::{PostingRow, bits};
use crate::mailbox::folders::FolderId;
use crate::mailbox::varint;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most messages of a run.
pub(super) const RUN_LEN_MAX: usize = 1024;
/// The most rows of a run behind the first one, so that one commit can replace it.
pub(super) const ROWS_MAX: usize = 220;
/// The most bytes of the words that several messages have: those of the most rows, decompressed.
const WORDS_LEN_MAX: usize = 8 * 1024 * 1024;
/// Rows that one commit deletes.
const DROPPED_PER_COMMIT: usize = 400;
/// The number of runs read at a time.
const RUNS_PER_READ: usize = 32;

/// The id of a run; random, so never used again.
pub(super) type RunId = [u8; 8];

/// Under `folder ‖ UID of the first message`.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(in crate::mailbox) struct RunRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    pub(super) id: RunId,
    /// The UIDs of its messages, each as the difference from the one before.
    #[cbor(n(1), with = "minicbor::bytes")]
    uids: Vec<u8>,
    /// The places of messages with more words than it has, as a list.
    #[cbor(n(2), with = "minicbor::bytes")]
    incomplete: Vec<u8>,
    /// The number of rows with the text of words.
    #[n(3)]
    texts: u16,
    /// The number of the first word of each row of lists, as the difference from the one before.
    #[cbor(n(4), with = "minicbor::bytes")]
    words: Vec<u8>,
    /// The number of rows of rare words.
    #[n(5)]
    rare: u16,
    /// The first bucket of each row of their grams, as `words`.
    #[cbor(n(6), with = "minicbor::bytes")]
    grams: Vec<u8>,
    /// The same for the headers.
    #[cbor(n(7), with = "minicbor::bytes")]
    headers: Vec<u8>,
}

impl Record for RunRow {
    const TABLE: Table = Table::new("mailbox_word_runs");
    const VERSION: u8 = 1;
}

/// Under `folder ‖ id`: a run that was replaced, whose other rows are still to be deleted.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(in crate::mailbox) struct DroppedRow {}

impl Record for DroppedRow {
    const TABLE: Table = Table::new("mailbox_word_dropped");
    const VERSION: u8 = 1;
}

/// A run in memory, without its words.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) row: RunRow,
    pub(super) folder: FolderId,
    /// Ascending.
    pub(super) uids: Vec<u32>,
    words: Vec<u32>,
    grams: Vec<u32>,
    headers: Vec<u32>,
}

/// The rows of lists of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lists {
    /// For each word its messages.
    Words,
    /// For each gram of rare words the rows of rare words.
    Grams,
    /// For each gram of the headers its messages.
    Headers,
}

fn take_ascending(mut bytes: &[u8]) -> Option<Vec<u32>> {
    let (mut numbers, mut before) = (Vec::new(), 0u32);
    while !bytes.is_empty() {
        before = before.checked_add(u32::try_from(varint::take(&mut bytes)?).ok()?)?;
        numbers.push(before);
    }
    Some(numbers)
}

fn posting_key(folder: FolderId, id: RunId, number: u16) -> Vec<u8> {
    row::key(&[&folder.key(), &id, &number.to_be_bytes()])
}

fn key(folder: FolderId, first: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &first.to_be_bytes()])
}

impl Run {
    fn of(folder: FolderId, key: &[u8], row: RunRow) -> Result<Self, StoreError> {
        let parts = || {
            let uids = take_ascending(&row.uids).filter(|uids| !uids.is_empty())?;
            let words = take_ascending(&row.words)?;
            Some((uids, words, take_ascending(&row.grams)?, take_ascending(&row.headers)?))
        };
        match parts() {
            Some((uids, words, grams, headers)) => {
                Ok(Self { row, folder, uids, words, grams, headers })
            }
            None => Err(StoreError::Corrupt {
                table: RunRow::TABLE.name().to_owned(),
                key: key.to_vec(),
            }),
        }
    }

    fn first(&self) -> u32 {
        self.uids.first().copied().unwrap_or(0)
    }

    /// The number of its rows behind the first.
    pub(super) fn rows(&self) -> usize {
        usize::from(self.start_of(Lists::Headers)) + self.headers.len()
    }

    fn firsts(&self, lists: Lists) -> &[u32] {
        match lists {
            Lists::Words => &self.words,
            Lists::Grams => &self.grams,
            Lists::Headers => &self.headers,
        }
    }

    /// The number of the first row of lists.
    fn start_of(&self, lists: Lists) -> u16 {
        let rows = |lists| u16::try_from(self.firsts(lists).len()).unwrap_or(u16::MAX);
        match lists {
            Lists::Words => self.row.texts,
            Lists::Grams => self.start_of_rare().saturating_add(self.row.rare),
            Lists::Headers => self.start_of(Lists::Grams).saturating_add(rows(Lists::Grams)),
        }
    }

    fn start_of_rare(&self) -> u16 {
        let words = u16::try_from(self.words.len()).unwrap_or(u16::MAX);
        self.row.texts.saturating_add(words)
    }

    /// The places of messages with more words than it has.
    pub(super) fn incomplete(&self) -> impl Iterator<Item = u32> {
        bits::decode(&self.row.incomplete)
    }

    /// The number of its rows of rare words.
    pub(super) fn rare_rows(&self) -> u16 {
        self.row.rare
    }

    /// The number of the row with a list, and the number of its first list; `None` if there is no
    /// such list.
    pub(super) fn row_with(&self, lists: Lists, number: u32) -> Option<(u16, u32)> {
        let firsts = self.firsts(lists);
        let at = firsts.partition_point(|first| *first <= number).checked_sub(1)?;
        let row = self.start_of(lists).checked_add(u16::try_from(at).ok()?)?;
        Some((row, *firsts.get(at)?))
    }

    /// A row; `None` if the run was replaced meanwhile.
    pub(super) fn posting(
        &self,
        rows: &impl Rows,
        number: u16,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = row::get::<PostingRow>(rows, &posting_key(self.folder, self.row.id, number))?;
        Ok(row.map(|row| row.0))
    }

    fn damaged(&self, number: u16) -> StoreError {
        let key = posting_key(self.folder, self.row.id, number);
        StoreError::Corrupt { table: PostingRow::TABLE.name().to_owned(), key }
    }

    /// The words that several messages have, with a separator around each.
    pub(super) fn text(&self, rows: &impl Rows) -> Result<Option<String>, StoreError> {
        let mut packed = Vec::with_capacity(usize::from(self.row.texts) * ROW_LEN);
        for number in 0..self.row.texts {
            let Some(row) = self.posting(rows, number)? else { return Ok(None) };
            packed.extend_from_slice(&row);
        }
        let unpack = || {
            let (len, packed) = lz4_flex::block::uncompressed_size(&packed).ok()?;
            let is_allowed = len <= WORDS_LEN_MAX + 1024;
            let bytes = lz4_flex::block::decompress(packed, is_allowed.then_some(len)?).ok()?;
            String::from_utf8(bytes).ok().filter(|text| text.len() == len)
        };
        unpack().map(Some).ok_or_else(|| self.damaged(0))
    }

    /// A row of rare words.
    pub(super) fn rare(
        &self,
        rows: &impl Rows,
        number: u16,
    ) -> Result<Option<RareWords>, StoreError> {
        let number = self.start_of_rare().saturating_add(number);
        let Some(row) = self.posting(rows, number)? else { return Ok(None) };
        RareWords::decode(&row).map(Some).ok_or_else(|| self.damaged(number))
    }

    /// The words of its messages; `None` if it was replaced meanwhile.
    pub(super) fn load(&self, rows: &impl Rows) -> Result<Option<Content>, StoreError> {
        let Some(text) = self.text(rows)? else { return Ok(None) };
        let mut content = Content {
            uids: self.uids.clone(),
            headers: vec![Buckets::new(Part::Header); self.uids.len()],
            incomplete: self.incomplete().filter_map(|place| Place::try_from(place).ok()).collect(),
            ..Content::default()
        };
        let words: Vec<&str> = text.split(SEPARATOR).filter(|word| !word.is_empty()).collect();
        let is_read = self.each_list(rows, Lists::Words, |number, list| {
            if let Some(word) = words.get(number as usize) {
                let places = bits::decode(list).filter_map(|place| Place::try_from(place).ok());
                content.words.insert(Box::from(*word), places.collect());
            }
        })?;
        let is_read = is_read
            && self.each_list(rows, Lists::Headers, |bucket, list| {
                for place in bits::decode(list) {
                    if let Some(header) = content.headers.get_mut(place as usize) {
                        header.insert(bucket);
                    }
                }
            })?;
        for number in 0..self.rare_rows() {
            let Some(rare) = self.rare(rows, number)? else { return Ok(None) };
            rare.each(|place, word| {
                content.words.insert(Box::from(word), vec![place]);
            });
        }
        Ok(is_read.then_some(content))
    }

    /// Calls `visit` with each list; false if the run was replaced meanwhile.
    fn each_list(
        &self,
        rows: &impl Rows,
        lists: Lists,
        mut visit: impl FnMut(u32, &[u8]),
    ) -> Result<bool, StoreError> {
        for (number, first) in (self.start_of(lists)..).zip(self.firsts(lists)) {
            let Some(row) = self.posting(rows, number)? else { return Ok(false) };
            lists::each_list(*first, &row, |number, list| {
                visit(number, list);
                true
            });
        }
        Ok(true)
    }

    /// Deletes the run within a commit; false if it was replaced. Its other rows are deleted later.
    pub(super) fn drop_in(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        let key = key(self.folder, self.first());
        let is_there = row::get::<RunRow>(tx, &key)?.is_some_and(|row| row.id == self.row.id);
        if is_there {
            row::delete::<RunRow>(tx, &key);
            row::put(tx, &row::key(&[&self.folder.key(), &self.row.id]), &DroppedRow {})?;
        }
        Ok(is_there)
    }
}

/// Calls `visit` with each run of a folder, in order, until it returns false.
pub(super) fn each(
    rows: &impl Rows,
    folder: FolderId,
    mut visit: impl FnMut(Run) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut scan = Scan::prefix(&folder.key(), RUNS_PER_READ);
    loop {
        let found = row::scan::<RunRow>(rows, &scan)?;
        let is_last = found.len() < RUNS_PER_READ;
        for (key, row) in found {
            if !visit(Run::of(folder, &key, row)?)? {
                return Ok(());
            }
            scan.after = Some(key);
        }
        if is_last {
            return Ok(());
        }
    }
}

/// All runs of a folder.
pub(super) fn all(rows: &impl Rows, folder: FolderId) -> Result<Vec<Run>, StoreError> {
    let mut runs = Vec::new();
    each(rows, folder, |run| {
        runs.push(run);
        Ok(true)
    })?;
    Ok(runs)
}

/// Deletes some rows of a run that was replaced, whose [`DroppedRow`] is under `dropped`.
pub(super) fn delete_dropped(tx: &mut Tx<'_>, dropped: &[u8]) -> Result<(), StoreError> {
    tx.mark_essential();
    let found = tx.scan(PostingRow::TABLE, &Scan::prefix(dropped, DROPPED_PER_COMMIT))?;
    for (key, _) in &found {
        row::delete::<PostingRow>(tx, key);
    }
    if found.len() < DROPPED_PER_COMMIT {
        row::delete::<DroppedRow>(tx, dropped);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
