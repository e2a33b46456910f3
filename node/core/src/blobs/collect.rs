//! Collection: what no row refers to is marked by a look at all rows, then swept. Rows go first, files later, pinned ones never.

use std::collections::HashSet;
use std::path::PathBuf;

use super::file::Name;
use super::{Blobs, told};
use crate::store::{BlobId, StoreError};

/// A collection that has begun: whatever is pinned from its beginning on is left alone. Begin it, then look at the rows.
#[must_use]
#[derive(Debug)]
pub struct Collection {
    blobs: Blobs,
}

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

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files removed.
    pub files: u64,
    /// Small blobs forgotten before they were filed.
    pub small: u64,
}

impl Blobs {
    /// Begins a collection; `None` while another runs.
    pub fn collection(&self) -> Option<Collection> {
        let mut state = self.state();
        if state.touched.is_some() {
            return None;
        }
        let mut touched = Touched::default();
        for id in state.pins.keys() {
            touched.insert(*id, self.names(id));
        }
        state.touched = Some(touched);
        drop(state);
        Some(Collection { blobs: self.clone() })
    }

    /// The files that belong to none of `live`: orphans, by path.
    ///
    /// # Errors
    /// The disk's.
    pub fn orphans(&self, live: &HashSet<BlobId>) -> Result<Vec<PathBuf>, StoreError> {
        let names: HashSet<Name> = live.iter().flat_map(|id| self.names(id)).collect();
        let mut orphans = Vec::new();
        self.each_file(|found| {
            match found {
                Ok(name) if names.contains(&name) => {}
                Ok(name) => orphans.push(self.path(&name)),
                Err(path) => orphans.push(path),
            }
            Ok(())
        })?;
        Ok(orphans)
    }
}

impl Drop for Collection {
    fn drop(&mut self) {
        self.blobs.state().touched = None;
    }
}

impl Collection {
    /// Removes every blob not in `live` (what the rows referred to, seen after the beginning) that was not pinned meanwhile.
    ///
    /// # Errors
    /// The disk's; what was removed stays removed.
    pub fn sweep(self, live: &HashSet<BlobId>) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _filing = blobs.filing();
        let mut collected = Collected::default();
        let mut names: HashSet<Name> = live.iter().flat_map(|id| blobs.names(id)).collect();
        {
            let mut state = blobs.state();
            let state = &mut *state;
            let touched = state.touched.as_ref().map(|touched| &touched.ids);
            let before = state.small.len();
            state.small.retain(|id, _| live.contains(id) || touched.is_some_and(|touched| touched.contains(id)));
            collected.small = (before - state.small.len()) as u64;
            // A small blob in memory may have a file already, of an interrupted filing; that one is written over.
            names.extend(state.small.keys().flat_map(|id| blobs.names(id)));
        }
        let mut dead = Vec::new();
        blobs.each_file(|found| {
            dead.extend(found.ok().filter(|name| !names.contains(name)));
            Ok(())
        })?;
        for name in dead {
            collected.files += u64::from(self.remove(&name)?);
        }
        Ok(collected)
    }

    /// Removes those of `gone` that are not in `live` and were not pinned meanwhile, durably: for a deletion that is
    /// acknowledged only once it is real.
    ///
    /// # Errors
    /// The disk's; part may have been removed.
    pub fn unlink_now(self, gone: &[BlobId], live: &HashSet<BlobId>) -> Result<Collected, StoreError> {
        let blobs = &self.blobs;
        let _filing = blobs.filing();
        let mut collected = Collected::default();
        for id in gone.iter().filter(|id| !live.contains(id)) {
            {
                let mut state = blobs.state();
                let touched = state.touched.as_ref().is_some_and(|touched| touched.ids.contains(id));
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
        }
        Ok(collected)
    }

    /// Removes a file unless its blob was pinned since the beginning. The state is locked over both, so that who pins first
    /// keeps the file and who pins later does not find it.
    fn remove(&self, name: &Name) -> Result<bool, StoreError> {
        let state = self.blobs.state();
        let touched = state.touched.as_ref().is_some_and(|touched| touched.names.contains(name));
        if touched { Ok(false) } else { self.blobs.unlink(name) }
    }
}
