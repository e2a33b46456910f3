//! Free space: growth is refused under a watermark, so that reading, signing in and deleting go on;
//! a preallocated reserve is given up for deletes and checkpoints on a disk that is full
//! nevertheless, and taken again once there is room.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::fs::{self, Fs};
use crate::types::StoreError;

const RESERVE_NAME: &str = "reserve";

/// How much room is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margins {
    /// With less free than this nothing is taken in; bytes.
    pub watermark: u64,
    /// Preallocated for deletes and checkpoints: some log segments and the engine's files; bytes.
    pub reserve: u64,
}

impl Default for Margins {
    fn default() -> Self {
        Self { watermark: 128 * 1024 * 1024, reserve: 64 * 1024 * 1024 }
    }
}

/// The watch over the data folder's file system. Cheap to clone.
#[derive(Clone)]
pub struct FreeSpace(Arc<Watch>);

struct Watch {
    fs: Arc<dyn Fs>,
    folder: PathBuf,
    margins: Margins,
    /// Whether the reserve is there; held while it is made or given up.
    reserved: Mutex<bool>,
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Space({}, {:?})", self.0.folder.display(), self.0.margins)
    }
}

impl FreeSpace {
    /// Watches the file system of `folder`, and sets the reserve aside there if there is room.
    pub fn new(fs: Arc<dyn Fs>, folder: &Path, margins: Margins) -> Self {
        let space = Self(Arc::new(Watch {
            fs,
            folder: folder.to_owned(),
            margins,
            reserved: Mutex::new(false),
        }));
        space.reserve_again();
        space
    }

    /// Whether growth is allowed now.
    ///
    /// # Errors
    /// [`StoreError::Full`] under the watermark.
    pub fn check(&self) -> Result<(), StoreError> {
        let watch = &self.0;
        // A file system that can't say is not for that reason full: writing to it will tell.
        let free = watch.fs.space(&watch.folder).map_or(u64::MAX, |space| space.free);
        if free < watch.margins.watermark {
            return Err(StoreError::Full);
        }
        if free >= watch.margins.watermark.saturating_add(watch.margins.reserve) {
            self.reserve_again();
        }
        Ok(())
    }

    /// Whether so many bytes more would leave growth allowed.
    ///
    /// # Errors
    /// [`StoreError::Full`] when they would not.
    pub fn check_space_for(&self, len: u64) -> Result<(), StoreError> {
        let watch = &self.0;
        let free = watch.fs.space(&watch.folder).map_or(u64::MAX, |space| space.free);
        if free < watch.margins.watermark.saturating_add(len) {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }

    /// Whether so many bytes may be written of what makes room in the end, as a snapshot does:
    /// under the watermark too, but half the reserve's length is left for the deletes and
    /// checkpoints of meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Full`] when they may not.
    pub fn room_to_shrink(&self, len: u64) -> Result<(), StoreError> {
        let watch = &self.0;
        let free = watch.fs.space(&watch.folder).map_or(u64::MAX, |space| space.free);
        if free < (watch.margins.reserve / 2).saturating_add(len) {
            Err(StoreError::Full)
        } else {
            Ok(())
        }
    }

    /// Does what must go on even on a full disk (a delete, a checkpoint): if it fails for want of
    /// space, gives the reserve up and does it once more.
    ///
    /// # Errors
    /// What `work` returned.
    pub fn pressing<T, E>(
        &self,
        is_full: impl Fn(&E) -> bool,
        mut work: impl FnMut() -> Result<T, E>,
    ) -> Result<T, E> {
        match work() {
            Err(error) if is_full(&error) && self.give_up_reserve() => work(),
            other => other,
        }
    }

    /// Takes the reserve again if it was given up and there is room.
    pub fn restore_reserve(&self) {
        let reserved = *self.0.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if !reserved {
            // What it says of room is for whoever lets something in.
            let _ = self.check();
        }
    }

    /// Gives the reserve up; false if there was none.
    pub fn give_up_reserve(&self) -> bool {
        let watch = &self.0;
        let mut reserved = watch.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reserved {
            return false;
        }
        let given = watch.fs.remove(&watch.folder.join(RESERVE_NAME));
        *reserved = given.is_err();
        if given.is_ok() {
            tracing::warn!("the disk is full: the reserve was given up so that deleting goes on");
        }
        given.is_ok()
    }

    fn reserve_again(&self) {
        let watch = &self.0;
        let mut reserved = watch.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if *reserved || watch.margins.reserve == 0 {
            return;
        }
        let path = watch.folder.join(RESERVE_NAME);
        let file = match watch.fs.create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => watch.fs.edit(&path),
            other => other,
        };
        // It is a margin, not a promise: without room for it the node runs on, and tries again when
        // there is.
        match file.and_then(|file| file.allocate(watch.margins.reserve)) {
            Ok(()) => *reserved = true,
            Err(error) => {
                if !fs::is_full(&error) {
                    tracing::warn!(%error, "no reserve can be set aside on this file system");
                }
                let _ = watch.fs.remove(&path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Fault, MemoryFs};

    const MARGINS: Margins = Margins { watermark: 1000, reserve: 500 };

    fn space() -> (MemoryFs, FreeSpace) {
        let fs = MemoryFs::new();
        (fs.clone(), FreeSpace::new(Arc::new(fs), Path::new("/"), MARGINS))
    }

    fn reserve_len(fs: &MemoryFs) -> Option<u64> {
        fs.open(Path::new("/reserve")).ok().map(|file| file.len().unwrap())
    }

    #[test]
    fn growth_stops_under_the_watermark_and_resumes_by_itself() {
        let (fs, space) = space();
        assert_eq!(space.check(), Ok(()));
        fs.set_free(999);
        assert_eq!(space.check(), Err(StoreError::Full));
        fs.set_free(1000);
        assert_eq!(space.check(), Ok(()));
    }

    #[test]
    fn the_reserve_is_given_up_once_for_what_presses_and_taken_again_later() {
        let (fs, space) = space();
        assert_eq!(reserve_len(&fs), Some(500));
        let is_full = |error: &StoreError| *error == StoreError::Full;
        let mut tries = 0;
        let done = space.pressing(is_full, || {
            tries += 1;
            if reserve_len(&fs).is_some() { Err(StoreError::Full) } else { Ok(tries) }
        });
        assert_eq!(done, Ok(2));
        assert_eq!(
            space.pressing::<(), _>(is_full, || Err(StoreError::Full)),
            Err(StoreError::Full)
        );
        fs.set_free(1499);
        assert_eq!((space.check(), reserve_len(&fs)), (Ok(()), None));
        fs.set_free(1500);
        assert_eq!((space.check(), reserve_len(&fs)), (Ok(()), Some(500)));
    }

    #[test]
    fn an_error_of_another_kind_costs_no_reserve() {
        let (fs, space) = space();
        let failed: Result<(), _> =
            space.pressing(|e| *e == StoreError::Full, || Err(StoreError::NoBlob));
        assert_eq!(failed, Err(StoreError::NoBlob));
        assert_eq!(reserve_len(&fs), Some(500));
    }

    #[test]
    fn without_room_for_a_reserve_the_node_runs_on() {
        let fs = MemoryFs::new();
        fs.fail_at(2, Fault::Full);
        let space = FreeSpace::new(Arc::new(fs.clone()), Path::new("/"), MARGINS);
        assert_eq!(reserve_len(&fs), None);
        assert!(!space.give_up_reserve());
        assert_eq!(space.check(), Ok(()));
        assert_eq!(reserve_len(&fs), Some(500));
    }

    #[test]
    fn a_reserve_left_by_an_earlier_run_is_taken_over() {
        let (fs, space) = space();
        drop(space);
        let space = FreeSpace::new(
            Arc::new(fs.clone()),
            Path::new("/"),
            Margins { reserve: 700, ..MARGINS },
        );
        assert_eq!(reserve_len(&fs), Some(700));
        assert!(space.give_up_reserve());
    }
}
