//! Writing runs.

use super::super::content::{Content, Place};
use super::super::grams::{Buckets, GramHash, Part};
use super::super::lists::{ListWriter, ROW_LEN};
use super::super::tokens::SEPARATOR;
use super::super::{PostingRow, bits, rare};
use super::{ROWS_MAX, RUN_LEN_MAX, RunId, RunRow, WORDS_LEN_MAX, key, posting_key};
use crate::mailbox::folders::FolderId;
use crate::mailbox::varint;
use crate::row;
use crate::store::{StoreError, Tx};

/// The most bytes of the UIDs of a run: they share a row with the first words and grams.
pub(super) const UIDS_LEN_MAX: usize = 2800;

/// A run to be written.
pub(in super::super) struct Encoded {
    pub(in super::super) uids: Vec<u32>,
    row: RunRow,
    pub(super) rows: Vec<Vec<u8>>,
}

fn put_ascending(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let (mut out, mut before) = (Vec::new(), 0u32);
    for number in numbers {
        varint::put(&mut out, u64::from(number.wrapping_sub(before)));
        before = number;
    }
    out
}

/// How many of `uids`, which ascend, fit into one run.
pub(in super::super) fn fitting(uids: impl Iterator<Item = u32>) -> usize {
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

/// The rows of some messages, which are [`fitting`]; `None` if they are more than [`ROWS_MAX`]. One
/// message fits, whatever it has.
pub(in super::super) fn encode(content: &Content, hash: GramHash) -> Option<Encoded> {
    let universe = u32::try_from(content.uids.len()).ok()?;
    let mut frequent: Vec<(u32, &str, &[Place])> = Vec::new();
    let mut once: Vec<(Place, &str)> = Vec::new();
    for (word, places) in &content.words {
        match places.as_slice() {
            [place] => once.push((*place, word)),
            // The most frequent ones first: a search ends when it has found all messages.
            places => frequent.push((u32::MAX - places.len().ilog2(), word, places)),
        }
    }
    frequent.sort_unstable();
    once.sort_unstable();
    let mut text = String::from(SEPARATOR);
    let mut words = ListWriter::new(universe);
    for (number, (_, word, places)) in (0u32..).zip(&frequent) {
        text.push_str(word);
        text.push(SEPARATOR);
        let places: Vec<u32> = places.iter().map(|place| u32::from(*place)).collect();
        words.push(number, &places);
        if words.rows.len() > ROWS_MAX || text.len() > WORDS_LEN_MAX {
            return None;
        }
    }
    let text = lz4_flex::block::compress_prepend_size(text.as_bytes());
    let texts: Vec<Vec<u8>> = text.chunks(ROW_LEN).map(<[u8]>::to_vec).collect();
    let rare = rare::encode(&once);
    if texts.len() + rare.len() > ROWS_MAX {
        return None;
    }
    let mut by_row = Vec::with_capacity(rare.len());
    let mut rest = once.as_slice();
    for (count, _) in &rare {
        let (of_row, after) = rest.split_at_checked(*count)?;
        let mut buckets = Buckets::new(Part::Body);
        of_row.iter().for_each(|(_, word)| hash.add(Part::Body, word, &mut buckets));
        by_row.push(buckets);
        rest = after;
    }
    let grams = turned_over(&by_row, Part::Body);
    let headers = turned_over(&content.headers, Part::Header);
    let firsts = |rows: &[(u32, Vec<u8>)]| put_ascending(rows.iter().map(|(first, _)| *first));
    let mut incomplete = Vec::new();
    let places: Vec<u32> = content.incomplete.iter().map(|place| u32::from(*place)).collect();
    bits::encode(&mut incomplete, &places, universe);
    let row = RunRow {
        id: RunId::default(),
        uids: put_ascending(content.uids.iter().copied()),
        incomplete,
        texts: u16::try_from(texts.len()).ok()?,
        words: firsts(&words.rows),
        rare: u16::try_from(rare.len()).ok()?,
        grams: firsts(&grams),
        headers: firsts(&headers),
    };
    let second = |rows: Vec<(u32, Vec<u8>)>| rows.into_iter().map(|(_, row)| row);
    let mut rows = texts;
    rows.extend(second(words.rows));
    rows.extend(rare.into_iter().map(|(_, row)| row));
    rows.extend(second(grams).chain(second(headers)));
    (rows.len() <= ROWS_MAX).then(|| Encoded { uids: content.uids.clone(), row, rows })
}

/// Rows of lists: for each bucket the sets that have it.
fn turned_over(sets: &[Buckets], part: Part) -> Vec<(u32, Vec<u8>)> {
    let mut writer = ListWriter::new(u32::try_from(sets.len()).unwrap_or(u32::MAX));
    let mut lists = vec![Vec::<u32>::new(); 64];
    for word in 0..part.buckets() / 64 {
        for (place, set) in (0u32..).zip(sets) {
            let mut bits = set.words().get(word as usize).copied().unwrap_or(0);
            while bits != 0 {
                if let Some(list) = lists.get_mut(bits.trailing_zeros() as usize) {
                    list.push(place);
                }
                bits &= bits - 1;
            }
        }
        for (bucket, list) in (word * 64..).zip(&mut lists) {
            writer.push(bucket, list);
            list.clear();
        }
    }
    writer.rows
}

impl Encoded {
    /// Writes the run within a commit. A message is in one run only.
    pub(in super::super) fn put(
        &self,
        tx: &mut Tx<'_>,
        folder: FolderId,
        id: RunId,
    ) -> Result<(), StoreError> {
        let Some(first) = self.uids.first() else { return Ok(()) };
        row::put(tx, &key(folder, *first), &RunRow { id, ..self.row.clone() })?;
        for (number, posting) in (0u16..).zip(&self.rows) {
            row::put(tx, &posting_key(folder, id, number), &PostingRow(posting.clone()))?;
        }
        Ok(())
    }
}
