//! Collection: what no row refers to is found by a look at all rows, then swept. Rows go first,
//! files later, pinned ones never.

use std::collections::HashSet;
use std::path::PathBuf;

use super::file::Name;
use super::{Blobs, told};
use crate::types::{BlobId, StoreError};

/// What was pinned at any moment of a collection, and the names of its files.
#[derive(Default)]
pub(super) struct Touched {
    ids: HashSet<BlobId>,
    names: HashSet<Name>,
}

impl Touched {
    pub(super) fn insert(&mut self, id: BlobId, names: [Name; 2]) {
        self.ids.insert(id);
        self.names.extend(names);
    }
}

/// A collection that has begun: whatever is pinned from its beginning on is left alone. Begin it,
/// then look at the rows.
#[must_use]
#[derive(Debug)]
pub struct Collection {
    blobs: Blobs,
    number: u64,
}

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Small blobs forgotten before they were filed.
    pub small: u64,
    /// Of those that were to be unlinked, what somebody had pinned meanwhile: it may lie there
    /// still.
    pub pinned: HashSet<BlobId>,
}

impl Blobs {
    /// Begins a collection.
    pub fn collection(&self) -> Collection {
        let mut state = self.state();
        let mut touched = Touched::default();
        for id in state.pins.keys() {
            touched.insert(*id, self.names(id));
        }
        state.collections += 1;
        let number = state.collections;
        state.touched.insert(number, touched);
        drop(state);
        Collection { blobs: self.clone(), number }
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.blobs.state().touched.remove(&self.number);
    }
}

impl Collection {
    /// Removes every blob not in `live` (what the rows referred to, seen after the beginning) that
    /// was not pinned meanwhile.
    ///
    /// # Errors
    /// The disk's; what was removed stays removed.
    pub fn sweep(self, live: &HashSet<BlobId>) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _filing = blobs.filing();
        let mut collected = Collected::default();
        {
            let mut state = blobs.state();
            let state = &mut *state;
            let touched = state.touched.get(&self.number).map(|touched| &touched.ids);
            let before = state.small.len();
            state.small.retain(|id, _| {
                live.contains(id) || touched.is_some_and(|touched| touched.contains(id))
            });
            collected.small = (before - state.small.len()) as u64;
        }
        for orphan in self.orphans(live)?.into_iter().flatten() {
            collected.files += u64::from(self.remove(&orphan)?);
        }
        Ok(collected)
    }

    /// Removes those of `gone` that are not in `live` and were not pinned meanwhile, durably.
    ///
    /// # Errors
    /// The disk's; part may have been removed.
    pub fn unlink(self, gone: &[BlobId], live: &HashSet<BlobId>) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _filing = blobs.filing();
        let mut collected = Collected::default();
        for id in gone.iter().filter(|id| !live.contains(id)) {
            {
                let mut state = blobs.state();
                let touched =
                    state.touched.get(&self.number).is_some_and(|touched| touched.ids.contains(id));
                if !touched && state.small.remove(id).is_some() {
                    collected.small += 1;
                }
            }
            for name in blobs.names(id) {
                if self.remove(&name)? {
                    collected.files += 1;
                    let path = blobs.path(&name);
                    if let Some(folder) = path.parent() {
                        blobs.0.fs.sync_folder(folder).map_err(|e| told(&e))?;
                    }
                }
            }
            if blobs
                .state()
                .touched
                .get(&self.number)
                .is_some_and(|touched| touched.ids.contains(id))
            {
                collected.pinned.insert(*id);
            }
        }
        Ok(collected)
    }

    /// The files that belong to no blob of `live`, nor to one that was pinned meanwhile, nor to one
    /// in memory (that is written over when it is filed); what is none of ours by its path.
    pub(super) fn orphans(
        &self,
        live: &HashSet<BlobId>,
    ) -> Result<Vec<Result<Name, PathBuf>>, StoreError> {
        let blobs = &self.blobs;
        let mut names: HashSet<Name> = live.iter().flat_map(|id| blobs.names(id)).collect();
        names.extend(blobs.state().small.keys().flat_map(|id| blobs.names(id)));
        let mut orphans = Vec::new();
        blobs.each_file(|found| {
            if found.as_ref().is_ok_and(|name| !names.contains(name) && !self.is_touched(name))
                || found.is_err()
            {
                orphans.push(found);
            }
            Ok(())
        })?;
        Ok(orphans)
    }

    /// The paths of what [`Collection::sweep`] would remove, and of what is not ours.
    ///
    /// # Errors
    /// The disk's.
    pub fn orphan_paths(&self, live: &HashSet<BlobId>) -> Result<Vec<PathBuf>, StoreError> {
        let path = |found: Result<Name, PathBuf>| {
            found.map_or_else(|path| path, |name| self.blobs.path(&name))
        };
        Ok(self.orphans(live)?.into_iter().map(path).collect())
    }

    pub(super) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    fn is_touched(&self, name: &Name) -> bool {
        self.blobs
            .state()
            .touched
            .get(&self.number)
            .is_some_and(|touched| touched.names.contains(name))
    }

    /// Removes a file unless its blob was pinned since the beginning. The state is locked over
    /// both, so that who pins first keeps the file and who pins later does not find it.
    pub(super) fn remove(&self, name: &Name) -> Result<bool, StoreError> {
        let state = self.blobs.state();
        let touched =
            state.touched.get(&self.number).is_some_and(|touched| touched.names.contains(name));
        if touched { Ok(false) } else { self.blobs.unlink(name) }
    }
}
