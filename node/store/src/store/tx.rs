//! A change in the making, and the view it has: its own writes over its group's over what is
//! durable.

use std::collections::BTreeMap;

use super::rows::Rows;
use super::{
    BlobId, KEY_LEN_MAX, ROWS_MAX, Room, Row, Scan, StoreError, Table, VALUE_LEN_MAX,
    WRITTEN_LEN_MAX,
};
use crate::blobs::{Hold, Pinned, SmallBlob};
use crate::hints::Hint;

/// The most bytes of small blobs that may travel with one change.
const CARRIED_LEN_MAX: usize = 16 * 1024 * 1024;

/// Rows written and not yet in the engine; `None` is a deleted one.
pub(super) type Overlay = BTreeMap<(Table, Vec<u8>), Option<Row>>;

/// A change in the making: sees everything committed before it and its own writes.
pub struct Tx<'a, H> {
    position: u64,
    rows: &'a Rows,
    group: &'a Overlay,
    group_blobs: &'a [SmallBlob],
    room: Room,
    own: Overlay,
    blobs: Vec<SmallBlob>,
    holds: Vec<Hold>,
    hints: Vec<H>,
    len: usize,
    /// It is a step on the way to room.
    upkeep: bool,
    /// The first limit it broke: it fails by this even if its work goes on.
    broken: Option<StoreError>,
}

/// What a change wrote.
pub(super) struct Written<H> {
    pub(super) rows: Overlay,
    pub(super) blobs: Vec<SmallBlob>,
    /// Keeps what it refers to from collection until it is applied.
    pub(super) holds: Vec<Hold>,
    pub(super) hints: Vec<H>,
}

impl<'a, H: Hint> Tx<'a, H> {
    pub(super) fn new(
        position: u64,
        rows: &'a Rows,
        group: &'a Overlay,
        group_blobs: &'a [SmallBlob],
        room: Room,
    ) -> Self {
        let (own, blobs, holds, hints) = (Overlay::new(), Vec::new(), Vec::new(), Vec::new());
        Self {
            position,
            rows,
            group,
            group_blobs,
            room,
            own,
            blobs,
            holds,
            hints,
            len: 0,
            upkeep: false,
            broken: None,
        }
    }

    pub(super) fn finish(self) -> Result<Written<H>, StoreError> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        if !self.let_in()? {
            return Err(StoreError::Full);
        }
        Ok(Written { rows: self.own, blobs: self.blobs, holds: self.holds, hints: self.hints })
    }

    /// Whether there is room for it. What is small or makes room goes on: logging in, marking as
    /// read, deleting.
    fn let_in(&self) -> Result<bool, StoreError> {
        let small = self.blobs.is_empty() && self.len <= VALUE_LEN_MAX;
        let nothing = self.own.is_empty() && self.blobs.is_empty();
        Ok(match self.room {
            Room::Enough => true,
            Room::Low => small || self.makes_room()?,
            Room::None => {
                nothing
                    || ((self.upkeep || self.own.values().any(Option::is_none))
                        && (small || self.makes_room()?))
            }
        })
    }

    /// Whether the rows it removes or replaces are at least as long as what it writes.
    fn makes_room(&self) -> Result<bool, StoreError> {
        let row_len = |key: &[u8], row: &Row| key.len() + row.value.len() + row.blobs.len() * 32;
        let mut gone = 0;
        let mut written: usize = self.blobs.iter().map(|blob| blob.bytes.len()).sum();
        for (place, row) in &self.own {
            let (table, key) = place;
            written += row.as_ref().map_or(0, |row| row_len(key, row));
            let before = match self.group.get(place) {
                Some(row) => Ok(row.clone()),
                None => self.rows.get(*table, key),
            };
            gone += match before {
                Ok(row) => row.map_or(0, |row| row_len(key, &row)),
                // A damaged row is removed like any other; how long it was can't be told.
                Err(StoreError::Corrupt { .. }) => 0,
                Err(error) => return Err(error),
            };
        }
        Ok(written <= gone)
    }

    /// The log position this change will have; every row it writes gets it as version.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// One row, this change's own writes included.
    ///
    /// # Errors
    /// As [`super::Store::get`].
    pub fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let place = (table, key.to_vec());
        match self.own.get(&place).or_else(|| self.group.get(&place)) {
            Some(row) => Ok(row.clone()),
            None => self.rows.get(table, key),
        }
    }

    /// Rows in key order, this change's own writes included.
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
                    .filter(|((_, key), _)| in_scan(scan, key))
                    .map(|((_, key), row)| (key.as_slice(), row)),
            );
        }
        if written.is_empty() {
            return self.rows.scan(table, scan);
        }
        // So many more that what is overlaid can't leave the page short.
        let wider = Scan { limit: scan.limit.saturating_add(written.len()), ..scan.clone() };
        let mut found: BTreeMap<Vec<u8>, Row> =
            self.rows.scan(table, &wider)?.into_iter().collect();
        for (key, row) in written {
            match row {
                Some(row) => found.insert(key.to_vec(), row.clone()),
                None => found.remove(key),
            };
        }
        let rows = found.into_iter();
        Ok(if scan.reverse {
            rows.rev().take(scan.limit).collect()
        } else {
            rows.take(scan.limit).collect()
        })
    }

    /// Writes a row that refers to no blob.
    ///
    /// # Errors
    /// When key, value or the whole change is over its limit.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.put_referring(table, key, value, &[])
    }

    /// Writes a row that keeps `blobs` alive. Each must be pinned, or referred to by another row; a
    /// small one that no group holds yet travels with this change.
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
            self.broken.get_or_insert_with(|| error.clone());
        }
        result
    }

    /// Says that room is made once this change is durable, though it deletes nothing itself: being
    /// small it is let in on a full disk.
    pub fn frees_space_later(&mut self) {
        self.upkeep = true;
    }

    /// Removes a row; a row that is not there is no error.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        if let Err(error) = self.write(table, key, None) {
            self.broken.get_or_insert(error);
        }
    }

    /// Lets a small blob travel with this change even if no row of it refers to it, so that both
    /// become durable at once; a large one is durable already.
    pub fn attach(&mut self, pinned: &Pinned) {
        if let Err(error) = self.carry(&pinned.id) {
            self.broken.get_or_insert(error);
        }
    }

    /// Holds a blob until this change is applied, and takes it along if no group has it yet.
    fn carry(&mut self, id: &BlobId) -> Result<(), StoreError> {
        let (hold, blob) = self.rows.hold(id)?;
        self.holds.extend(hold);
        let carried = |blob: &SmallBlob| {
            self.blobs
                .iter()
                .chain(self.group_blobs)
                .any(|other| other.id == blob.id && other.form == blob.form)
        };
        let Some(blob) = blob.filter(|blob| !carried(blob)) else { return Ok(()) };
        let len = blob.bytes.len() + self.blobs.iter().map(|blob| blob.bytes.len()).sum::<usize>();
        self.blobs.push(blob);
        if len > CARRIED_LEN_MAX {
            Err(StoreError::TooLarge {
                what: "small blobs of a change",
                len,
                len_max: CARRIED_LEN_MAX,
            })
        } else {
            Ok(())
        }
    }

    /// Sends `hint` once this change is durable and visible.
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
        put.map_or(&[][..], |(_, blobs)| blobs).iter().try_for_each(|blob| self.carry(blob))?;
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

fn in_scan(scan: &Scan, key: &[u8]) -> bool {
    match &scan.after {
        None => true,
        Some(after) if scan.reverse => key < after.as_slice(),
        Some(after) => key > after.as_slice(),
    }
}
