//! Packs: files that hold many small blobs each.
//!
//! `packs/<number>.pack`: magic (8), then entries (packs/entry.rs). A pack is appended to until it
//! would be longer than 32 MiB. Then it is closed and never changed. A place, stored in a row, says
//! where a blob is; nothing else is known about a pack's content. The bytes after the last placed
//! entry are the tail of an interrupted write: no row ever refers to them.
//!
//! 1. Entries are appended and synced; the folder is synced for a new pack.
//! 2. A change writes their places.
//! 3. When the change is durable the blobs leave memory, and the log may be removed.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::Blobs;
use crate::fs::File;
use crate::types::{BlobId, StoreError};

mod entry;
mod file;
mod place;
mod write;

pub(crate) use place::{PackRow, Place};

/// The folder of the packs in the data folder.
pub(super) const FOLDER: &str = "packs";

/// The greatest length of a pack, in bytes.
pub(crate) const PACK_LEN_MAX: u32 = 32 * 1024 * 1024;

/// The rows that say where blobs are.
pub(crate) trait PlaceRows: Send + Sync {
    /// The place of a blob; `None` if it is in no pack.
    ///
    /// # Errors
    /// As [`StoreError`].
    fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError>;

    /// True if a durable row refers to the blob, or the last one that did was deleted and the blob
    /// not yet removed: then the blob was durable before that row.
    ///
    /// # Errors
    /// As [`StoreError`].
    fn is_known(&self, id: &BlobId) -> Result<bool, StoreError>;

    /// The newest pack that a row describes.
    ///
    /// # Errors
    /// As [`StoreError`].
    fn newest_pack(&self) -> Result<Option<(u32, PackRow)>, StoreError>;
}

/// The packs of one node.
#[derive(Default)]
pub(super) struct Packs {
    open: Mutex<write::OpenPacks>,
    rows: RwLock<Option<Arc<dyn PlaceRows>>>,
    /// The pack that was read last: messages that arrived one after another are in one pack.
    last_read: Mutex<Option<(u32, Arc<dyn File>)>>,
}

impl Blobs {
    /// Sets the rows that say where blobs are. Without them no blob is found in a pack.
    pub(crate) fn set_place_rows(&self, rows: Arc<dyn PlaceRows>) {
        *self.0.packs.rows.write().unwrap_or_else(PoisonError::into_inner) = Some(rows);
    }

    /// The bytes of a pack of length `len` that belong to no live entry.
    pub(crate) fn dead_len(len: u64, row: &PackRow) -> u64 {
        len.saturating_sub(u64::from(row.live)).saturating_sub(file::MAGIC.len() as u64)
    }

    fn place_rows(&self) -> Option<Arc<dyn PlaceRows>> {
        self.0.packs.rows.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True if a durable row refers to the blob, or did.
    pub(super) fn is_known(&self, id: &BlobId) -> Result<bool, StoreError> {
        self.place_rows().map_or(Ok(false), |rows| rows.is_known(id))
    }

    /// The place of a blob; `None` if it is in no pack.
    pub(super) fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        self.place_rows().map_or(Ok(None), |rows| rows.place(id))
    }
}
