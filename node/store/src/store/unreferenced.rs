//! After a replay: dropping the blobs of deleted rows, which the log still holds. Reads the engine
//! itself, because the gate is locked then, or the store is not open yet.

use std::collections::HashSet;

use super::references::{self, LOOSE, REFERENCES, build};
use super::{BlobId, Row, Stop, StoreError, Table};
use crate::blobs::{Blobs, Place};
use crate::engine::Engine;
use crate::seal::RowSeal;

/// The number of rows read at a time.
const WALK_ROWS: usize = 1000;

/// The rows of an engine.
pub(super) struct EngineRows<'a> {
    pub(super) engine: &'a dyn Engine,
    pub(super) seal: &'a RowSeal,
}

impl EngineRows<'_> {
    /// Drops the small blobs in memory that no row refers to, and removes the files of those that
    /// were `spilled` and that no row needs.
    pub(super) fn drop_unreferenced(
        &self,
        blobs: &Blobs,
        spilled: &[BlobId],
        stop: &Stop,
    ) -> Result<(), StoreError> {
        let is_complete =
            self.get(build::STATE, build::REFERENCES)?.is_some_and(|row| row.value.is_empty());
        if is_complete {
            blobs.retain_unflushed(|id| self.is_needed(id))?;
            for id in spilled {
                stop.check()?;
                if !self.is_needed(id)? || self.place(id)?.is_some() {
                    blobs.remove_files(id)?;
                }
            }
            return Ok(());
        }
        // The references of a damaged row are unknown, and a rebuild may restore the row.
        let Some(referenced) = self.all_referenced(stop)? else { return Ok(()) };
        blobs.retain_unflushed(|id| Ok(referenced.contains(id)))?;
        for id in spilled.iter().filter(|id| !referenced.contains(*id)) {
            blobs.remove_files(id)?;
        }
        Ok(())
    }

    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        let stored = self.engine.get(table.name(), key)?;
        stored.map(|bytes| self.seal.open(table.name(), key, bytes)).transpose()
    }

    fn is_needed(&self, id: &BlobId) -> Result<bool, StoreError> {
        let scan = references::first_references(id, 1);
        Ok(!self.engine.scan(REFERENCES.name(), &scan)?.is_empty())
    }

    fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        let scan = references::first_references(id, 1);
        let first = self.engine.scan(REFERENCES.name(), &scan)?.pop();
        let open =
            |(key, bytes): (Vec<u8>, Vec<u8>)| self.seal.open(REFERENCES.name(), &key, bytes);
        references::place_in(first.map(open).transpose()?.as_ref(), || self.get(LOOSE, &id.0))
    }

    /// Every blob that a row refers to; `None` if a row is damaged.
    fn all_referenced(&self, stop: &Stop) -> Result<Option<HashSet<BlobId>>, StoreError> {
        let mut referenced = HashSet::new();
        let mut after: Option<(String, Vec<u8>)> = None;
        loop {
            stop.check()?;
            let page = self.engine.walk(
                after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice())),
                WALK_ROWS,
            )?;
            let is_last = page.len() < WALK_ROWS;
            for cell in page {
                match self.seal.open(&cell.table, &cell.key, cell.value) {
                    Ok(row) => referenced.extend(row.blobs),
                    Err(_) => return Ok(None),
                }
                after = Some((cell.table, cell.key));
            }
            if is_last {
                return Ok(Some(referenced));
            }
        }
    }
}
