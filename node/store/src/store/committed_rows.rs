//! The durable rows as a change reads them. If the engine fails meanwhile, it is recovered and read
//! again, so that the change does not fail for it: the flush of earlier rows may find the disk full
//! while a delete is evaluated.

use super::sealed_rows::SealedRows;
use super::{BlobId, Row, Scan, StoreError, Table};
use crate::blobs::{Hold, SmallBlob};

/// The durable rows, and the recovery of their engine.
#[derive(Clone, Copy)]
pub(super) struct CommittedRows<'a> {
    rows: &'a SealedRows,
    /// Recovers a failed engine; true if it can be read again.
    recover: &'a dyn Fn() -> bool,
}

impl<'a> CommittedRows<'a> {
    pub(super) fn new(rows: &'a SealedRows, recover: &'a dyn Fn() -> bool) -> Self {
        Self { rows, recover }
    }

    pub(super) fn get(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.read(|rows| rows.get(table, key))
    }

    pub(super) fn get_named(&self, table: &str, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.read(|rows| rows.get_named(table, key))
    }

    pub(super) fn scan(
        &self,
        table: Table,
        scan: &Scan,
    ) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.read(|rows| rows.scan(table, scan))
    }

    /// As [`SealedRows::hold`].
    pub(super) fn hold(
        &self,
        id: &BlobId,
    ) -> Result<(Option<Hold>, Option<SmallBlob>), StoreError> {
        self.rows.hold(id)
    }

    fn read<T>(
        &self,
        read: impl Fn(&SealedRows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match read(self.rows) {
            Err(StoreError::Unavailable(_)) if self.rows.is_behind() && (self.recover)() => {
                read(self.rows)
            }
            result => result,
        }
    }
}
