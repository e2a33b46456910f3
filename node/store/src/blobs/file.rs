//! Blobs as files: their names, finding them, and putting them in place durably.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use data_encoding::HEXLOWER;

use super::{AtRest, BlobReader, Blobs, damaged, told};
use crate::fs::{File, Fs};
use crate::types::{BlobId, StoreError};

const TEMPORARY: &str = "new";
/// How many public blobs are remembered as found whole; then the remembering starts over.
const VERIFIED_MAX: usize = 4096;
/// In the order of looking.
const FORMS: [AtRest; 2] = [AtRest::Plain, AtRest::Sealed];

/// Makes the folders, and removes what interrupted writes left.
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

/// A file's name in `blobs/`, and the two folders it is in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Name([u8; 32]);

impl Name {
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

    /// The file's name proper.
    pub(super) fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// The name a file of these folders has, if it is one of ours.
    pub(super) fn parse(outer: &str, inner: &str, hex: &str) -> Option<Self> {
        let name = Self(HEXLOWER.decode(hex.as_bytes()).ok()?.try_into().ok()?);
        (name.outer() == outer && name.inner() == inner).then_some(name)
    }
}

impl Blobs {
    /// The name of a blob kept in this form.
    pub(super) fn name(&self, id: &BlobId, form: AtRest) -> Name {
        let mut hasher = blake3::Hasher::new_keyed(&self.0.name_key);
        hasher.update(&[form.number()]);
        hasher.update(&id.0);
        Name(hasher.finalize().into())
    }

    /// Both names a blob may have.
    pub(super) fn names(&self, id: &BlobId) -> [Name; 2] {
        FORMS.map(|form| self.name(id, form))
    }

    pub(super) fn path(&self, name: &Name) -> PathBuf {
        self.0.folder.join(name.outer()).join(name.inner()).join(name.hex())
    }

    fn find_file(&self, id: &BlobId) -> Result<(AtRest, Box<dyn File>), StoreError> {
        for form in FORMS {
            match self.0.fs.open(&self.path(&self.name(id, form))) {
                Ok(file) => return Ok((form, file)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(told(&error)),
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
        form: AtRest,
        file: Box<dyn File>,
    ) -> Result<BlobReader, StoreError> {
        match form {
            AtRest::Plain => BlobReader::public(self.clone(), *id, file),
            AtRest::Sealed => BlobReader::private(&self.0.key_seal, *id, file),
        }
    }

    pub(super) fn has_file(&self, id: &BlobId) -> Result<bool, StoreError> {
        for name in self.names(id) {
            if self.0.fs.exists(&self.path(&name)).map_err(|e| told(&e))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) fn file_content_len(&self, id: &BlobId) -> Result<u64, StoreError> {
        Ok(self.open_file(id)?.len())
    }

    /// Whether the blob is stored in this form, whole and durable: only then does a copy of it need
    /// no storing. The caller has it pinned.
    pub(super) fn stored(&self, id: &BlobId, form: AtRest) -> Result<bool, StoreError> {
        let name = self.name(id, form);
        let found = match self.0.fs.open(&self.path(&name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            other => other.map_err(|e| told(&e))?,
        };
        let whole = self.reader(id, form, found).and_then(|reader| reader.verify());
        match whole {
            Ok(()) => {}
            // It is stored anew, over the damaged copy.
            Err(StoreError::Corrupt { .. } | StoreError::Unavailable(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        // A process that was killed may have left a file or a name that a power cut would still
        // take.
        let file = self.0.fs.open(&self.path(&name)).map_err(|e| told(&e))?;
        file.sync_data().map_err(|e| told(&e))?;
        self.sync_name(&name)?;
        Ok(true)
    }

    /// Makes a file that no reader sees yet.
    pub(super) fn temporary(&self) -> Result<(PathBuf, Box<dyn File>), StoreError> {
        let path =
            self.0.folder.join(TEMPORARY).join(HEXLOWER.encode(&self.0.random.array::<16>()));
        let file = self.0.fs.create(&path).map_err(|e| told(&e))?;
        Ok((path, file))
    }

    /// Gives a temporary file its name, replacing a damaged one of that name; durable only once the
    /// folders are synced.
    pub(super) fn place(&self, temporary: &Path, name: &Name) -> Result<(), StoreError> {
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        let place = || {
            fs.create_folder(&outer)?;
            fs.create_folder(&outer.join(name.inner()))?;
            fs.rename(temporary, &self.path(name))
        };
        place().map_err(|e| told(&e))
    }

    /// Makes the name durable, and those of its folders unless this process did so before.
    pub(super) fn sync_name(&self, name: &Name) -> Result<(), StoreError> {
        let (fs, outer) = (&self.0.fs, self.0.folder.join(name.outer()));
        fs.sync_folder(&outer.join(name.inner())).map_err(|e| told(&e))?;
        if !self.state().durable_folders.contains(&name.folders()) {
            // One may have been made by a process that died before it synced the parent.
            fs.sync_folder(&outer).map_err(|e| told(&e))?;
            fs.sync_folder(&self.0.folder).map_err(|e| told(&e))?;
            self.state().durable_folders.insert(name.folders());
        }
        Ok(())
    }

    /// Removes a file unless its blob is pinned; true if there was one. Not yet durable.
    pub(super) fn unlink(&self, name: &Name) -> Result<bool, StoreError> {
        match self.0.fs.remove(&self.path(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(told(&error)),
        }
    }

    /// Every file there is, by its name; what has no name of ours is given by its path.
    pub(super) fn each_file(
        &self,
        mut each: impl FnMut(Result<Name, PathBuf>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let list = |path: &Path| self.0.fs.list(path).map_err(|e| told(&e));
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
                    let name = Name::parse(&outer.name, &inner.name, &entry.name);
                    each(name.ok_or_else(|| inner_path.join(&entry.name)))?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_verified(&self, id: &BlobId) -> bool {
        self.state().verified.contains(id)
    }

    pub(super) fn set_verified(&self, id: BlobId, whole: bool) {
        let mut state = self.state();
        if !whole {
            state.verified.remove(&id);
            return;
        }
        if state.verified.len() >= VERIFIED_MAX {
            state.verified.clear();
        }
        state.verified.insert(id);
    }

    pub(super) fn filing(&self) -> std::sync::MutexGuard<'_, ()> {
        self.0.filing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error of the disk while reading a blob: a file that ends early is damage.
    pub(super) fn told_reading(id: &BlobId, error: &io::Error) -> StoreError {
        if error.kind() == ErrorKind::UnexpectedEof { damaged(id) } else { told(error) }
    }
}
