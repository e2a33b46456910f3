//! Runs: the signatures of many messages, turned over: for each bucket the messages that have it.
//!
//! A row under `folder ‖ first UID` has the UIDs of the messages and the first bucket of each of
//! the rows with the postings, which are under `folder ‖ id of the run ‖ number`. An id is never
//! used again. So a reader that meets a run while it is replaced finds its rows or none.
//!
//! In a row of postings each bucket has the difference from the bucket before it, the length of its
//! list and the list: the places of messages in the run ([`super::bits`]). The rows behind them
//! have the frequent words ([`super::words`]).

use minicbor::{Decode, Encode};

use super::grams::{BUCKETS, Signature};
use super::words::{self, Word};
use super::{PostingRow, bits};
use crate::mailbox::folders::FolderId;
use crate::mailbox::varint;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most messages of a run.
pub(super) const RUN_LEN_MAX: usize = 1024;
/// The most rows of postings of a run, so that one commit can replace it.
pub(super) const ROWS_MAX: usize = 190;
/// The bytes of postings in one row.
const ROW_LEN: usize = 4000;
/// The most bytes of the UIDs of a run: they share a row with the first buckets.
const UIDS_LEN_MAX: usize = 3000;
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
    /// The first bucket of each row of postings, as the difference from the one before.
    #[cbor(n(2), with = "minicbor::bytes")]
    firsts: Vec<u8>,
    /// The same for the rows of words.
    #[cbor(n(3), with = "minicbor::bytes")]
    first_words: Vec<u8>,
}

impl Record for RunRow {
    const TABLE: Table = Table::new("mailbox_text_runs");
    const VERSION: u8 = 1;
}

/// Under `folder ‖ id`: a run that was replaced, whose postings are still to be deleted.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(in crate::mailbox) struct DroppedRow {}

impl Record for DroppedRow {
    const TABLE: Table = Table::new("mailbox_text_dropped");
    const VERSION: u8 = 1;
}

/// A message as the index knows it.
pub(super) struct Signed {
    pub(super) uid: u32,
    pub(super) signature: Signature,
    /// Some of its words.
    pub(super) words: Vec<Word>,
}

/// A run in memory, without its postings.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) row: RunRow,
    /// Ascending.
    pub(super) uids: Vec<u32>,
    /// The first bucket of each row of postings.
    firsts: Vec<u32>,
    /// The first bits of the first word of each row of words.
    first_words: Vec<u32>,
}

/// A run to be written.
pub(super) struct Encoded {
    pub(super) uids: Vec<u32>,
    rows: Vec<(u32, Vec<u8>)>,
    words: Vec<(u32, Vec<u8>)>,
}

fn put_ascending(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), 0u32);
    for number in numbers {
        varint::put(&mut out, u64::from(number.wrapping_sub(before)));
        before = number;
    }
    out
}

fn take_ascending(mut bytes: &[u8]) -> Option<Vec<u32>> {
    let (mut numbers, mut before) = (Vec::new(), 0u32);
    while !bytes.is_empty() {
        before = before.checked_add(u32::try_from(varint::take(&mut bytes)?).ok()?)?;
        numbers.push(before);
    }
    Some(numbers)
}

/// How many of `uids`, which ascend, fit into one run.
pub(super) fn fitting(uids: impl Iterator<Item = u32>) -> usize {
    let (mut count, mut len, mut before) = (0usize, 0usize, 0u32);
    for uid in uids.take(RUN_LEN_MAX) {
        let bits = 32 - uid.wrapping_sub(before).leading_zeros();
        len += bits.div_ceil(7).max(1) as usize;
        if len > UIDS_LEN_MAX {
            break;
        }
        (count, before) = (count + 1, uid);
    }
    count
}

/// Turns over the signatures of messages, which are in order and [`fitting`]; `None` if they take
/// more than [`ROWS_MAX`] rows.
pub(super) fn encode(messages: &[Signed]) -> Option<Encoded> {
    let universe = u32::try_from(messages.len()).ok()?;
    let mut rows: Vec<(u32, Vec<u8>)> = Vec::new();
    let (mut lists, mut before) = (vec![Vec::<u32>::new(); 64], 0u32);
    let mut entry = Vec::new();
    for word in 0..BUCKETS as usize / 64 {
        for (place, message) in (0u32..).zip(messages) {
            let mut bits = message.signature.words().get(word).copied().unwrap_or(0);
            while bits != 0 {
                if let Some(list) = lists.get_mut(bits.trailing_zeros() as usize) {
                    list.push(place);
                }
                bits &= bits - 1;
            }
        }
        for (bucket, list) in (word as u32 * 64..).zip(&mut lists) {
            if list.is_empty() {
                continue;
            }
            entry.clear();
            bits::encode(&mut entry, list, universe);
            list.clear();
            // Room for the two numbers before the list.
            if rows.last().is_none_or(|(_, row)| row.len() + entry.len() + 6 > ROW_LEN) {
                if rows.len() >= ROWS_MAX {
                    return None;
                }
                rows.push((bucket, Vec::with_capacity(ROW_LEN)));
                before = bucket;
            }
            let Some((_, row)) = rows.last_mut() else { continue };
            varint::put(row, u64::from(bucket - before));
            varint::put(row, entry.len() as u64);
            row.extend_from_slice(&entry);
            before = bucket;
        }
    }
    let uids = messages.iter().map(|message| message.uid).collect();
    Some(Encoded { uids, rows, words: words::encode(messages) })
}

/// Calls `visit` with each bucket of a row of postings that begins with bucket `first`, and its
/// list, until it returns false.
fn each_list<'a>(first: u32, mut row: &'a [u8], mut visit: impl FnMut(u32, &'a [u8]) -> bool) {
    let mut bucket = first;
    while !row.is_empty() {
        let mut number = || u32::try_from(varint::take(&mut row)?).ok();
        let (Some(gap), Some(len)) = (number(), number()) else { return };
        let Some((list, rest)) = row.split_at_checked(len as usize) else { return };
        (bucket, row) = (bucket.saturating_add(gap), rest);
        if !visit(bucket, list) {
            return;
        }
    }
}

/// The list of one bucket in a row of postings.
pub(super) fn list_in(first: u32, row: &[u8], wanted: u32) -> Option<&[u8]> {
    let mut found = None;
    each_list(first, row, |bucket, list| {
        if bucket == wanted {
            found = Some(list);
        }
        bucket < wanted
    });
    found
}

fn posting_key(folder: FolderId, id: RunId, number: u16) -> Vec<u8> {
    row::key(&[&folder.key(), &id, &number.to_be_bytes()])
}

fn key(folder: FolderId, first: u32) -> Vec<u8> {
    row::key(&[&folder.key(), &first.to_be_bytes()])
}

impl Run {
    fn of(key: &[u8], row: RunRow) -> Result<Self, StoreError> {
        let uids = take_ascending(&row.uids).filter(|uids| !uids.is_empty());
        match (uids, take_ascending(&row.firsts), take_ascending(&row.first_words)) {
            (Some(uids), Some(firsts), Some(first_words)) => {
                Ok(Self { row, uids, firsts, first_words })
            }
            _ => Err(StoreError::Corrupt {
                table: RunRow::TABLE.name().to_owned(),
                key: key.to_vec(),
            }),
        }
    }

    fn first(&self) -> u32 {
        self.uids.first().copied().unwrap_or(0)
    }

    /// The number of its rows of postings and words.
    pub(super) fn rows(&self) -> usize {
        self.firsts.len() + self.first_words.len()
    }

    /// The number of the row of a word.
    pub(super) fn row_of_word(&self, word: Word) -> Option<u16> {
        let start = words::start_of(word);
        let at = self.first_words.partition_point(|first| *first <= start).checked_sub(1)?;
        u16::try_from(self.firsts.len() + at).ok()
    }

    /// True if it is worth being joined with others.
    pub(super) fn is_small(&self) -> bool {
        self.uids.len() < RUN_LEN_MAX / 2 && self.rows() < ROWS_MAX / 4
    }

    /// The number of the row with a bucket's postings, and its first bucket; `None` if no message
    /// has that bucket.
    pub(super) fn row_with(&self, bucket: u32) -> Option<(u16, u32)> {
        let at = self.firsts.partition_point(|first| *first <= bucket).checked_sub(1)?;
        Some((u16::try_from(at).ok()?, *self.firsts.get(at)?))
    }

    /// A row of postings; `None` if the run was replaced meanwhile.
    pub(super) fn postings(
        &self,
        rows: &impl Rows,
        folder: FolderId,
        number: u16,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = row::get::<PostingRow>(rows, &posting_key(folder, self.row.id, number))?;
        Ok(row.map(|row| row.0))
    }

    /// The signatures of its messages; `None` if it was replaced meanwhile.
    pub(super) fn load(
        &self,
        rows: &impl Rows,
        folder: FolderId,
    ) -> Result<Option<Vec<Signed>>, StoreError> {
        let signed =
            |uid: &u32| Signed { uid: *uid, signature: Signature::default(), words: Vec::new() };
        let mut messages: Vec<Signed> = self.uids.iter().map(signed).collect();
        for (number, first) in (0u16..).zip(&self.firsts) {
            let Some(row) = self.postings(rows, folder, number)? else { return Ok(None) };
            each_list(*first, &row, |bucket, list| {
                for place in bits::decode(list) {
                    if let Some(message) = messages.get_mut(place as usize) {
                        message.signature.insert(bucket);
                    }
                }
                true
            });
        }
        let last = u16::try_from(self.rows()).unwrap_or(u16::MAX);
        for number in u16::try_from(self.firsts.len()).unwrap_or(u16::MAX)..last {
            let Some(row) = self.postings(rows, folder, number)? else { return Ok(None) };
            words::each(&row, |word, list| {
                for place in bits::decode(list) {
                    if let Some(message) = messages.get_mut(place as usize) {
                        message.words.push(word);
                    }
                }
                true
            });
        }
        Ok(Some(messages))
    }

    /// Deletes the run within a commit; false if it was replaced. Its postings are deleted later.
    pub(super) fn drop_in(&self, tx: &mut Tx<'_>, folder: FolderId) -> Result<bool, StoreError> {
        let key = key(folder, self.first());
        let is_there = row::get::<RunRow>(tx, &key)?.is_some_and(|row| row.id == self.row.id);
        if is_there {
            row::delete::<RunRow>(tx, &key);
            row::put(tx, &row::key(&[&folder.key(), &self.row.id]), &DroppedRow {})?;
        }
        Ok(is_there)
    }
}

impl Encoded {
    /// Writes the run within a commit. A message is in one run only.
    pub(super) fn put(
        &self,
        tx: &mut Tx<'_>,
        folder: FolderId,
        id: RunId,
    ) -> Result<(), StoreError> {
        let Some(first) = self.uids.first() else { return Ok(()) };
        let uids = put_ascending(self.uids.iter().copied());
        let firsts = put_ascending(self.rows.iter().map(|(first, _)| *first));
        let first_words = put_ascending(self.words.iter().map(|(first, _)| *first));
        let run = RunRow { id, uids, firsts, first_words };
        row::put(tx, &key(folder, *first), &run)?;
        for (number, (_, postings)) in (0u16..).zip(self.rows.iter().chain(&self.words)) {
            row::put(tx, &posting_key(folder, id, number), &PostingRow(postings.clone()))?;
        }
        Ok(())
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
            if !visit(Run::of(&key, row)?)? {
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

/// Deletes some postings of a run that was replaced, whose [`DroppedRow`] is under `dropped`.
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
mod tests {
    use super::*;

    fn signed(uid: u32, buckets: impl IntoIterator<Item = u32>) -> Signed {
        let mut signature = Signature::default();
        for bucket in buckets {
            signature.insert(bucket);
        }
        Signed { uid, signature, words: Vec::new() }
    }

    #[test]
    fn run_lists_have_the_messages_of_each_bucket() {
        let messages: Vec<Signed> =
            (0..100).map(|n| signed(n * 3 + 1, (0..BUCKETS).step_by(n as usize + 1))).collect();
        let run = encode(&messages).unwrap();
        for bucket in [0, 1, 6, 97, 16_384, BUCKETS - 1] {
            let (first, row) = run.rows.iter().rfind(|(first, _)| *first <= bucket).unwrap();
            let list = list_in(*first, row, bucket).unwrap_or_default();
            let has = |place: &u32| messages[*place as usize].signature.contains(bucket);
            let expected: Vec<u32> = (0..100).filter(has).collect();
            assert_eq!(bits::decode(list).collect::<Vec<_>>(), expected, "{bucket}");
        }
        assert!(run.rows.iter().all(|(_, row)| row.len() <= ROW_LEN));
    }

    #[test]
    fn run_of_full_signatures_is_bounded() {
        let full = |uid| signed(uid, 0..BUCKETS);
        let some: Vec<Signed> = (1..=64).map(full).collect();
        assert!(encode(&some).is_some_and(|run| run.rows.len() < ROWS_MAX / 3));
        let many: Vec<Signed> = (1..=1024).map(full).collect();
        assert!(encode(&many).is_none());
        assert_eq!(fitting((0..5000).map(|n| n * 800_000)), UIDS_LEN_MAX / 3);
        assert_eq!(fitting(1..5000), RUN_LEN_MAX);
    }
}
