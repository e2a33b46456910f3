//! The file system as a parameter: what the log, the blobs and the snapshots write through, so that
//! tests can cut the power.
//!
//! A write is durable after `sync_data` on its file, a name (created, renamed, removed) after
//! `sync_folder` on its folder; between the two any part of it may be missing after a power cut.
//! Files are made for their owner only (mode 0600).

use std::fmt;
use std::io;
use std::path::Path;

mod memory;
mod os;

pub use memory::{Fault, MemoryFs, PowerCut};
pub use os::OsFs;

/// An open file. Reads and writes name their place, so that one handle serves many threads.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads at `offset`; zero bytes at the end of the file, possibly fewer than asked before it.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset`, possibly fewer bytes than given; the file grows as needed.
    ///
    /// # Errors
    /// The operating system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// The length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn len(&self) -> io::Result<u64>;

    /// Whether the file holds nothing.
    ///
    /// # Errors
    /// As [`File::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// The operating system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Asks for room for `len` bytes from the start; the length becomes at least that. Best effort
    /// where unsupported.
    ///
    /// # Errors
    /// When the disk is full.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes what was written durable (fdatasync). After an error the bytes' fate is unknown, and
    /// trying again proves nothing.
    ///
    /// # Errors
    /// The operating system's.
    fn sync_data(&self) -> io::Result<()>;
}

impl dyn File + '_ {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// The operating system's, and `UnexpectedEof`.
    pub fn read_exact_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_at(buf, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buf = buf.get_mut(n..).unwrap_or_default();
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The operating system's; part may have been written then.
    pub fn write_all_at(&self, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.write_at(bytes, offset) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without its folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub folder: bool,
}

/// Room in a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still use.
    pub free: u64,
    /// All there is.
    pub total: u64,
}

/// Held while a folder is this process's alone; released when dropped or when the process ends.
pub trait Lock: Send + Sync + fmt::Debug {}

/// The whole of a file system.
pub trait Volume: Send + Sync + fmt::Debug {
    /// Makes everything written to it durable (syncfs). It tells of a failed write-back only if
    /// that came after the volume was obtained, so that must be before the first write to be
    /// covered.
    ///
    /// # Errors
    /// The operating system's; also when some earlier write could not be made durable.
    fn sync(&self) -> io::Result<()>;
}

/// A file system. Paths are absolute.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is none.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens a file that is there for reading and writing.
    ///
    /// # Errors
    /// As [`Fs::open`].
    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Makes a file for reading and writing.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` when the name is taken.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Makes a folder; one that is there already is no error. Its parent must be there.
    ///
    /// # Errors
    /// The operating system's.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Gives a file or folder another name, replacing a file of that name at once.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is none.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and all within.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when there is none.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// What a folder holds, by name.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;

    /// Whether there is a file or folder of this name.
    ///
    /// # Errors
    /// The operating system's.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// The operating system's.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// The file system that holds the folder `path`, watched from now on: see [`Volume::sync`].
    ///
    /// # Errors
    /// The operating system's.
    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>>;

    /// Room in the file system that holds `path`.
    ///
    /// # Errors
    /// The operating system's.
    fn space(&self, path: &Path) -> io::Result<Space>;

    /// Claims a folder for this process, by an advisory lock on a file `lock` in it.
    ///
    /// # Errors
    /// `WouldBlock` when another holds it.
    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>>;
}

/// Reads a whole file of at most `len_max` bytes.
///
/// # Errors
/// The file system's, and `FileTooLarge`.
pub fn read(fs: &dyn Fs, path: &Path, len_max: usize) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    if len > len_max {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// Replaces a small file at once and durably: a temporary file beside it, synced, renamed, and the
/// folder synced.
///
/// # Errors
/// The file system's; the old content is still there then.
pub fn replace(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    match fs.remove(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = fs.create(&new)?;
    file.write_all_at(bytes, 0)?;
    file.sync_data()?;
    fs.rename(&new, path)?;
    fs.sync_folder(path.parent().unwrap_or(Path::new("/")))
}

/// Whether an error says that the disk (or the owner's share of it) is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests;
