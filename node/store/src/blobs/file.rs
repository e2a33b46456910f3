//! The files of blobs: names, look-up, and durable creation.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use data_encoding::HEXLOWER;

use super::{AtRest, BlobReader, Blobs, damaged, map_error};
use crate::fs::{File, Fs};
use crate::types::{BlobId, StoreError};

/// The folder of temporary files in `blobs/`.
const TEMPORARY: &str = "new";
/// How many plain blobs are remembered as verified; then the set is cleared.
const VERIFIED_MAX: usize = 4096;
/// The encodings, in the order of look-up.
const ENCODINGS: [AtRest; 2] = [AtRest::Plain, AtRest::Sealed];

/// Creates the folders, and removes the temporary files of interrupted writes.
pub(super) fn prepare(fs: &dyn Fs, data: &Path, folder: &Path) -> io::Result<()> {
    let temporary = folder.join(TEMPORARY);
    fs.create_folder(folder)?;
    fs.create_folder(&temporary)?;
    fs.sync_folder(data)?;
    for entry in fs.list(&temporary)? {
        fs.remove(&temporary.join(entry.name))?;
    }
    Ok(())
}

/// The name of a blob's file; its first two bytes name the two folders above the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileName([u8; 32]);

impl FileName {
    fn outer(&self) -> String {
        HEXLOWER.encode(self.0.get(..1).unwrap_or_default())
    }

    fn inner(&self) -> String {
        HEXLOWER.encode(self.0.get(1..2).unwrap_or_default())
    }

    fn folders(&self) -> [u8; 2] {
        let [outer, inner, ..] = self.0;
        [outer, inner]
    }

    /// The name of the file without its folders.
    pub(super) fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Parses a path below `blobs/`; `None` if it is not a blob's.
    pub(super) fn parse(outer: &str, inner: &str, hex: &str) -> Option<Self> {
        let name = Self(HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()?);
        (name.outer() == outer && name.inner() == inner).then_some(name)
    }
}

impl Blobs {
    /// The file name of a blob in this encoding.
    pub(super) fn name(&self, id: &BlobId, at_rest: AtRest) -> FileName {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.name_key);
        hasher.update(&[at_rest.number()]);
        hasher.update(&id.0);
        FileName(hasher.finalize().into())
    }

    /// The two file names a blob may have.
    pub(super) fn names(&self, id: &BlobId) -> [FileName; 2] {
        ENCODINGS.map(|at_rest| self.name(id, at_rest))
    }

    pub(super) fn path(&self, name: &FileName) -> PathBuf {
        self.0.folder.join(name.outer()).join(name.inner()).join(name.hex())
    }

    fn find_file(&self, id: &BlobId) -> Result<(AtRest, Box<dyn File>), StoreError> {
        for at_rest in ENCODINGS {
            match self.0.fs.open(&self.path(&self.name(id, at_rest))) {
                Ok(file) => return Ok((at_rest, file)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(map_error(&error)),
            }
        }
        Err(StoreError::NoBlob)
    }

    pub(super) fn open_file(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        let (at_rest, file) = self.find_file(id)?;
        self.reader(id, at_rest, file)
    }

    fn reader(
        &self,
        id: &BlobId,
        at_rest: AtRest,
        file: Box<dyn File>,
    ) -> Result<BlobReader, StoreError> {
        match at_rest {
            AtRest::Plain => BlobReader::plain(self.clone(), *id, file),
            AtRest::Sealed => BlobReader::sealed(&self.0.key_seal, *id, file),
        }
    }

    pub(super) fn has_file(&self, id: &BlobId) -> Result<bool, StoreError> {
        for name in self.names(id) {
            if self.0.fs.exists(&self.path(&name)).map_err(|e| map_error(&e))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn file_content_len(&self, id: &BlobId) -> Result<u64, StoreError> {
        Ok(self.open_file(id)?.len())
    }

    /// True if the blob has an intact file in this encoding, which is made durable here; then an
    /// equal content need not be stored again. The caller holds a pin on it.
    pub(super) fn is_stored_durably(
        &self,
        id: &BlobId,
        at_rest: AtRest,
    ) -> Result<bool, StoreError> {
        let name = self.name(id, at_rest);
        let stored = match self.0.fs.open(&self.path(&name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| map_error(&e))?,
        };
        let verified = self.reader(id, at_rest, stored).and_then(|reader| reader.verify());
        match verified {
            Ok(()) => {}
            // The blob is stored again, over the damaged file.
            Err(StoreError::Corrupt { .. } | StoreError::Unavailable(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        // A killed process may have left a file or a name that is not durable yet.
        let file = self.0.fs.open(&self.path(&name)).map_err(|e| map_error(&e))?;
        file.sync_data().map_err(|e| map_error(&e))?;
        self.sync_name(&name)?;
        Ok(true)
    }

    /// Creates a temporary file, which no reader opens.
    pub(super) fn create_temporary(&self) -> Result<(PathBuf, Box<dyn File>), StoreError> {
        let path =
            self.0.folder.join(TEMPORARY).join(HEXLOWER.encode(&self.0.random.array::<16>()));
        let file = self.0.fs.create(&path).map_err(|e| map_error(&e))?;
        Ok((path, file))
    }

    /// Renames a temporary file to its final name, replacing a damaged file of that name. Durable
    /// after [`Blobs::sync_name`].
    pub(super) fn rename_into_place(
        &self,
        temporary: &Path,
        name: &FileName,
    ) -> Result<(), StoreError> {
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        let rename = || {
            fs.create_folder(&outer)?;
            fs.create_folder(&outer.join(name.inner()))?;
            fs.rename(temporary, &self.path(name))
        };
        rename().map_err(|e| map_error(&e))
    }

    /// Makes the name durable, and those of its folders if this process has not done so before.
    pub(super) fn sync_name(&self, name: &FileName) -> Result<(), StoreError> {
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        fs.sync_folder(&outer.join(name.inner())).map_err(|e| map_error(&e))?;
        if !self.state().durable_folders.contains(&name.folders()) {
            // The folder may have been created by a process that ended before it synced the parent.
            fs.sync_folder(&outer).map_err(|e| map_error(&e))?;
            fs.sync_folder(&self.0.folder).map_err(|e| map_error(&e))?;
            self.state().durable_folders.insert(name.folders());
        }
        Ok(())
    }

    /// Removes a file; true if it existed. The removal is durable after a sync of the folder.
    pub(super) fn unlink(&self, name: &FileName) -> Result<bool, StoreError> {
        match self.0.fs.remove(&self.path(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(map_error(&error)),
        }
    }

    /// Calls `each` with every file: its name, or the path if the name is not a blob's.
    pub(super) fn each_file(
        &self,
        mut each: impl FnMut(Result<FileName, PathBuf>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let list = |path: &Path| self.0.fs.list(path).map_err(|e| map_error(&e));
        for outer in list(&self.0.folder)?.into_iter().filter(|entry| entry.name != TEMPORARY) {
            let outer_path = self.0.folder.join(&outer.name);
            if !outer.folder {
                each(Err(outer_path))?;
                continue;
            }
            for inner in list(&outer_path)? {
                let inner_path = outer_path.join(&inner.name);
                if !inner.folder {
                    each(Err(inner_path))?;
                    continue;
                }
                for entry in list(&inner_path)? {
                    let name = FileName::parse(&outer.name, &inner.name, &entry.name);
                    each(name.ok_or_else(|| inner_path.join(&entry.name)))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_verified(&self, id: &BlobId) -> bool {
        self.state().verified.contains(id)
    }

    pub(super) fn set_verified(&self, id: BlobId, verified: bool) {
        let mut state = self.state();
        if !verified {
            state.verified.remove(&id);
            return;
        }
        if state.verified.len() >= VERIFIED_MAX {
            state.verified.clear();
        }
        state.verified.insert(id);
    }

    pub(super) fn lock_files(&self) -> std::sync::MutexGuard<'_, ()> {
        self.0.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Maps an error of reading a blob's file: a file that ends early is damaged.
    pub(super) fn map_read_error(id: &BlobId, error: &io::Error) -> StoreError {
        if error.kind() == ErrorKind::UnexpectedEof { damaged(id) } else { map_error(error) }
    }
}
