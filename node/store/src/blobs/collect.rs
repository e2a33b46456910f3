//! Removing the files of blobs. Rows are deleted before, and pinned blobs are never removed.

use std::collections::HashSet;
use std::path::PathBuf;

use super::file::FileName;
use super::{Blobs, map_error};
use crate::types::{BlobId, StoreError};

/// The names of the files of blobs that were pinned at any time during a collection.
#[derive(Default)]
pub(super) struct Protected(HashSet<FileName>);

impl Protected {
    pub(super) fn insert(&mut self, names: [FileName; 2]) {
        self.0.extend(names);
    }
}

/// A running collection. A blob that is pinned at any time since its beginning is not removed.
/// Begin it before reading the rows, so that no new reference is missed.
#[must_use]
#[derive(Debug)]
pub struct Collection {
    blobs: Blobs,
    number: u64,
}

/// The result of a collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Small blobs removed from memory before a pack held them.
    pub small: u64,
    /// Small blobs removed from packs: their bytes stay until the pack is rewritten.
    pub packed: u64,
    /// Blobs that were to be unlinked but were pinned: they may still exist.
    pub pinned: HashSet<BlobId>,
}

impl Collected {
    /// Adds another result.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.small += other.small;
        self.packed += other.packed;
        self.pinned.extend(other.pinned);
    }
}

/// The files of blobs on the disk. Those that no row needs remain after the rows were read.
#[derive(Debug, Default)]
pub(crate) struct BlobFiles {
    names: HashSet<FileName>,
    /// Needed blobs with a sealed and a plain file, of an interrupted move.
    twice: Vec<BlobId>,
    /// The paths of files that are no blobs.
    foreign: Vec<PathBuf>,
}

impl Blobs {
    /// Begins a collection.
    pub fn collection(&self) -> Collection {
        let mut state = self.state();
        let mut protected = Protected::default();
        for id in state.pins.keys() {
            protected.insert(self.names(id));
        }
        state.collections += 1;
        let number = state.collections;
        state.protected.insert(number, protected);
        drop(state);
        Collection { blobs: self.clone(), number }
    }

    /// All files in the folder of blobs.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn all_files(&self) -> Result<BlobFiles, StoreError> {
        let mut files = BlobFiles::default();
        self.each_file(|file| {
            match file {
                Ok(name) => _ = files.names.insert(name),
                Err(path) => files.foreign.push(path),
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// Removes the files of a blob, durably, unless it is pinned. Returns the number of files;
    /// `None` if it is pinned.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove_files(&self, id: &BlobId) -> Result<Option<u64>, StoreError> {
        let _files = self.lock_files();
        let mut removed = 0;
        for name in self.names(id) {
            {
                // Locked over check and removal: a pin either comes first and protects the file, or
                // comes later and does not find it.
                let state = self.state();
                if state.pins.contains_key(id) {
                    return Ok(None);
                }
                if !self.unlink(&name)? {
                    continue;
                }
            }
            removed += 1;
            self.sync_folder_of(&name)?;
        }
        Ok(Some(removed))
    }

    /// Removes the files of a blob that a pack holds, or only the plain file of one that has a
    /// sealed file. After a power cut they may exist again; then no row needs them.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove_old_files(
        &self,
        id: &BlobId,
        keep_sealed: bool,
    ) -> Result<(), StoreError> {
        let _files = self.lock_files();
        let [sealed, plain] = self.names(id);
        let old = [(!keep_sealed).then_some(sealed), Some(plain)];
        for name in old.into_iter().flatten() {
            self.unlink(&name)?;
        }
        Ok(())
    }

    fn sync_folder_of(&self, name: &FileName) -> Result<(), StoreError> {
        let path = self.path(name);
        path.parent()
            .map_or(Ok(()), |folder| self.0.fs.sync_folder(folder))
            .map_err(|e| map_error(&e))
    }
}

impl BlobFiles {
    /// True if there is no file of a blob.
    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Takes a needed blob's files out.
    pub(crate) fn keep(&mut self, blobs: &Blobs, id: &BlobId) {
        let found = blobs.names(id).map(|name| self.names.remove(&name));
        if found == [true, true] {
            self.twice.push(*id);
        }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.blobs.state().protected.remove(&self.number);
    }
}

impl Collection {
    /// Removes the remaining files of blobs, those excepted that were pinned during the collection
    /// or are in memory, and the plain files of blobs that have a sealed one, which is written
    /// again. Returns their number.
    ///
    /// # Errors
    /// The disk's; some files may be removed.
    pub(crate) fn sweep(self, files: BlobFiles) -> Result<u64, StoreError> {
        let mut removed = 0;
        for id in &files.twice {
            removed += u64::from(self.blobs.seal_plain(id)?);
        }
        let _files = self.blobs.lock_files();
        for name in self.without_small(files.names) {
            removed += u64::from(self.remove(&name)?);
        }
        Ok(removed)
    }

    /// The paths of the files that [`Collection::sweep`] would remove, and of files that are no
    /// blobs.
    pub(crate) fn orphan_paths(&self, files: BlobFiles) -> Vec<PathBuf> {
        let mut names = files.names;
        for id in &files.twice {
            let [_, plain] = self.blobs.names(id);
            names.insert(plain);
        }
        let names = self.without_small(names).into_iter();
        let orphans = names.filter(|name| !self.is_protected(name));
        orphans.map(|name| self.blobs.path(&name)).chain(files.foreign).collect()
    }

    /// Without the files of blobs in memory: no row may say yet that a row needs them.
    fn without_small(&self, mut names: HashSet<FileName>) -> HashSet<FileName> {
        let small: Vec<BlobId> = self.blobs.state().small.keys().copied().collect();
        for name in small.iter().flat_map(|id| self.blobs.names(id)) {
            names.remove(&name);
        }
        names
    }

    fn is_protected(&self, name: &FileName) -> bool {
        self.blobs
            .state()
            .protected
            .get(&self.number)
            .is_some_and(|protected| protected.0.contains(name))
    }

    /// Removes a file unless its blob was pinned since the collection began; true if it was
    /// removed. The state stays locked over check and removal: a pin either comes first and
    /// protects the file, or comes later and does not find it.
    fn remove(&self, name: &FileName) -> Result<bool, StoreError> {
        let state = self.blobs.state();
        let protected =
            state.protected.get(&self.number).is_some_and(|protected| protected.0.contains(name));
        if protected { Ok(false) } else { self.blobs.unlink(name) }
    }
}
