//! The file system as a parameter: the write-ahead log, the blobs and the snapshots write through
//! [`Fs`], so that tests can simulate failures and power cuts.
//!
//! A write is durable after `sync_data` on its file, a name (created, renamed, removed) after
//! `sync_folder` on its folder. Before that a power cut may lose any part of it. Files are created
//! readable and writable by their owner only (mode 0600).

use std::fmt;
use std::io;
use std::path::Path;

#[cfg(any(test, feature = "testing"))]
mod memory;
mod os;

#[cfg(any(test, feature = "testing"))]
pub use memory::{Fault, MemoryFs, PowerCut};
pub use os::OsFs;

/// An open file. Reads and writes take an offset, so one handle serves many threads.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads at `offset` and returns the number of bytes read: 0 only at the end of the file,
    /// before it possibly fewer than `buf` holds.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at `offset` and returns the number of bytes written, possibly fewer than given. The
    /// file grows as needed.
    ///
    /// # Errors
    /// The operating system's.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// The length in bytes.
    ///
    /// # Errors
    /// The operating system's.
    fn len(&self) -> io::Result<u64>;

    /// True if the file has length 0.
    ///
    /// # Errors
    /// As [`File::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Truncates the file, or extends it with zeros.
    ///
    /// # Errors
    /// The operating system's.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Allocates disk space for the first `len` bytes; the file becomes at least that long. Where
    /// the file system has no allocation, zeros are written instead.
    ///
    /// # Errors
    /// When the disk is full.
    fn allocate(&self, len: u64) -> io::Result<()>;

    /// Makes all writes so far durable (fdatasync). After an error it is unknown which bytes are
    /// durable, and a later success does not cover them.
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
    /// The operating system's; part of the bytes may be written.
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

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DirEntry {
    /// The name, without its folder.
    pub name: String,
    /// True for a folder, false for a file.
    pub folder: bool,
}

/// The size of a file system, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceInfo {
    /// Free for this process.
    pub free: u64,
    /// Free and used together.
    pub total: u64,
}

/// An exclusive lock on a folder; released when dropped or when the process ends.
pub trait Lock: Send + Sync + fmt::Debug {}

/// A whole file system.
pub trait Volume: Send + Sync + fmt::Debug {
    /// Makes everything written to it durable (syncfs). A failed write-back is reported only if it
    /// happened after [`Fs::volume`] returned this value, so call that before the first write that
    /// this must cover.
    ///
    /// # Errors
    /// The operating system's; also when the write-back of an earlier write failed.
    fn sync(&self) -> io::Result<()>;
}

/// A file system. Paths are absolute.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when it does not exist.
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    /// As [`Fs::open`].
    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Creates a file for reading and writing.
    ///
    /// # Errors
    /// The operating system's; `AlreadyExists` when the name exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>>;

    /// Creates a folder; an existing one is no error. Its parent must exist.
    ///
    /// # Errors
    /// The operating system's.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Renames a file or folder; a file of the new name is replaced atomically.
    ///
    /// # Errors
    /// The operating system's.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when it does not exist.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder and everything in it.
    ///
    /// # Errors
    /// The operating system's; `NotFound` when it does not exist.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// The entries of a folder, sorted by name.
    ///
    /// # Errors
    /// The operating system's.
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>>;

    /// True if a file or folder of this name exists.
    ///
    /// # Errors
    /// The operating system's.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in a folder durable (fsync of the folder).
    ///
    /// # Errors
    /// The operating system's.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// The file system that holds the folder `path`. Failed write-backs are reported from now on:
    /// see [`Volume::sync`].
    ///
    /// # Errors
    /// The operating system's.
    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>>;

    /// Free and total space of the file system that holds `path` (statvfs).
    ///
    /// # Errors
    /// The operating system's.
    fn space(&self, path: &Path) -> io::Result<SpaceInfo>;

    /// Locks a folder for this process, by an advisory lock (flock) on the file `lock` in it.
    ///
    /// # Errors
    /// `WouldBlock` when another holds it.
    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>>;

    /// The same on a file system that is read-only: creates no file. Without the file `lock` the
    /// folder itself is locked.
    ///
    /// # Errors
    /// As [`Fs::lock`].
    fn lock_existing(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        self.lock(folder)
    }
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

/// Replaces a small file atomically and durably: writes a temporary file beside it, syncs it,
/// renames it and syncs the folder.
///
/// # Errors
/// The file system's; the file then has its old content.
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

/// Creates a folder unless it exists, and makes its name durable.
///
/// An earlier sync of the name may have failed. A second sync succeeds then and does not write the
/// name, because the kernel takes it for written. A caller writes nothing into the folder after
/// such a failure, so the name of an empty folder is changed twice before the sync, and the name of
/// a folder with files in it is durable.
///
/// # Errors
/// The file system's. Then the folder may exist, and must not be used before another call succeeds.
pub fn create_folder_durably(fs: &dyn Fs, folder: &Path) -> io::Result<()> {
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    if !fs.exists(folder)? {
        fs.create_folder(folder)?;
        return fs.sync_folder(parent);
    }
    change_name(fs, folder)?;
    unless_of_others(fs.sync_folder(parent))
}

/// Changes the name of a folder to another one and back if the folder is empty.
fn change_name(fs: &dyn Fs, folder: &Path) -> io::Result<()> {
    let Some(name) = folder.file_name() else { return Ok(()) };
    match fs.list(folder) {
        Ok(entries) if entries.is_empty() => {}
        listed => return unless_of_others(listed.map(drop)),
    }
    let mut other = name.to_owned();
    other.push(".unsynced");
    let other = folder.with_file_name(other);
    match fs.rename(folder, &other) {
        Ok(()) => fs.rename(&other, folder),
        refused => unless_of_others(refused),
    }
}

/// No error if this process can't have created the folder, because it may not change the names
/// beside it: they are another user's, or a file system is mounted there.
fn unless_of_others(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::ResourceBusy
        | io::ErrorKind::CrossesDevices
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::Unsupported => Ok(()),
        _ => Err(error),
    })
}

/// True if an error means that the disk, or the user's quota, is full.
pub fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

#[cfg(test)]
mod tests;
