//! Garbage collection of blobs: mark the blobs that rows refer to, then remove the others. Rows are
//! deleted before their blobs' files, and pinned blobs are never removed.

use std::collections::HashSet;
use std::path::PathBuf;

use super::file::FileName;
use super::{Blobs, map_error};
use crate::types::{BlobId, StoreError};

/// The blobs that were pinned at any time during a collection, and the names of their files.
#[derive(Default)]
pub(super) struct Protected {
    ids: HashSet<BlobId>,
    names: HashSet<FileName>,
}

impl Protected {
    pub(super) fn insert(&mut self, id: BlobId, names: [FileName; 2]) {
        self.ids.insert(id);
        self.names.extend(names);
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
    /// Small blobs removed from memory before they had a file.
    pub small: u64,
    /// Blobs that were to be unlinked but were pinned during the collection: they may still exist.
    pub pinned: HashSet<BlobId>,
}

impl Blobs {
    /// Begins a collection.
    pub fn collection(&self) -> Collection {
        let mut state = self.state();
        let mut protected = Protected::default();
        for id in state.pins.keys() {
            protected.insert(*id, self.names(id));
        }
        state.collections += 1;
        let number = state.collections;
        state.protected.insert(number, protected);
        drop(state);
        Collection { blobs: self.clone(), number }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.blobs.state().protected.remove(&self.number);
    }
}

impl Collection {
    /// Removes every blob that is not in `live` (the blobs that rows referred to after the
    /// collection began) and was not pinned during the collection.
    ///
    /// # Errors
    /// The disk's; some blobs may be removed.
    pub fn sweep(self, live: &HashSet<BlobId>) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _files = blobs.lock_files();
        let mut collected = Collected::default();
        {
            let mut state = blobs.state();
            let state = &mut *state;
            let protected = state.protected.get(&self.number).map(|protected| &protected.ids);
            let before = state.small.len();
            state.small.retain(|id, _| {
                live.contains(id) || protected.is_some_and(|protected| protected.contains(id))
            });
            collected.small = (before - state.small.len()) as u64;
        }
        for orphan in self.orphans(live)?.into_iter().flatten() {
            collected.files += u64::from(self.remove(&orphan)?);
        }
        Ok(collected)
    }

    /// Removes the blobs of `unreferenced` that are not in `live` and were not pinned during the
    /// collection, durably.
    ///
    /// # Errors
    /// The disk's; some blobs may be removed.
    pub fn unlink(
        self,
        unreferenced: &[BlobId],
        live: &HashSet<BlobId>,
    ) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _files = blobs.lock_files();
        let mut collected = Collected::default();
        for id in unreferenced.iter().filter(|id| !live.contains(id)) {
            {
                let mut state = blobs.state();
                let protected = state
                    .protected
                    .get(&self.number)
                    .is_some_and(|protected| protected.ids.contains(id));
                if !protected && state.small.remove(id).is_some() {
                    collected.small += 1;
                }
            }
            for name in blobs.names(id) {
                if self.remove(&name)? {
                    collected.files += 1;
                    let path = blobs.path(&name);
                    if let Some(folder) = path.parent() {
                        blobs.0.fs.sync_folder(folder).map_err(|e| map_error(&e))?;
                    }
                }
            }
            if blobs
                .state()
                .protected
                .get(&self.number)
                .is_some_and(|protected| protected.ids.contains(id))
            {
                collected.pinned.insert(*id);
            }
        }
        Ok(collected)
    }

    /// The files of blobs that are not in `live`, were not pinned during the collection and are not
    /// in memory (a flush would overwrite the files of those). A file whose name is not a blob's is
    /// given by its path.
    pub(super) fn orphans(
        &self,
        live: &HashSet<BlobId>,
    ) -> Result<Vec<Result<FileName, PathBuf>>, StoreError> {
        let blobs = &self.blobs;
        let mut names: HashSet<FileName> = live.iter().flat_map(|id| blobs.names(id)).collect();
        names.extend(blobs.state().small.keys().flat_map(|id| blobs.names(id)));
        let mut orphans = Vec::new();
        blobs.each_file(|file| {
            if file.as_ref().is_ok_and(|name| !names.contains(name) && !self.is_protected(name))
                || file.is_err()
            {
                orphans.push(file);
            }
            Ok(())
        })?;
        Ok(orphans)
    }

    /// The paths of the files that [`Collection::sweep`] would remove, and of files that are no
    /// blobs.
    ///
    /// # Errors
    /// The disk's.
    pub fn orphan_paths(&self, live: &HashSet<BlobId>) -> Result<Vec<PathBuf>, StoreError> {
        let path = |file: Result<FileName, PathBuf>| {
            file.map_or_else(|path| path, |name| self.blobs.path(&name))
        };
        Ok(self.orphans(live)?.into_iter().map(path).collect())
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    fn is_protected(&self, name: &FileName) -> bool {
        self.blobs
            .state()
            .protected
            .get(&self.number)
            .is_some_and(|protected| protected.names.contains(name))
    }

    /// Removes a file unless its blob was pinned since the collection began; true if it was
    /// removed. The state stays locked over check and removal: a pin either comes first and
    /// protects the file, or comes later and does not find it.
    pub(super) fn remove(&self, name: &FileName) -> Result<bool, StoreError> {
        let state = self.blobs.state();
        let protected = state
            .protected
            .get(&self.number)
            .is_some_and(|protected| protected.names.contains(name));
        if protected { Ok(false) } else { self.blobs.unlink(name) }
    }
}
