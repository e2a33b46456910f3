//! A change while it runs: it reads its own writes, then those of its group, then durable rows.

mod disk_cost;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::admission::Headroom;
use super::committed_rows::CommittedRows;
use super::references::{self, ChangedReferences};
use super::{
    BlobId, KEY_LEN_MAX, ROWS_MAX, Row, Scan, StoreError, Table, VALUE_LEN_MAX, WRITTEN_LEN_MAX,
};
use crate::blobs::{Hold, Pinned, SmallBlob};
use crate::hints::Hint;

/// The most bytes that an essential change may add on a full disk.
const ESSENTIAL_GROWTH_MAX: usize = 64 * 1024;
/// The most bytes of small blobs in one change.
const BLOBS_LEN_MAX: usize = 16 * 1024 * 1024;

/// Rows that are written but not in the engine yet; `None` for a deleted row.
pub(super) type Overlay = BTreeMap<(Table, Vec<u8>), Option<Row>>;

/// A change while it runs: it sees all earlier changes and its own writes.
pub struct Tx<'a, H> {
    position: u64,
    rows: CommittedRows<'a>,
    group: &'a Overlay,
    group_blobs: &'a [SmallBlob],
    headroom: Headroom,
    own: Overlay,
    /// Durable rows that it read, of tables that refer to blobs.
    read: RefCell<BTreeMap<(Table, Vec<u8>), Row>>,
    blobs: Vec<SmallBlob>,
    holds: Vec<Hold>,
    hints: Vec<H>,
    /// The bytes of keys and values written so far.
    len: usize,
    /// Set by [`Tx::frees_space_later`].
    frees_later: bool,
    /// Set by [`Tx::mark_essential`].
    essential: bool,
    /// Set by [`Tx::mark_internal`].
    internal: bool,
    /// The first failed write: the change fails with it even if its function ignores the error.
    failed: Option<StoreError>,
}

/// The writes of a change.
pub(super) struct Written<H> {
    pub(super) rows: Overlay,
    pub(super) blobs: Vec<SmallBlob>,
    /// Keep the blobs it refers to from collection until it is applied.
    pub(super) holds: Vec<Hold>,
    pub(super) hints: Vec<H>,
}

impl<'a, H: Hint> Tx<'a, H> {
    pub(super) fn new(
        position: u64,
        rows: CommittedRows<'a>,
        group: &'a Overlay,
        group_blobs: &'a [SmallBlob],
        headroom: Headroom,
    ) -> Self {
        let (own, blobs, holds, hints) = (Overlay::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            position,
            rows,
            group,
            group_blobs,
            headroom,
            own,
            read: RefCell::default(),
            blobs,
            holds,
            hints,
            len: 0,
            frees_later: false,
            essential: false,
            internal: false,
            failed: None,
        }
    }

    pub(super) fn finish(mut self) -> Result<Written<H>, StoreError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if !self.is_admitted()? {
            return Err(StoreError::Full);
        }
        references::update(&mut self)?;
        Ok(Written { rows: self.own, blobs: self.blobs, holds: self.holds, hints: self.hints })
    }

    /// True if the change is admitted. Small changes and changes that free space are admitted on a
    /// full disk: signing in, marking as read, deleting.
    fn is_admitted(&self) -> Result<bool, StoreError> {
        let is_small = self.blobs.is_empty() && self.len <= VALUE_LEN_MAX;
        let is_empty = self.own.is_empty() && self.blobs.is_empty();
        let grows_by_max = match self.essential {
            true => ESSENTIAL_GROWTH_MAX,
            false => 0,
        };
        Ok(match self.headroom {
            _ if self.internal => true,
            Headroom::Enough => true,
            Headroom::Low => is_small || self.grows_by_at_most(grows_by_max)?,
            Headroom::None => {
                is_empty
                    || ((self.essential
                        || self.frees_later
                        || self.own.values().any(Option::is_none))
                        && (is_small || self.grows_by_at_most(grows_by_max)?))
            }
        })
    }

    /// True if its writes are at most `len` bytes longer than the rows it deletes or replaces.
    fn grows_by_at_most(&self, len: usize) -> Result<bool, StoreError> {
        let row_len = |key: &[u8], row: &Row| key.len() + row.value.len() + row.blobs.len() * 32;
        let mut freed = 0;
        let mut written: usize = self.blobs.iter().map(|blob| blob.bytes.len()).sum();
        for (row_key, row) in &self.own {
            let (_, key) = row_key;
            written += row.as_ref().map_or(0, |row| row_len(key, row));
            freed += match self.before(row_key) {
                Ok(row) => row.map_or(0, |row| row_len(key, &row)),
                // The length of a damaged row is unknown; it can be deleted all the same.
                Err(StoreError::Corrupt { .. }) => 0,
                Err(error) => return Err(error),
            };
        }
        Ok(written <= freed.saturating_add(len))
    }

    /// The row before this change.
    fn before(&self, row_key: &(Table, Vec<u8>)) -> Result<Option<Row>, StoreError> {
        if let Some(row) = self.group.get(row_key) {
            return Ok(row.clone());
        }
        match self.read.borrow().get(row_key) {
            Some(row) => Ok(Some(row.clone())),
            None => self.rows.get(row_key.0, &row_key.1),
        }
    }

    /// Keeps a row of a table that refers to blobs for [`Tx::changed_references`].
    fn keep_read(&self, table: Table, key: &[u8], row: &Row) {
        if table.refers() {
            self.read.borrow_mut().insert((table, key.to_vec()), row.clone());
        }
    }

    /// One row of a table given by name, before this change.
    pub(super) fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let written =
            self.group.iter().find(|((other, row), _)| other.name() == table && row == key);
        written.map_or_else(|| self.rows.get_named(table, key), |(_, row)| Ok(row.clone()))
    }

    /// The small blobs that this change writes to the log.
    pub(super) fn logged_blobs(&self) -> Vec<BlobId> {
        self.blobs.iter().map(|blob| blob.id).collect()
    }

    /// The rows of this change that refer to other blobs than before.
    pub(super) fn changed_references(&self) -> Result<Vec<ChangedReferences>, StoreError> {
        let mut changes = Vec::new();
        let blobs = |row: Option<&Row>| -> BTreeSet<BlobId> {
            row.into_iter().flat_map(|row| row.blobs.iter().copied()).collect()
        };
        for (row_key, row) in &self.own {
            let (table, key) = row_key;
            if !table.refers() {
                continue;
            }
            let before = match self.before(row_key) {
                Ok(row) => blobs(row.as_ref()),
                // The references of a damaged row are unknown, and stay.
                Err(StoreError::Corrupt { .. }) => BTreeSet::new(),
                Err(error) => return Err(error),
            };
            let after = blobs(row.as_ref());
            if before != after {
                changes.push(ChangedReferences { table: *table, key: key.clone(), before, after });
            }
        }
        Ok(changes)
    }

    /// Writes a row of the reverse index; it does not count for the limits of a change.
    pub(super) fn put_index(&mut self, table: Table, key: Vec<u8>, value: Vec<u8>) {
        let row = Row { version: self.position, value, blobs: Vec::new() };
        self.own.insert((table, key), Some(row));
    }

    /// Deletes a row of the reverse index.
    pub(super) fn delete_index(&mut self, table: Table, key: Vec<u8>) {
        self.own.insert((table, key), None);
    }

    /// Declares that this change is the store's own and must be admitted on a full disk.
    pub(super) fn mark_internal(&mut self) {
        self.internal = true;
    }

    /// The log position of this change, which is also the version of every row it writes.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// One row, with this change's own writes.
    ///
    /// # Errors
    /// As [`super::Store::get`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let row_key = (table, key.to_vec());
        match self.own.get(&row_key).or_else(|| self.group.get(&row_key)) {
            Some(row) => Ok(row.clone()),
            None => {
                let row = self.rows.get(table, key)?;
                row.iter().for_each(|row| self.keep_read(table, key, row));
                Ok(row)
            }
        }
    }

    /// Rows in key order, with this change's own writes.
    ///
    /// # Errors
    /// As [`super::Store::get`].
    pub fn scan(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        let mut written: BTreeMap<&[u8], &Option<Row>> = BTreeMap::new();
        for overlay in [self.group, &self.own] {
            let from = overlay.range((table, scan.prefix.clone())..);
            let of_prefix =
                from.take_while(|((t, key), _)| *t == table && key.starts_with(&scan.prefix));
            written.extend(
                of_prefix
                    .filter(|((_, key), _)| is_after(scan, key))
                    .map(|((_, key), row)| (key.as_slice(), row)),
            );
        }
        if written.is_empty() {
            let rows = self.rows.scan(table, scan)?;
            rows.iter().for_each(|(key, row)| self.keep_read(table, key, row));
            return Ok(rows);
        }
        // Deleted rows must not leave the page short, so read as many rows more.
        let wider = Scan { limit: scan.limit.saturating_add(written.len()), ..scan.clone() };
        let mut merged: BTreeMap<Vec<u8>, Row> =
            self.rows.scan(table, &wider)?.into_iter().collect();
        for (key, row) in written {
            match row {
                Some(row) => merged.insert(key.to_vec(), row.clone()),
                None => merged.remove(key),
            };
        }
        let rows = merged.into_iter();
        Ok(if scan.reverse {
            rows.rev().take(scan.limit).collect()
        } else {
            rows.take(scan.limit).collect()
        })
    }

    /// Writes a row that refers to no blob.
    ///
    /// # Errors
    /// If key, value or the whole change is over its limit.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.put_referring(table, key, value, &[])
    }

    /// Writes a row that refers to `blobs` and keeps them. Each must be pinned, or referred to by
    /// another row. A small blob that is not in the log yet is written to the log with this change.
    ///
    /// # Errors
    /// As [`Tx::put`], and [`StoreError::NoBlob`].
    pub fn put_referring(
        &mut self,
        table: Table,
        key: &[u8],
        value: &[u8],
        blobs: &[BlobId],
    ) -> Result<(), StoreError> {
        let result = self.write(table, key, Some((value, blobs)));
        if let Err(error) = &result {
            self.failed.get_or_insert_with(|| error.clone());
        }
        result
    }

    /// Declares that this change frees space later although it deletes no row, so that it is
    /// admitted on a full disk if it is small.
    pub fn frees_space_later(&mut self) {
        self.frees_later = true;
    }

    /// Declares that the owner needs this change to log in, to read or to delete, so that it is
    /// admitted on a full disk if it adds little (64 KiB): marking a thousand messages as deleted
    /// makes each row some bytes longer.
    pub fn mark_essential(&mut self) {
        self.essential = true;
    }

    /// Deletes a row; a missing one is no error.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        if let Err(error) = self.write(table, key, None) {
            self.failed.get_or_insert(error);
        }
    }

    /// Writes a small blob to the log with this change even if no row of the change refers to it,
    /// so that both become durable together; a large blob is durable already.
    pub fn attach(&mut self, pinned: &Pinned) {
        if let Err(error) = self.add_blob(&pinned.id) {
            self.failed.get_or_insert(error);
        }
    }

    /// Pins a blob until this change is applied, and adds it to the change if it is not in the log
    /// yet.
    fn add_blob(&mut self, id: &BlobId) -> Result<(), StoreError> {
        let (hold, blob) = self.rows.hold(id)?;
        self.holds.extend(hold);
        let is_added = |blob: &SmallBlob| {
            self.blobs.iter().chain(self.group_blobs).any(|other| other.id == blob.id)
        };
        let Some(blob) = blob.filter(|blob| !is_added(blob)) else { return Ok(()) };
        let len = blob.bytes.len() + self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>();
        self.blobs.push(blob);
        if len > BLOBS_LEN_MAX {
            Err(StoreError::TooLarge {
                what: "small blobs of a change",
                len,
                len_max: BLOBS_LEN_MAX,
            })
        } else {
            Ok(())
        }
    }

    /// Sends `hint` after this change is durable and visible.
    pub fn after(&mut self, hint: H) {
        self.hints.push(hint);
    }

    fn write(
        &mut self,
        table: Table,
        key: &[u8],
        put: Option<(&[u8], &[BlobId])>,
    ) -> Result<(), StoreError> {
        let within = |what, len, len_max| {
            if len > len_max { Err(StoreError::TooLarge { what, len, len_max }) } else { Ok(()) }
        };
        let value_len = put.map_or(0, |(value, blobs)| value.len() + blobs.len() * 32);
        within("row", put.map_or(0, |(value, _)| value.len()), VALUE_LEN_MAX)?;
        within("key", key.len(), KEY_LEN_MAX)?;
        within("rows of a change", self.own.len() + 1, ROWS_MAX)?;
        within("change", self.len + key.len() + value_len, WRITTEN_LEN_MAX)?;
        let blobs = put.map_or(&[][..], |(_, blobs)| blobs);
        if !blobs.is_empty() && !table.refers() {
            let name = table.name();
            return Err(StoreError::Unavailable(format!("rows of {name} refer to no blobs")));
        }
        blobs.iter().try_for_each(|blob| self.add_blob(blob))?;
        self.len += key.len() + value_len;
        let row = put.map(|(value, blobs)| Row {
            version: self.position,
            value: value.to_vec(),
            blobs: blobs.to_vec(),
        });
        self.own.insert((table, key.to_vec()), row);
        Ok(())
    }
}

fn is_after(scan: &Scan, key: &[u8]) -> bool {
    match &scan.after {
        None => true,
        Some(after) if scan.reverse => key < after.as_slice(),
        Some(after) => key > after.as_slice(),
    }
}
