//! The places of small blobs: the changes that write them to rows.
//!
//! A checkpoint writes the small blobs of the log to packs (blobs/packs.rs) and then their places,
//! here. So does a rewrite of a pack, and the move of files of earlier versions.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};

use super::pending::PendingChange;
use super::queue::{Job, Queue};
use super::references::{self, PACKS};
use super::sealed_rows::SealedRows;
use super::shared::Shared;
use super::tx::Tx;
use super::{BlobId, Scan, Store, StoreError};
use crate::blobs::{Blobs, PackRow, Place, PlaceRows};
use crate::hints::Hint;

mod old_files;
mod rewrite;

pub use old_files::Pause;
pub use rewrite::Rewritten;

/// The most places of one change.
pub(super) const PLACES_MAX: usize = 900;

/// Where a blob was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In memory and in the log.
    Memory,
    /// At another place.
    Pack(Place),
    /// In a file of an earlier version.
    File,
}

/// A blob that was written to a pack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) id: BlobId,
    pub(super) from: Source,
    pub(super) to: Place,
}

/// A change that writes places.
pub(super) type PlaceChange = Vec<Moved>;

/// Writes the places of `moved`, except of blobs that were removed or moved meanwhile: their new
/// entries are dead. Returns the blobs whose place was written.
pub(super) fn write_places(
    tx: &mut Tx<'_, impl Hint>,
    blobs: &Blobs,
    moved: &[Moved],
) -> Result<Vec<BlobId>, StoreError> {
    // A checkpoint must succeed on a full disk.
    tx.mark_internal();
    let mut written = Vec::with_capacity(moved.len());
    for Moved { id, from, to } in moved {
        let current = references::place(tx, id)?;
        let is_current = match from {
            Source::Memory => blobs.awaits_place(id),
            Source::Pack(from) => current == Some(*from),
            Source::File => {
                current.is_none() && !blobs.is_in_memory(id) && references::is_needed(tx, id)?
            }
        };
        if is_current {
            references::set_place(tx, id, Some(*to))?;
            if let Some(old) = current {
                references::change_live(tx, old, false)?;
            }
            references::change_live(tx, *to, true)?;
            written.push(*id);
        } else {
            let mut row = references::pack(tx, to.pack)?.unwrap_or_default();
            row.end = row.end.max(to.end());
            references::set_pack(tx, to.pack, row);
        }
    }
    Ok(written)
}

/// Writes the small blobs of the log to packs, and their places by `commit`.
///
/// # Errors
/// The disk's, and those of `commit`; the remaining blobs stay in memory.
pub(super) fn pack(
    blobs: &Blobs,
    write: impl FnOnce(&[(BlobId, Arc<[u8]>)]) -> Result<Vec<(BlobId, Place)>, StoreError>,
    commit: &mut dyn FnMut(Vec<PlaceChange>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let waiting = blobs.awaiting_place();
    if waiting.is_empty() {
        return Ok(());
    }
    let places = write(&waiting)?;
    drop(waiting);
    let moved = |part: &[(BlobId, Place)]| {
        part.iter().map(|(id, to)| Moved { id: *id, from: Source::Memory, to: *to }).collect()
    };
    commit(places.chunks(PLACES_MAX).map(moved).collect())
}

/// A change of the committer that writes places, and the channel of its result.
pub(super) fn place_job<H: Hint>(
    blobs: Blobs,
    change: PlaceChange,
) -> (Box<dyn Job<H>>, Receiver<Result<(), StoreError>>) {
    let (reply, result) = std::sync::mpsc::sync_channel(1);
    let work = move |tx: &mut Tx<'_, H>| write_places(tx, &blobs, &change).map(drop);
    (Box::new(PendingChange::new(work, reply)), result)
}

/// Commits places on the committer's thread, for the thread of checkpoints.
pub(super) struct PlaceQueue<H> {
    pub(super) queue: Weak<Queue<H>>,
    pub(super) shared: Weak<Shared>,
}

impl<H: Hint> PlaceQueue<H> {
    /// Commits all changes, in as few groups as possible, and returns when they are durable.
    pub(super) fn commit(&self, changes: Vec<PlaceChange>) -> Result<(), StoreError> {
        let (Some(queue), Some(shared)) = (self.queue.upgrade(), self.shared.upgrade()) else {
            return Err(super::stopped());
        };
        let Some(blobs) = shared.rows.blobs() else { return Ok(()) };
        let mut results = Vec::with_capacity(changes.len());
        for change in changes {
            let (job, result) = place_job(blobs.clone(), change);
            queue.push_urgent(job);
            results.push(result);
        }
        let outcome = |result: Receiver<Result<(), StoreError>>| {
            result.recv().unwrap_or_else(|_| Err(super::stopped()))
        };
        // All must be awaited: the lock of packing covers all of them.
        results.into_iter().map(outcome).fold(Ok(()), Result::and)
    }
}

/// The rows that say where blobs are, of a running store.
pub(super) struct RunningPlaces(pub(super) Weak<Shared>);

impl RunningPlaces {
    fn rows<T>(
        &self,
        read: impl FnOnce(&SealedRows) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.0.upgrade() {
            Some(shared) => read(&shared.rows),
            None => Err(super::stopped()),
        }
    }
}

impl PlaceRows for RunningPlaces {
    fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        self.rows(|rows| place(rows, id))
    }

    fn is_known(&self, id: &BlobId) -> Result<bool, StoreError> {
        self.rows(|rows| {
            let references =
                rows.scan(references::REFERENCES, &references::first_references(id, 1))?;
            Ok(!references.is_empty() || rows.get(references::LOOSE, &id.0)?.is_some())
        })
    }

    fn newest_pack(&self) -> Result<Option<(u32, PackRow)>, StoreError> {
        self.rows(|rows| {
            let newest = rows.scan(PACKS, &Scan::prefix(&[], 1).reversed())?.pop();
            Ok(newest.and_then(|(key, row)| references::pack_of(&key, &row)))
        })
    }
}

impl<H: Hint> Store<H> {
    /// The place of a blob; `None` if it is in no pack.
    fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        place(&self.0.shared.rows, id)
    }
}

/// The place of a blob; `None` if it is in no pack.
fn place(rows: &SealedRows, id: &BlobId) -> Result<Option<Place>, StoreError> {
    let first = rows.scan(references::REFERENCES, &references::first_references(id, 1))?.pop();
    references::place_in(first.as_ref().map(|(_, row)| row), || rows.get(references::LOOSE, &id.0))
}

/// The sums of all packs, in order of their numbers.
fn pack_rows(store: &Store<impl Hint>) -> Result<Vec<(u32, PackRow)>, StoreError> {
    let rows = store.scan(PACKS, &Scan::prefix(&[], usize::MAX))?;
    Ok(rows.iter().filter_map(|(key, row)| references::pack_of(key, row)).collect())
}
