//! The operating system's file system.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, FlockOperation, OFlags};

use super::{DirEntry, File, Fs, Lock, SpaceInfo, Volume};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFs;

#[derive(Debug)]
struct OsFile(fs::File);

impl File for OsFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            // Without fallocate the space is taken by writing zeros.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&self.0, len),
            other => Ok(other?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Appends zeros until the file is `len` bytes long.
fn fill(file: &fs::File, len: u64) -> io::Result<()> {
    let zeros = vec![0; 64 * 1024];
    let mut at = file.metadata()?.len();
    while at < len {
        let part = usize::try_from(len - at).map_or(zeros.len(), |rest| rest.min(zeros.len()));
        file.write_all_at(zeros.get(..part).unwrap_or(&zeros), at)?;
        at += part as u64;
    }
    Ok(())
}

#[derive(Debug)]
struct OsLock {
    // The lock is held as long as this descriptor is open.
    _file: fs::File,
}

impl Lock for OsLock {}

/// Linux reports to a descriptor each write-back that failed since it was opened, once.
#[derive(Debug)]
struct OsVolume(fs::File);

impl Volume for OsVolume {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl OsFs {
    /// Why an existing folder is not safe for secrets: it is another user's, or others may write to
    /// it, so they could replace its files. `None` if it is safe, or not there.
    pub fn danger_of(&self, folder: &Path) -> Option<&'static str> {
        let folder = fs::metadata(folder).ok()?;
        if folder.uid() != rustix::process::geteuid().as_raw() {
            return Some(
                "belongs to another user; start the node as that user, or change its owner",
            );
        }
        (folder.mode() & 0o022 != 0)
            .then_some("can be written by other users; `chmod go-w` makes it safe")
    }

    /// Takes all permissions of other users on an existing folder away, so that they can't reach
    /// the files in it. Some file systems have no permissions, and some can't be written.
    pub fn make_private(&self, folder: &Path) {
        let mode = fs::metadata(folder).map(|folder| folder.mode()).unwrap_or_default();
        if mode & 0o077 != 0 {
            let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o700));
        }
    }
}

impl Fs for OsFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OsFile(fs::File::open(path)?)))
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(Box::new(OsFile(fs::OpenOptions::new().read(true).write(true).open(path)?)))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Box::new(OsFile(file)))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // Names that are not UTF-8 are not created by this crate.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(DirEntry { name, folder: entry.file_type()?.is_dir() });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }

    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
        Ok(Box::new(OsVolume(fs::File::open(path)?)))
    }

    fn space(&self, path: &Path) -> io::Result<SpaceInfo> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(SpaceInfo {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }

    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        let path = folder.join("lock");
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A link in its place would make a file elsewhere.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(OsLock { _file: file }))
    }

    fn lock_existing(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        let file = match fs::File::open(folder.join("lock")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::File::open(folder)?,
            opened => opened?,
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(OsLock { _file: file }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_that_others_can_write_is_dangerous() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, is_safe) in [(0o700, true), (0o755, true), (0o775, false), (0o707, false)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(OsFs.danger_of(folder.path()).is_none(), is_safe, "{mode:o}");
        }
        assert_eq!(OsFs.danger_of(&folder.path().join("absent")), None);
    }

    #[test]
    fn lock_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        std::os::unix::fs::symlink(&elsewhere, folder.path().join("lock")).unwrap();
        assert!(OsFs.lock(folder.path()).is_err());
        assert!(!elsewhere.exists());
    }

    #[test]
    fn file_is_zero_filled_without_fallocate() {
        let mut file = tempfile::tempfile().unwrap();
        io::Write::write_all(&mut file, b"kept").unwrap();
        fill(&file, 150_000).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 150_000);
        fill(&file, 10).unwrap();
        let mut start = [1; 6];
        file.read_exact_at(&mut start, 0).unwrap();
        assert_eq!(&start, b"kept\0\0");
    }
}
