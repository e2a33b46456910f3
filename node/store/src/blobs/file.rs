//! The files of blobs: names, look-up, and durable creation.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use data_encoding::HEXLOWER;

use super::{BlobReader, Blobs, SMALL_LEN_MAX, damaged, map_error};
use crate::fs::{self, File, Fs};
use crate::types::{BlobId, StoreError};

/// The folder of temporary files in `blobs/`.
const TEMPORARY: &str = "new";
/// How many plain blobs are remembered as verified; then the set is cleared.
const VERIFIED_MAX: usize = 4096;
/// The forms of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// The bytes themselves, as earlier versions wrote blobs that anybody may read.
    Plain,
    /// Sealed.
    Sealed,
}

impl Form {
    /// The forms, in the order of look-up.
    const ALL: [Self; 2] = [Self::Sealed, Self::Plain];

    /// The number that is part of the keyed hash of a name.
    const fn number(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Sealed => 2,
        }
    }
}

/// A file of an earlier version that is to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldFile {
    /// Of a small blob: to be moved into a pack.
    Small,
    /// Plain, of a larger blob: to be sealed.
    Plain,
}

/// Creates the folders, and removes the temporary files of interrupted writes.
pub(super) fn prepare(fs: &dyn Fs, data: &Path, folder: &Path) -> io::Result<()> {
    let temporary = folder.join(TEMPORARY);
    fs::create_folder_durably(fs, folder)?;
    fs::create_folder_durably(fs, &data.join(super::packs::FOLDER))?;
    fs.create_folder(&temporary)?;
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
    /// The file name of a blob in this form.
    pub(super) fn name(&self, id: &BlobId, form: Form) -> FileName {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.name_key);
        hasher.update(&[form.number()]);
        hasher.update(&id.0);
        FileName(hasher.finalize().into())
    }

    /// The two file names a blob may have.
    pub(super) fn names(&self, id: &BlobId) -> [FileName; 2] {
        Form::ALL.map(|form| self.name(id, form))
    }

    pub(super) fn path(&self, name: &FileName) -> PathBuf {
        self.0.folder.join(name.outer()).join(name.inner()).join(name.hex())
    }

    fn find_file(&self, id: &BlobId) -> Result<(Form, Box<dyn File>), StoreError> {
        for form in Form::ALL {
            match self.0.fs.open(&self.path(&self.name(id, form))) {
                Ok(file) => return Ok((form, file)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(map_error(&error)),
            }
        }
        Err(StoreError::NoBlob)
    }

    pub(super) fn open_file(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        let (form, file) = self.find_file(id)?;
        self.reader(id, form, file)
    }

    fn reader(
        &self,
        id: &BlobId,
        form: Form,
        file: Box<dyn File>,
    ) -> Result<BlobReader, StoreError> {
        match form {
            Form::Plain => BlobReader::plain(self.clone(), *id, file),
            Form::Sealed => BlobReader::sealed(&self.0.key_seal, *id, file),
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

    /// The kind of a blob's file if it has one of an earlier version.
    ///
    /// # Errors
    /// The disk's, and [`StoreError::Corrupt`].
    pub(crate) fn old_file(&self, id: &BlobId) -> Result<Option<OldFile>, StoreError> {
        let (form, file) = match self.find_file(id) {
            Err(StoreError::NoBlob) => return Ok(None),
            other => other?,
        };
        let len = self.reader(id, form, file)?.len();
        Ok(match form {
            _ if len <= SMALL_LEN_MAX as u64 => Some(OldFile::Small),
            // A sealed file beside it may not be durable.
            _ if self.has_plain_file(id)? => Some(OldFile::Plain),
            _ => None,
        })
    }

    fn has_plain_file(&self, id: &BlobId) -> Result<bool, StoreError> {
        self.0.fs.exists(&self.path(&self.name(id, Form::Plain))).map_err(|e| map_error(&e))
    }

    /// Writes the sealed file of a large blob that has a plain one, and removes the plain one. A
    /// sealed file that exists already is replaced: nothing shows that it is durable. Returns false
    /// if the plain file does not exist, is damaged or is of a small blob.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn seal_plain(&self, id: &BlobId) -> Result<bool, StoreError> {
        let plain = match self.0.fs.open(&self.path(&self.name(id, Form::Plain))) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => self.reader(id, Form::Plain, other.map_err(|e| map_error(&e))?)?,
        };
        if plain.len() <= SMALL_LEN_MAX as u64 {
            return Ok(false);
        }
        match self.copy(&plain) {
            Ok(sealed) if sealed.id == *id => self.remove_old_files(id, true).map(|()| true),
            Ok(_) | Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// True if an intact copy of the blob is durable; then an equal content need not be stored
    /// again. The caller holds a pin on it.
    ///
    /// A file alone shows nothing: its bytes and its name may be in the page cache only, and a sync
    /// succeeds after one that failed without writing anything. A row was written after the file
    /// was durable.
    pub(super) fn is_stored_durably(&self, id: &BlobId) -> Result<bool, StoreError> {
        if self.state().doomed.contains(id) {
            return Ok(false);
        }
        if self.place(id)?.is_some() {
            return match self.open(id).and_then(|reader| reader.verify()) {
                Ok(()) => Ok(true),
                Err(StoreError::Corrupt { .. } | StoreError::NoBlob) => Ok(false),
                Err(error) => Err(error),
            };
        }
        // The row of a plain file says nothing about a sealed one beside it.
        if !self.is_known(id)? || self.has_plain_file(id)? {
            return Ok(false);
        }
        let stored = match self.0.fs.open(&self.path(&self.name(id, Form::Sealed))) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| map_error(&e))?,
        };
        match self.reader(id, Form::Sealed, stored).and_then(|reader| reader.verify()) {
            Ok(()) => Ok(true),
            // The blob is stored again, over the damaged file.
            Err(StoreError::Corrupt { .. } | StoreError::Unavailable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates a temporary file, which no reader opens.
    pub(super) fn create_temporary(&self) -> Result<(PathBuf, Box<dyn File>), StoreError> {
        let path =
            self.0.folder.join(TEMPORARY).join(HEXLOWER.encode(&self.0.random.array::<16>()));
        let file = self.0.fs.create(&path).map_err(|e| map_error(&e))?;
        Ok((path, file))
    }

    /// Renames a temporary file to its final name, replacing a file of that name. The name is
    /// durable on return.
    pub(super) fn rename_durably(
        &self,
        temporary: &Path,
        name: &FileName,
    ) -> Result<(), StoreError> {
        loop {
            {
                let _folders = self.0.folders.read().unwrap_or_else(PoisonError::into_inner);
                if self.state().durable_folders.contains(&name.folders()) {
                    let folder = self.0.folder.join(name.outer()).join(name.inner());
                    let renamed = self.0.fs.rename(temporary, &self.path(name));
                    let synced = renamed.and_then(|()| self.0.fs.sync_folder(&folder));
                    return synced.map_err(|e| map_error(&e));
                }
            }
            self.make_folders(name).map_err(|e| map_error(&e))?;
        }
    }

    /// Makes the folders of a name durable, before a file gets a name in them.
    fn make_folders(&self, name: &FileName) -> io::Result<()> {
        let _folders = self.0.folders.write().unwrap_or_else(PoisonError::into_inner);
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        let inner = outer.join(name.inner());
        for folder in [&outer, &inner] {
            fs::create_folder_durably(&**fs, folder)?;
        }
        self.state().durable_folders.insert(name.folders());
        Ok(())
    }

    /// Renames a temporary file to its final name; [`Volume::sync`](crate::fs::Volume::sync) makes
    /// the name durable.
    pub(super) fn rename_into_place(
        &self,
        temporary: &Path,
        name: &FileName,
    ) -> Result<(), StoreError> {
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        let _folders = self.0.folders.read().unwrap_or_else(PoisonError::into_inner);
        let rename = || {
            fs.create_folder(&outer)?;
            fs.create_folder(&outer.join(name.inner()))?;
            fs.rename(temporary, &self.path(name))
        };
        rename().map_err(|e| map_error(&e))
    }

    /// Writes the file of a blob as earlier versions did.
    ///
    /// # Errors
    /// The disk's.
    #[cfg(any(test, feature = "testing"))]
    pub fn write_old_file(&self, bytes: &[u8], is_plain: bool) -> Result<BlobId, StoreError> {
        let id = BlobId(*blake3::hash(bytes).as_bytes());
        if is_plain {
            let (path, file) = self.create_temporary()?;
            file.write_all_at(bytes, 0).map_err(|e| map_error(&e))?;
            self.rename_into_place(&path, &self.name(&id, Form::Plain))?;
        } else {
            self.write_file(&id, bytes)?;
        }
        self.0.volume.sync().map_err(|e| map_error(&e))?;
        Ok(id)
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

    /// Removes the folders that hold no file.
    ///
    /// # Errors
    /// The disk's.
    pub(crate) fn remove_empty_folders(&self) -> Result<(), StoreError> {
        let fs = &self.0.fs;
        let list = |path: &Path| fs.list(path).map_err(|e| map_error(&e));
        for outer in list(&self.0.folder)?.into_iter().filter(|entry| entry.name != TEMPORARY) {
            let outer = self.0.folder.join(&outer.name);
            let Ok(inner) = list(&outer) else { continue };
            for inner in inner.into_iter().filter(|entry| entry.folder) {
                let inner = outer.join(&inner.name);
                // No file gets its name meanwhile.
                let _folders = self.0.folders.write().unwrap_or_else(PoisonError::into_inner);
                if list(&inner)?.is_empty() {
                    // Names in it are not durable any more if it is created again.
                    self.state().durable_folders.clear();
                    fs.remove_folder(&inner).map_err(|e| map_error(&e))?;
                }
            }
        }
        Ok(())
    }

    /// True if a replay of this process has written files of small blobs.
    pub(crate) fn has_spilled(&self) -> bool {
        self.state().spilled
    }

    /// Records that the files of small blobs were moved.
    pub(crate) fn forget_spilled(&self) {
        self.state().spilled = false;
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
