//! The packed details of the messages of a full page: one column in a few rows, compressed, so that
//! a list of 10,000 messages reads a few hundred rows.
//!
//! On disk under `folder ‖ column ‖ first UID of the page ‖ number`. The values of a page are one
//! block: for each message its UID and the length of its value, then the values. The block is
//! compressed (LZ4), because messages of one folder resemble each other, and cut into rows.

use std::ops::Range;

use minicbor::{Decode, Encode};

use super::details::{self, Column, Details};
use super::folders::FolderId;
use super::page::{Page, State};
use super::varint;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The bytes of a block in one row.
const CHUNK_LEN: usize = 4080;
/// The longest block, in bytes: a page of details at their limit, with room.
const BLOCK_LEN_MAX: usize = 2 * 1024 * 1024;
/// The number of rows read at a time, at first and in a long walk.
const FIRST_READ_ROWS: usize = 4;
const ROWS_PER_READ: usize = 64;

/// Part of a block.
#[derive(Encode, Decode)]
#[cbor(transparent)]
pub(super) struct ChunkRow(#[cbor(n(0), with = "minicbor::bytes")] Vec<u8>);

impl Record for ChunkRow {
    const TABLE: Table = Table::new("mailbox_columns");
    const VERSION: u8 = 1;
}

/// One column of some messages.
#[derive(Debug, Default)]
pub struct Values {
    blocks: Vec<Block>,
}

/// The values of one page.
#[derive(Debug, Default)]
struct Block {
    /// UIDs in order, each with the place of its value.
    places: Vec<(u32, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Values {
    /// The value of a message; `None` if it was too long to be kept, or is not kept yet.
    pub fn get(&self, uid: u32) -> Option<&[u8]> {
        let first = |block: &Block| block.places.first().map_or(0, |(first, _)| *first);
        let at = self.blocks.partition_point(|block| first(block) <= uid).checked_sub(1)?;
        let block = self.blocks.get(at)?;
        let at = block.places.binary_search_by_key(&uid, |(known, _)| *known).ok()?;
        let (_, place) = block.places.get(at)?;
        block.bytes.get(place.clone())
    }
}

impl Block {
    fn push(&mut self, uid: u32, value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.places.push((uid, start..self.bytes.len()));
    }

    fn pack(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.bytes.len().saturating_add(1024));
        varint::put(&mut plain, self.places.len() as u64);
        let mut before = 0u32;
        for (uid, place) in &self.places {
            varint::put(&mut plain, u64::from(uid.wrapping_sub(before)));
            varint::put(&mut plain, place.len() as u64);
            before = *uid;
        }
        plain.extend_from_slice(&self.bytes);
        lz4_flex::block::compress_prepend_size(&plain)
    }

    /// `None` if the block is damaged.
    fn unpack(packed: &[u8]) -> Option<Self> {
        let (len, compressed) = lz4_flex::block::uncompressed_size(packed).ok()?;
        if len > BLOCK_LEN_MAX {
            return None;
        }
        let mut bytes = lz4_flex::block::decompress(compressed, len).ok()?;
        let mut rest = bytes.as_slice();
        let count = usize::try_from(varint::take(&mut rest)?).ok()?;
        let mut places = Vec::with_capacity(count.min(super::page::PAGE_LEN));
        let (mut uid, mut start) = (0u32, 0usize);
        for _ in 0..count {
            uid = uid.wrapping_add(u32::try_from(varint::take(&mut rest)?).ok()?);
            let end = start.checked_add(usize::try_from(varint::take(&mut rest)?).ok()?)?;
            places.push((uid, start..end));
            start = end;
        }
        let head = bytes.len().checked_sub(rest.len())?;
        if start != rest.len() {
            return None;
        }
        bytes.drain(..head);
        Some(Self { places, bytes })
    }
}

fn key(folder: FolderId, column: Column, first: u32, number: u8) -> Vec<u8> {
    row::key(&[&prefix(folder, column), &first.to_be_bytes(), &[number]])
}

fn prefix(folder: FolderId, column: Column) -> Vec<u8> {
    row::key(&[&folder.key(), &[column.number()]])
}

/// The first UID of the page in a key.
fn first_of(key: &[u8]) -> u32 {
    u32::from_be_bytes(row::key_part(key, 5))
}

/// One column of the messages with a UID from `first` to `last`. Values of a few messages beside
/// them may be there too.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn values(
    node: &Node,
    folder: FolderId,
    column: Column,
    first: u32,
    last: u32,
) -> Result<Values, StoreError> {
    let rows = &node.store;
    let mut values = Values { blocks: packed(rows, folder, column, first, last)? };
    let mut block = Block::default();
    for (uid, details) in details::unpacked(rows, folder, first, last)? {
        if let Some(value) = details.get(column) {
            block.push(uid, value);
        }
    }
    if !block.places.is_empty() {
        values.blocks.push(block);
        // A folder of an earlier version is packed from its beginning, or a page was packed between
        // the two reads: the blocks may be out of order.
        values.blocks.sort_by_key(|block| block.places.first().map_or(0, |(uid, _)| *uid));
    }
    Ok(values)
}

/// The blocks of a column that may hold a UID from `first` to `last`.
fn packed(
    rows: &impl Rows,
    folder: FolderId,
    column: Column,
    first: u32,
    last: u32,
) -> Result<Vec<Block>, StoreError> {
    let prefix = prefix(folder, column);
    // The last block that begins at or before `first`.
    let until = row::key(&[&prefix, &first.to_be_bytes(), &[u8::MAX]]);
    let nearest = rows
        .rows(ChunkRow::TABLE, &Scan::prefix(&prefix, 1).reversed().after(&until))?
        .pop()
        .map_or(first, |(key, _)| first_of(&key));
    // Sorts before the first row of that block.
    let mut after = row::key(&[&prefix, &nearest.to_be_bytes()]);
    let mut packed: Vec<(u32, Vec<u8>)> = Vec::new();
    // One block has few rows, a long list many.
    let mut limit = FIRST_READ_ROWS;
    'read: loop {
        let scan = Scan::prefix(&prefix, limit).after(&after);
        let page = row::scan::<ChunkRow>(rows, &scan)?;
        let is_last = page.len() < limit;
        limit = limit.saturating_mul(4).min(ROWS_PER_READ);
        for (key, chunk) in page {
            let page_first = first_of(&key);
            if page_first > last {
                break 'read;
            }
            match packed.last_mut().filter(|(open, _)| *open == page_first) {
                Some((_, bytes)) => bytes.extend_from_slice(&chunk.0),
                None => packed.push((page_first, chunk.0)),
            }
            after = key;
        }
        if is_last {
            break;
        }
    }
    let block = |(page_first, bytes): (u32, Vec<u8>)| {
        Block::unpack(&bytes).ok_or_else(|| StoreError::Corrupt {
            table: ChunkRow::TABLE.name().to_owned(),
            key: key(folder, column, page_first, 0),
        })
    };
    packed.into_iter().map(block).collect()
}

/// Packs the details of the messages of a page, and marks the page, which the caller saves. Those
/// in rows of their own are taken from there, except those given in `known`.
pub(super) fn pack(
    tx: &mut Tx<'_>,
    page: &mut Page,
    known: Vec<(u32, Details)>,
) -> Result<(), StoreError> {
    let Some(last) = page.entries.last() else { return Ok(()) };
    let mut all = details::take_unpacked(tx, page.folder, page.first, last.uid)?;
    all.retain(|(uid, _)| !known.iter().any(|(other, _)| other == uid));
    all.extend(known);
    all.retain(|(uid, _)| page.entry(*uid).is_some());
    all.sort_by_key(|(uid, _)| *uid);
    page.state = State::Packed;
    write(tx, page.folder, page.first, &all)
}

/// Removes the details of some messages of a page.
pub(super) fn remove(tx: &mut Tx<'_>, page: &Page, uids: &[u32]) -> Result<(), StoreError> {
    if page.state != State::Packed {
        for uid in uids {
            details::delete(tx, page.folder, *uid)?;
        }
        return Ok(());
    }
    let mut kept = Vec::new();
    if uids.len() < page.entries.len() {
        kept = all_of(tx, page)?;
        kept.retain(|(uid, _)| uids.binary_search(uid).is_err());
    }
    delete_rows(tx, page.folder, page.first)?;
    write(tx, page.folder, page.first, &kept)
}

/// The details of the messages of a page, wherever they are.
pub(super) fn all_of(rows: &impl Rows, page: &Page) -> Result<Vec<(u32, Details)>, StoreError> {
    let last = page.entries.last().map_or(page.first, |entry| entry.uid);
    if page.state != State::Packed {
        return details::unpacked(rows, page.folder, page.first, last);
    }
    let mut all: Vec<(u32, Details)> =
        page.entries.iter().map(|entry| (entry.uid, Details::default())).collect();
    for column in Column::ALL {
        let values = Values { blocks: packed(rows, page.folder, column, page.first, page.first)? };
        for (uid, details) in &mut all {
            if let Some(value) = values.get(*uid) {
                details.set(column, value.to_vec());
            }
        }
    }
    Ok(all)
}

/// Writes the details of a packed page, of which none are stored.
fn write(
    tx: &mut Tx<'_>,
    folder: FolderId,
    first: u32,
    all: &[(u32, Details)],
) -> Result<(), StoreError> {
    for column in Column::ALL {
        let mut block = Block::default();
        for (uid, details) in all {
            if let Some(value) = details.get(column) {
                block.push(*uid, value);
            }
        }
        if block.places.is_empty() {
            continue;
        }
        for (number, chunk) in (0u8..=u8::MAX).zip(block.pack().chunks(CHUNK_LEN)) {
            let row = ChunkRow(chunk.to_vec());
            row::put(tx, &key(folder, column, first, number), &row)?;
        }
    }
    Ok(())
}

fn delete_rows(tx: &mut Tx<'_>, folder: FolderId, first: u32) -> Result<(), StoreError> {
    for column in Column::ALL {
        let prefix = row::key(&[&prefix(folder, column), &first.to_be_bytes()]);
        for (key, _) in tx.scan(ChunkRow::TABLE, &Scan::prefix(&prefix, usize::from(u8::MAX)))? {
            row::delete::<ChunkRow>(tx, &key);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
