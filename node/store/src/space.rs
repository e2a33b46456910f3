//! Free space: writes that grow the store are refused under a watermark, so that reading, signing
//! in and deleting go on. If the disk is full nevertheless, a preallocated reserve is released for
//! deletes and checkpoints. It is allocated again when space is free.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::{self, Fs};
use crate::types::StoreError;

/// The name of the reserve file in the data folder.
const RESERVE_NAME: &str = "reserve";

/// How much space is kept free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// Writes that grow the store are refused with less free space than this; bytes.
    pub watermark: u64,
    /// Content of other people is refused with less free space than this.
    pub strangers: StrangersMargin,
    /// The size of the reserve for deletes and checkpoints: some log segments and the engine's
    /// files; bytes.
    pub reserve: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Self {
            watermark: 128 * 1024 * 1024,
            strangers: StrangersMargin::OfDisk,
            reserve: 64 * 1024 * 1024,
        }
    }
}

impl Margins {
    /// No margin and no reserve.
    pub const NONE: Self = Self { watermark: 0, strangers: StrangersMargin::Len(0), reserve: 0 };
}

/// The free space under which content of other people is refused, so that they cannot take the
/// space that the owner needs. Never less than the owner's watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangersMargin {
    /// The larger of 2 GiB and a tenth of the disk, but at most an eighth of it and at most 8 GiB.
    /// On a disk of less than 16 GiB, 2 GiB would be so large a part that a new node would refuse
    /// mail from its first day; on a disk of a terabyte, a tenth is space for years of mail.
    OfDisk,
    /// A fixed length, in bytes.
    Len(u64),
}

const GIB: u64 = 1024 * 1024 * 1024;

impl StrangersMargin {
    fn len(self, total: u64) -> u64 {
        match self {
            Self::OfDisk => (total / 10).clamp(2 * GIB, 8 * GIB).min(total / 8),
            Self::Len(len) => len,
        }
    }
}

/// The free space of the data folder's file system, and the reserve. Cheap to clone.
#[derive(Clone)]
pub struct FreeSpace(Arc<Inner>);

struct Inner {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    margins: Margins,
    /// True if the reserve is allocated; locked while it is allocated or released.
    reserved: Mutex<bool>,
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FreeSpace({}, {:?})", self.0.folder.display(), self.0.margins)
    }
}

impl FreeSpace {
    /// Checks the file system of `folder`, and allocates the reserve there if enough space is free.
    pub fn new(fs: Arc<dyn Fs>, folder: &Path, margins: Margins) -> Self {
        let space = Self(Arc::new(Inner {
            fs,
            folder: folder.to_owned(),
            margins,
            reserved: Mutex::new(false),
        }));
        space.allocate_reserve();
        space
    }

    /// The free space of a file system that cannot be written: nothing is checked or allocated.
    pub fn unmanaged(fs: Arc<dyn Fs>, folder: &Path) -> Self {
        Self::new(fs, folder, Margins::NONE)
    }

    /// Checks that the store may grow.
    ///
    /// # Errors
    /// [`StoreError::Full`] under the watermark.
    pub fn check(&self) -> Result<(), StoreError> {
        let inner = &self.0;
        let free = self.free();
        if free < inner.margins.watermark {
            return Err(StoreError::Full);
        }
        if free >= inner.margins.watermark.saturating_add(inner.margins.reserve) {
            self.allocate_reserve();
        }
        Ok(())
    }

    /// The free space, in bytes; `u64::MAX` if it cannot be read: the write itself then shows
    /// whether the disk is full.
    pub(crate) fn free(&self) -> u64 {
        self.0.fs.space(&self.0.folder).map_or(u64::MAX, |space| space.free)
    }

    /// The bytes by which the store may grow; `None` if the free space cannot be read.
    pub fn left(&self) -> Option<u64> {
        let space = self.0.fs.space(&self.0.folder).ok()?;
        Some(space.free.saturating_sub(self.0.margins.watermark))
    }

    /// Checks that the store may grow by `len` bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`] if that would bring free space under the watermark.
    pub fn check_space_for(&self, len: u64) -> Result<(), StoreError> {
        let inner = &self.0;
        let free = self.free();
        if free < inner.margins.watermark.saturating_add(len) {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }

    /// Checks that the store may take `len` bytes of content from other people.
    ///
    /// # Errors
    /// [`StoreError::Full`] if that would bring free space under the margin for it.
    pub fn check_space_for_strangers(&self, len: u64) -> Result<(), StoreError> {
        let inner = &self.0;
        let Ok(space) = inner.fs.space(&inner.folder) else { return Ok(()) };
        let margin = inner.margins.strangers.len(space.total).max(inner.margins.watermark);
        if space.free < margin.saturating_add(len) { Err(StoreError::Full) } else { Ok(()) }
    }

    /// True unless the reserve was released, or never allocated.
    pub(crate) fn has_reserve(&self) -> bool {
        self.0.margins.reserve == 0
            || *self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that `len` bytes may be written by work that frees space in the end, such as a
    /// snapshot. The work may go under the watermark, but must leave half the length of the reserve
    /// for concurrent deletes and checkpoints.
    ///
    /// # Errors
    /// [`StoreError::Full`] if less would remain.
    pub(crate) fn check_space_to_compact(&self, len: u64) -> Result<(), StoreError> {
        let inner = &self.0;
        let free = self.free();
        if free < (inner.margins.reserve / 2).saturating_add(len) {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }

    /// Runs work that must succeed on a full disk (a delete, a checkpoint). If it fails because the
    /// disk is full, releases the reserve and runs it once more.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn with_reserve<T, E>(
        &self,
        is_full: impl Fn(&E) -> bool,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        match work() {
            Err(error) if is_full(&error) && self.release_reserve() => work(),
            other => other,
        }
    }

    /// Allocates the reserve again if it was released and enough space is free.
    pub(crate) fn restore_reserve(&self) {
        let reserved = *self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if !reserved {
            // The reserve is allocated as a side effect; the result matters to admission only.
            let _ = self.check();
        }
    }

    /// Releases the reserve; false if it was not allocated.
    pub(crate) fn release_reserve(&self) -> bool {
        let inner = &self.0;
        let mut reserved = inner.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reserved {
            return false;
        }
        let removed = inner.fs.remove(&inner.folder.join(RESERVE_NAME));
        *reserved = removed.is_err();
        if removed.is_ok() {
            tracing::warn!(
                "the disk is full; the reserve is released for deletes, free some space"
            );
        }
        removed.is_ok()
    }

    fn allocate_reserve(&self) {
        let inner = &self.0;
        let mut reserved = inner.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if *reserved || inner.margins.reserve == 0 {
            return;
        }
        let path = inner.folder.join(RESERVE_NAME);
        let file = match inner.fs.create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => inner.fs.edit(&path),
            other => other,
        };
        // The reserve is optional: if the disk has no space for it, the store goes on and tries
        // again later.
        match file.and_then(|file| file.allocate(inner.margins.reserve)) {
            Ok(()) => *reserved = true,
            Err(error) => {
                if !fs::is_full(&error) {
                    tracing::warn!(%error, "the reserve file cannot be allocated");
                }
                let _ = inner.fs.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Fault, MemoryFs};

    const MARGINS: Margins =
        Margins { watermark: 1000, strangers: StrangersMargin::Len(1500), reserve: 500 };

    fn space() -> (MemoryFs, FreeSpace) {
        let fs = MemoryFs::new();
        (fs.clone(), FreeSpace::new(Arc::new(fs), Path::new("/"), MARGINS))
    }

    fn reserve_len(fs: &MemoryFs) -> Option<u64> {
        fs.open(Path::new("/reserve")).ok().map(|file| file.len().unwrap())
    }

    #[test]
    fn growth_is_refused_under_the_watermark_only() {
        let (fs, space) = space();
        assert_eq!(space.check(), Ok(()));
        fs.set_free(999);
        assert_eq!(space.check(), Err(StoreError::Full));
        fs.set_free(1000);
        assert_eq!(space.check(), Ok(()));
    }

    #[test]
    fn strangers_are_refused_before_the_owner() {
        let (fs, space) = space();
        fs.set_free(1600);
        assert_eq!(space.check_space_for_strangers(100), Ok(()));
        assert_eq!(space.check_space_for_strangers(101), Err(StoreError::Full));
        assert_eq!(space.check_space_for(600), Ok(()));
        let tight = Margins { strangers: StrangersMargin::Len(0), ..MARGINS };
        let space = FreeSpace::new(Arc::new(fs.clone()), Path::new("/"), tight);
        fs.set_free(999);
        assert_eq!(space.check_space_for_strangers(0), Err(StoreError::Full));
    }

    #[test]
    fn strangers_margin_leaves_disks_usable() {
        let margin = |total| StrangersMargin::OfDisk.len(total);
        assert_eq!([1000, 80].map(|total| margin(total * GIB)), [8 * GIB; 2]);
        assert_eq!(margin(50 * GIB), 5 * GIB);
        assert_eq!([20, 18, 16].map(|total| margin(total * GIB)), [2 * GIB; 3]);
        assert_eq!(margin(8 * GIB), GIB);
        assert_eq!(margin(GIB), GIB / 8);
    }

    #[test]
    fn reserve_is_released_once_and_allocated_again() {
        let (fs, space) = space();
        assert_eq!(reserve_len(&fs), Some(500));
        let is_full = |error: &StoreError| *error == StoreError::Full;
        let mut tries = 0;
        let result = space.with_reserve(is_full, || {
            tries += 1;
            if reserve_len(&fs).is_some() { Err(StoreError::Full) } else { Ok(tries) }
        });
        assert_eq!(result, Ok(2));
        assert_eq!(
            space.with_reserve::<(), _>(is_full, || Err(StoreError::Full)),
            Err(StoreError::Full)
        );
        fs.set_free(1499);
        assert_eq!((space.check(), reserve_len(&fs)), (Ok(()), None));
        fs.set_free(1500);
        assert_eq!((space.check(), reserve_len(&fs)), (Ok(()), Some(500)));
    }

    #[test]
    fn other_errors_do_not_release_the_reserve() {
        let (fs, space) = space();
        let failed: Result<(), _> =
            space.with_reserve(|e| *e == StoreError::Full, || Err(StoreError::NoBlob));
        assert_eq!(failed, Err(StoreError::NoBlob));
        assert_eq!(reserve_len(&fs), Some(500));
    }

    #[test]
    fn full_disk_without_reserve_allows_growth_later() {
        let fs = MemoryFs::new();
        fs.fail_at(2, Fault::Full);
        let space = FreeSpace::new(Arc::new(fs.clone()), Path::new("/"), MARGINS);
        assert_eq!(reserve_len(&fs), None);
        assert!(!space.release_reserve());
        assert_eq!(space.check(), Ok(()));
        assert_eq!(reserve_len(&fs), Some(500));
    }

    #[test]
    fn reserve_of_an_earlier_run_is_reused() {
        let (fs, space) = space();
        drop(space);
        let space = FreeSpace::new(
            Arc::new(fs.clone()),
            Path::new("/"),
            Margins { reserve: 700, ..MARGINS },
        );
        assert_eq!(reserve_len(&fs), Some(700));
        assert!(space.release_reserve());
    }
}
