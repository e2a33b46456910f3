//! Rewriting packs: the live entries of a pack are copied to another one, durably; changes move
//! their places; then the old pack is removed. An interruption at any point leaves every blob at
//! the place that its row names. A pack that no row describes is removed by the next call.

use std::sync::Arc;

use super::super::references::{self, PACKS};
use super::{Moved, PLACES_MAX, PlaceChange, Source, pack_rows, write_places};
use crate::blobs::{Blobs, PackRow};
use crate::hints::Hint;
use crate::store::{BlobId, Scan, Store, StoreError};

/// So many bytes of blobs are copied at a time.
const COPY_LEN: usize = 4 * 1024 * 1024;

/// The result of a rewrite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewritten {
    /// Packs removed.
    pub packs: u64,
    /// The dead bytes in them.
    pub freed: u64,
}

impl Blobs {
    /// Rewrites every pack in which more than `percent` of the bytes are dead, the most wasteful
    /// first, and removes packs without a live byte. With 0 no byte of a removed blob remains in
    /// any pack. Blocks, possibly for long.
    ///
    /// # Errors
    /// The store's or the disk's, and [`StoreError::Unavailable`] if a pack has a damaged live
    /// entry: then it stays, without its other live entries. The other packs are rewritten all the
    /// same, and the next call continues.
    pub fn rewrite_packs(
        &self,
        store: &Store<impl Hint>,
        percent: u64,
    ) -> Result<Rewritten, StoreError> {
        let (mut wasteful, mut failed) = (Vec::new(), None);
        for (number, row) in pack_rows(store)? {
            let len = match self.pack_len(number) {
                // A missing pack has no dead bytes.
                Ok(None) if row.live > 0 => continue,
                // Dead bytes may remain before the end of a truncated pack.
                Ok(len) => len.unwrap_or(0).max(row.end.into()),
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let dead = Self::dead_len(len, &row);
            if dead > 0 && (row.live == 0 || dead * 100 > len.saturating_mul(percent)) {
                wasteful.push((dead, number));
            }
        }
        wasteful.sort_unstable_by(|one, other| other.cmp(one));
        let mut all = Rewritten::default();
        for (dead, number) in wasteful {
            match self.rewrite_pack(store, number) {
                Ok(()) => {
                    all.packs += 1;
                    all.freed += dead;
                }
                Err(error) => _ = failed.get_or_insert(error),
            }
        }
        all.packs += self.remove_orphan_packs(store)?;
        failed.map_or(Ok(all), Err)
    }

    fn rewrite_pack(&self, store: &Store<impl Hint>, number: u32) -> Result<(), StoreError> {
        // No entry of a pack waits for its place while the lock is held.
        let _packing = store.lock_packing()?;
        let Some(row) = store.get(PACKS, &number.to_be_bytes())? else { return Ok(()) };
        let Some(row) = PackRow::decode(&row.value) else { return Ok(()) };
        self.close_pack(number);
        // No entry of a wholly dead pack need be read, so damage does not keep it.
        if row.live > 0 {
            let is_intact = self.move_entries(store, number, row.end)?;
            let left = store.get(PACKS, &number.to_be_bytes())?;
            let left = left.and_then(|row| PackRow::decode(&row.value));
            if !is_intact && left.is_some_and(|row| row.live > 0) {
                return Err(self.damaged_pack(number));
            }
        }
        store.commit_urgent(move |tx| {
            tx.mark_internal();
            let newest = tx.scan(PACKS, &Scan::prefix(&[], 1).reversed())?.pop();
            if newest.is_some_and(|(key, _)| key == number.to_be_bytes()) {
                // The row stays, so that the number is not used again.
                references::set_pack(tx, number, PackRow::default());
            } else {
                tx.delete_index(PACKS, number.to_be_bytes().to_vec());
            }
            Ok::<_, StoreError>(())
        })?;
        self.remove_pack(number).map(drop)
    }

    /// Moves the intact live entries of a pack to another one. Returns true if none is damaged. The
    /// caller holds the lock of packing.
    fn move_entries(
        &self,
        store: &Store<impl Hint>,
        number: u32,
        end: u32,
    ) -> Result<bool, StoreError> {
        let (mut live, mut len) = (Vec::new(), 0);
        let is_intact = self.each_entry(number, end, |entry| {
            if store.place(&entry.id)? == Some(entry.place) {
                len += entry.content.len();
                live.push((
                    entry.id,
                    Source::Pack(entry.place),
                    Arc::from(entry.content.as_slice()),
                ));
            }
            if len >= COPY_LEN {
                len = 0;
                self.move_to_packs(store, std::mem::take(&mut live))?;
            }
            Ok(())
        })?;
        self.move_to_packs(store, live)?;
        Ok(is_intact)
    }

    /// Writes blobs to packs, and moves their places. Returns those that were not removed or moved
    /// meanwhile. The caller holds the lock of packing.
    pub(super) fn move_to_packs(
        &self,
        store: &Store<impl Hint>,
        blobs: Vec<(BlobId, Source, Arc<[u8]>)>,
    ) -> Result<Vec<BlobId>, StoreError> {
        let contents: Vec<_> = blobs.iter().map(|(id, _, bytes)| (*id, bytes.clone())).collect();
        let places = store.with_reserve(|| self.write_to_packs(&contents))?;
        let sources = blobs.iter().map(|(_, from, _)| *from);
        let moved: PlaceChange = places
            .into_iter()
            .zip(sources)
            .map(|((id, to), from)| Moved { id, from, to })
            .collect();
        let mut written = Vec::with_capacity(moved.len());
        for part in moved.chunks(PLACES_MAX) {
            let (blobs, part) = (self.clone(), part.to_vec());
            written.extend(store.commit_urgent(move |tx| write_places(tx, &blobs, &part))?);
        }
        Ok(written)
    }

    /// Removes the packs that no row describes: left by an interrupted write or rewrite.
    pub(in crate::store) fn remove_orphan_packs(
        &self,
        store: &Store<impl Hint>,
    ) -> Result<u64, StoreError> {
        let _packing = store.lock_packing()?;
        let mut removed = 0;
        for number in self.orphan_packs(store)? {
            removed += u64::from(self.remove_pack(number)?);
        }
        Ok(removed)
    }

    /// The packs that no row describes.
    pub(in crate::store) fn orphan_packs(
        &self,
        store: &Store<impl Hint>,
    ) -> Result<Vec<u32>, StoreError> {
        let rows = pack_rows(store)?;
        let is_described = |number: &u32| {
            // A removed pack may keep its row, for its number.
            rows.iter().any(|(described, row)| described == number && row.end > 0)
        };
        let mut numbers = self.pack_numbers()?;
        numbers.retain(|number| !is_described(number) && self.open_pack() != Some(*number));
        Ok(numbers)
    }
}
