//! Blobs: what is too long for a row. Content-addressed, written once, kept by the rows that refer
//! to them.
//!
//! On disk `blobs/ab/cd/<name>`, the name being a keyed hash, so that it reveals nothing and equal
//! content is stored once. A small blob travels in the log's group with the first row that refers
//! to it, is read from memory until a checkpoint files it, and is forgotten if no row came; a
//! larger one is a durable file before any row may refer to it. While pinned a blob is never
//! collected: from its first byte or the discovery that it is there already, until the change that
//! refers to it is applied. Nothing here depends on the clock.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::fs::{self, Fs, Volume};
use crate::seal::{Seal, SecretKey};
use crate::space::FreeSpace;
use crate::types::{BlobId, StoreError};
use crate::vault::Keys;
use freehold_proto::random::Random;

mod collect;
mod file;
mod forms;
mod pin;
mod read;
mod seal;
mod small;
mod write;

pub use collect::{Collected, Collection};
pub use pin::{Hold, Pinned};
pub use read::BlobReader;
pub use small::SmallBlob;
pub use write::BlobWriter;

/// The longest blob that travels in the log, in bytes; a longer one is a file of its own first.
pub const SMALL_LEN_MAX: usize = 128 * 1024;

/// The name under which a damaged blob is reported, where a row's table would stand.
pub const DAMAGE_TABLE: &str = "blobs";

/// How a blob is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AtRest {
    /// As the bytes themselves: what anybody may have.
    Plain,
    /// Sealed under the store key.
    Sealed,
}

impl AtRest {
    /// The form's number in the log.
    pub const fn number(self) -> u8 {
        match self {
            Self::Plain => 1,
            Self::Sealed => 2,
        }
    }

    /// The form of this number.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Plain),
            2 => Some(Self::Sealed),
            _ => None,
        }
    }
}

/// The blobs of one node. Cheap to clone.
#[derive(Clone)]
pub struct Blobs(Arc<Shelf>);

struct Shelf {
    fs: Arc<dyn Fs>,
    /// Watched from before the first file is written, so that no failed write-back goes untold.
    volume: Box<dyn Volume>,
    folder: PathBuf,
    random: Random,
    space: FreeSpace,
    name_key: SecretKey,
    key_seal: Seal,
    state: Mutex<State>,
    /// Held by whoever files, collects or unlinks; the state's lock alone guards pins.
    filing: Mutex<()>,
}

#[derive(Default)]
struct State {
    pins: HashMap<BlobId, usize>,
    small: HashMap<BlobId, small::Small>,
    /// For each collection that runs: all that was pinned at any moment of it.
    touched: HashMap<u64, collect::Touched>,
    collections: u64,
    /// Folders whose own names are known to be durable.
    durable_folders: HashSet<[u8; 2]>,
    /// Public blobs found whole by this process.
    verified: HashSet<BlobId>,
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blobs({})", self.0.folder.display())
    }
}

impl Blobs {
    /// The blobs in `data/blobs`, which is made where there is none; what an interrupted write left
    /// behind is removed.
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
        file::prepare(&*fs, data, &folder).map_err(|e| told(&e))?;
        let volume = fs.volume(&folder).map_err(|e| told(&e))?;
        Ok(Self(Arc::new(Shelf {
            fs,
            volume,
            folder,
            random,
            space,
            name_key: keys.blob_name(),
            key_seal: Seal::derived(keys.store(), "freehold 2026 blob keys"),
            state: Mutex::default(),
            filing: Mutex::default(),
        })))
    }

    /// Stores `bytes`, or finds them stored already. A small blob is durable only with the change
    /// that refers to it; a larger one blocks until its file is durable, so call this for it where
    /// blocking is allowed.
    ///
    /// # Errors
    /// [`StoreError::Full`], or the disk's.
    pub fn put(&self, bytes: &[u8], form: AtRest) -> Result<Pinned, StoreError> {
        let mut writer = self.writer(form, u64::MAX)?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// Takes a blob in pieces, never holding the whole of a large one; at most `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`] when nothing more is taken in.
    pub fn writer(&self, form: AtRest, len_max: u64) -> Result<BlobWriter, StoreError> {
        self.0.space.check()?;
        Ok(BlobWriter::new(self.clone(), form, len_max))
    }

    /// Whether a blob of so many bytes would fit, before anything of it is taken.
    ///
    /// # Errors
    /// [`StoreError::Full`] when it would not.
    pub fn check_space_for(&self, len: u64) -> Result<(), StoreError> {
        self.0.space.check_space_for(len)
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StoreError::NoBlob`], and [`StoreError::Corrupt`] (of the table [`DAMAGE_TABLE`]) when it
    /// is damaged.
    pub fn open(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        match self.look_for(id) {
            // One that goes from one form to the other meanwhile is gone from where it was looked
            // for last, and in the other.
            Err(StoreError::NoBlob) => self.look_for(id),
            found => found,
        }
    }

    fn look_for(&self, id: &BlobId) -> Result<BlobReader, StoreError> {
        if let Some(small) = self.state().small.get(id) {
            return Ok(BlobReader::in_memory(small.bytes.clone()));
        }
        self.open_file(id)
    }

    /// Whether the blob is there; its bytes are not looked at.
    ///
    /// # Errors
    /// The disk's.
    pub fn contains(&self, id: &BlobId) -> Result<bool, StoreError> {
        if self.state().small.contains_key(id) {
            return Ok(true);
        }
        self.has_file(id)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an error of the file system means to the store.
fn told(error: &io::Error) -> StoreError {
    if fs::is_full(error) { StoreError::Full } else { StoreError::Unavailable(error.to_string()) }
}

fn damaged(id: &BlobId) -> StoreError {
    StoreError::Corrupt { table: DAMAGE_TABLE.to_owned(), key: id.0.to_vec() }
}

#[cfg(test)]
mod tests;
