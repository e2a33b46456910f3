//! A file system with a hook: it is called before each call that opens or changes something, may
//! block the call, and may skip or defer a sync.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fs::{DirEntry, File, Fs, Lock, SpaceInfo, Volume};

/// The call that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsCall {
    /// [`Fs::open`].
    Open,
    /// [`Fs::edit`].
    Edit,
    /// [`Fs::create`].
    Create,
    /// [`Fs::create_folder`].
    CreateFolder,
    /// [`Fs::rename`]; the path is the old name.
    Rename,
    /// [`Fs::remove`].
    Remove,
    /// [`Fs::remove_folder`].
    RemoveFolder,
    /// [`File::write_at`]; the path is the name by which the file was created or opened, as in the
    /// three below.
    Write,
    /// [`File::set_len`].
    SetLen,
    /// [`File::allocate`].
    Allocate,
    /// [`File::sync_data`].
    Sync,
    /// [`Fs::sync_folder`].
    SyncFolder,
    /// [`Volume::sync`].
    SyncVolume,
}

/// The hook's decision about a call. Only syncs can be skipped or deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The call is made.
    Proceed,
    /// The sync is skipped and reported as done.
    Skip,
    /// The sync of a file is reported as done, and made before the next write to the file.
    Defer,
}

type Hook = dyn Fn(FsCall, &Path) -> Action + Send + Sync;

/// A file system with its hook.
#[derive(Clone)]
pub struct HookedFs {
    fs: Arc<dyn Fs>,
    hook: Arc<Hook>,
}

impl fmt::Debug for HookedFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.fs)
    }
}

impl HookedFs {
    /// Calls `hook` before each call to `fs`.
    pub fn new(
        fs: impl Fs + 'static,
        hook: impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static,
    ) -> Self {
        Self { fs: Arc::new(fs), hook: Arc::new(hook) }
    }

    fn hooked(&self, call: FsCall, path: &Path) -> &dyn Fs {
        (self.hook)(call, path);
        &*self.fs
    }

    fn file(&self, path: &Path, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(HookedFile {
            file,
            path: path.to_owned(),
            hook: Arc::clone(&self.hook),
            deferred: AtomicBool::new(false),
        })
    }
}

struct HookedFile {
    file: Box<dyn File>,
    path: PathBuf,
    hook: Arc<Hook>,
    /// A sync was deferred and must be made before the next write.
    deferred: AtomicBool,
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.file)
    }
}

impl HookedFile {
    fn hooked(&self, call: FsCall) -> &dyn File {
        (self.hook)(call, &self.path);
        &*self.file
    }
}

impl File for HookedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.deferred.swap(false, Ordering::Relaxed) {
            self.file.sync_data()?;
        }
        self.hooked(FsCall::Write).write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.hooked(FsCall::SetLen).set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.hooked(FsCall::Allocate).allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        let action = (self.hook)(FsCall::Sync, &self.path);
        self.deferred.store(action == Action::Defer, Ordering::Relaxed);
        if action == Action::Proceed { self.file.sync_data() } else { Ok(()) }
    }
}

struct HookedVolume {
    volume: Box<dyn Volume>,
    path: PathBuf,
    hook: Arc<Hook>,
}

impl fmt::Debug for HookedVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.volume)
    }
}

impl Volume for HookedVolume {
    fn sync(&self) -> io::Result<()> {
        if (self.hook)(FsCall::SyncVolume, &self.path) == Action::Proceed {
            self.volume.sync()
        } else {
            Ok(())
        }
    }
}

impl Fs for HookedFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.hooked(FsCall::Open, path).open(path)
    }
    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(path, self.hooked(FsCall::Edit, path).edit(path)?))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(path, self.hooked(FsCall::Create, path).create(path)?))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.hooked(FsCall::CreateFolder, path).create_folder(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.hooked(FsCall::Rename, from).rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.hooked(FsCall::Remove, path).remove(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.hooked(FsCall::RemoveFolder, path).remove_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.fs.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.fs.exists(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if (self.hook)(FsCall::SyncFolder, path) == Action::Proceed {
            self.fs.sync_folder(path)
        } else {
            Ok(())
        }
    }
    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
        let (volume, path) = (self.fs.volume(path)?, path.to_owned());
        Ok(Box::new(HookedVolume { volume, path, hook: Arc::clone(&self.hook) }))
    }
    fn space(&self, path: &Path) -> io::Result<SpaceInfo> {
        self.fs.space(path)
    }
    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        self.fs.lock(folder)
    }
    fn lock_existing(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        self.fs.lock_existing(folder)
    }
}
