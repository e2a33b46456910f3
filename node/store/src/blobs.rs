//! Blobs: contents that are too long for a row. Content-addressed, immutable, kept as long as a row
//! refers to them.
//!
//! A small blob is written to the log in the group of the first change that refers to it. It is
//! read from memory until a checkpoint has written it to a pack (packs.rs). If no change refers to
//! it, it is dropped. A larger blob is a durable file, `blobs/ab/cd/<name>`, before a row may refer
//! to it. The name is a keyed hash: it reveals nothing, and equal contents are stored once. A
//! pinned blob is never collected; it is pinned from its first byte, or since an existing copy was
//! found, until the change that refers to it is applied. Nothing here depends on the clock.
//!
//! Every blob is sealed at rest. Earlier versions wrote small blobs to files too, and blobs that
//! anybody may read to plain files. They are readable, and are moved in the background.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::fs::{self, Fs, Volume};
use crate::seal::{Seal, SecretKey};
use crate::space::FreeSpace;
use crate::types::{BlobId, StoreError};
use crate::vault::Keys;
use freehold_proto::random::Random;

mod collect;
mod file;
mod packs;
mod pin;
mod read;
mod seal;
mod small;
mod write;

pub(crate) use collect::BlobFiles;
pub use collect::{Collected, Collection};
pub(crate) use file::OldFile;
pub(crate) use packs::{PackRow, Place, PlaceRows};
pub(crate) use pin::Hold;
pub use pin::Pinned;
pub use read::BlobReader;
pub(crate) use small::SmallBlob;
pub use write::BlobWriter;

/// The longest blob that is written to the log, in bytes; a longer one is written to a file first.
pub const SMALL_LEN_MAX: usize = 128 * 1024;

/// The length of the file of a blob of `len` bytes, sealed.
pub fn file_len(len: u64) -> u64 {
    // A blob that is too long for any file is refused elsewhere.
    seal::layout(len).map_or(len, |(_, file_len)| file_len)
}

/// The table name in the [`StoreError::Corrupt`] of a damaged blob.
pub const DAMAGE_TABLE: &str = "blobs";

/// How often a blob that is being moved is looked up.
const FIND_TRIES_MAX: usize = 4;

/// The blobs of one node. Cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Inner>);

struct Inner {
    fs: Arc<dyn Fs>,
    /// Obtained before the first file is written, so that its sync reports every failed write-back.
    volume: Box<dyn Volume>,
    data: PathBuf,
    folder: PathBuf,
    random: Random,
    space: FreeSpace,
    name_key: SecretKey,
    key_seal: Seal,
    pack_seal: Seal,
    packs: packs::Packs,
    state: Mutex<State>,
    /// Locked while small blobs are written to files and while files are removed. Pins are guarded
    /// by the lock of `state` alone.
    files: Mutex<()>,
    /// Locked for writing while empty folders are removed.
    folders: RwLock<()>,
}

#[derive(Default)]
struct State {
    pins: HashMap<BlobId, usize>,
    small: HashMap<BlobId, small::Small>,
    /// A replay has written files of small blobs.
    spilled: bool,
    /// How many small blobs were logged.
    logged_count: u64,
    /// For each running collection: the blobs that were pinned at any time during it.
    protected: HashMap<u64, collect::Protected>,
    collections: u64,
    /// Blobs that a change in preparation removes. They were not pinned when they were entered; a
    /// later pin does not find them.
    doomed: HashSet<BlobId>,
    /// Folders whose names are known to be durable.
    durable_folders: HashSet<[u8; 2]>,
    /// Plain blobs whose content this process has verified.
    verified: HashSet<BlobId>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blobs({})", self.0.folder.display())
    }
}

impl Blobs {
    /// Opens the blobs in `data/blobs` for reading only.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_only(
        fs: Arc<dyn Fs>,
        data: &Path,
        keys: &Keys,
        random: Random,
        space: FreeSpace,
    ) -> Result<Self, StoreError> {
        Self::at(fs, data, keys, random, space)
    }

    /// Opens the blobs in `data/blobs`, creating the folder if necessary; removes the temporary
    /// files of interrupted writes.
    ///
    /// # Errors
    /// The disk's.
    pub fn new(
        fs: Arc<dyn Fs>,
        data: &Path,
        keys: &Keys,
        random: Random,
        space: FreeSpace,
    ) -> Result<Self, StoreError> {
        let folder = data.join("blobs");
        let prepared = match file::prepare(&*fs, data, &folder) {
            // A node starts on a full disk as well.
            Err(error) if fs::is_full(&error) && space.release_reserve() => {
                file::prepare(&*fs, data, &folder)
            }
            prepared => prepared,
        };
        prepared.map_err(|e| map_error(&e))?;
        Self::at(fs, data, keys, random, space)
    }

    fn at(
        fs: Arc<dyn Fs>,
        data: &Path,
        keys: &Keys,
        random: Random,
        space: FreeSpace,
    ) -> Result<Self, StoreError> {
        let folder = data.join("blobs");
        let volume = fs.volume(&folder).map_err(|e| map_error(&e))?;
        Ok(Self(Arc::new(Inner {
            fs,
            volume,
            data: data.to_owned(),
            folder,
            random,
            space,
            name_key: keys.blob_name(),
            key_seal: Seal::derived(keys.store(), "freehold 2026 blob keys"),
            pack_seal: Seal::derived(keys.store(), "freehold 2026 packs"),
            packs: packs::Packs::default(),
            state: Mutex::default(),
            files: Mutex::default(),
            folders: RwLock::default(),
        })))
    }

    /// Stores `bytes` unless they are stored already. A small blob becomes durable with the change
    /// that refers to it; a larger one blocks until its file is durable.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's.
    pub fn put(&self, bytes: &[u8]) -> Result<Pinned, StoreError> {
        let mut writer = self.writer(u64::MAX)?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// A writer for a blob of at most `len_max` bytes, which never holds a whole large blob in
    /// memory.
    ///
    /// # Errors
    /// [`StoreError::Full`] under the watermark.
    pub fn writer(&self, len_max: u64) -> Result<BlobWriter, StoreError> {
        self.0.space.check()?;
        Ok(BlobWriter::new(self.clone(), len_max))
    }

    /// The bytes by which blobs may grow; `None` if the free space cannot be read.
    pub fn space_left(&self) -> Option<u64> {
        self.0.space.left()
    }

    /// Checks the free space for a blob of `len` bytes, before any byte of it is accepted.
    ///
    /// # Errors
    /// [`StoreError::Full`] if the blob would bring free space under the watermark.
    pub fn check_space_for(&self, len: u64) -> Result<(), StoreError> {
        self.0.space.check_space_for(len)
    }

    /// Checks the free space for `len` bytes of content from other people, before any of it is
    /// accepted.
    ///
    /// # Errors
    /// [`StoreError::Full`]: other people's content is refused before the owner's.
    pub fn check_space_for_strangers(&self, len: u64) -> Result<(), StoreError> {
        self.0.space.check_space_for_strangers(len)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], and [`StoreError::Corrupt`] (of the table [`DAMAGE_TABLE`]) if it is
    /// damaged.
    pub fn open(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        let mut last = None;
        for _ in 0..FIND_TRIES_MAX {
            let place = self.place(id)?;
            match self.find(id, place) {
                // The blob may have been moved after its place was read.
                Err(StoreError::NoBlob | StoreError::Corrupt { .. }) if last != Some(place) => {
                    last = Some(place);
                }
                // A row says where the blob is, but that pack is missing.
                Err(StoreError::NoBlob) if place.is_some() => return Err(damaged(id)),
                result => return result,
            }
        }
        Err(StoreError::NoBlob)
    }

    fn find(&self, id: &BlobId, place: Option<Place>) -> Result<BlobReader, StoreError> {
        if let Some(small) = self.state().small.get(id) {
            return Ok(BlobReader::in_memory(small.bytes.clone()));
        }
        match place {
            Some(place) => Ok(BlobReader::packed(self.read_place(id, place)?)),
            None => self.open_file(id),
        }
    }

    /// True if the blob is stored; its content is not verified.
    ///
    /// # Errors
    /// The disk's, or the store's.
    pub fn contains(&self, id: &BlobId) -> Result<bool, StoreError> {
        if self.state().small.contains_key(id) || self.place(id)?.is_some() {
            return Ok(true);
        }
        // It may have left memory after the first look.
        Ok(self.has_file(id)? || self.place(id)?.is_some())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Maps an error of the file system to one of the store.
fn map_error(error: &io::Error) -> StoreError {
    if fs::is_full(error) {
        StoreError::Full
    } else if error.kind() == io::ErrorKind::ReadOnlyFilesystem {
        StoreError::ReadOnly(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}

fn damaged(id: &BlobId) -> StoreError {
    StoreError::Corrupt { table: DAMAGE_TABLE.to_owned(), key: id.0.to_vec() }
}

#[cfg(test)]
mod tests;
