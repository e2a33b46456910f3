//! A file system with somebody standing before it, who is told of each call that opens or changes
//! anything before it is made, may let it wait, and may have a sync left out.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::fs::{Entry, File, Fs, Lock, Space, Volume};

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A file is opened to be read.
    Open,
    /// A file is opened to be changed.
    Edit,
    /// A file is made.
    Create,
    /// A folder is made.
    CreateFolder,
    /// A file or folder gets another name; the path is the one it has so far.
    Rename,
    /// A file is removed.
    Remove,
    /// A folder is removed.
    RemoveFolder,
    /// A file, by the name under which it was made or opened, is written to.
    Write,
    /// Its length is set.
    SetLen,
    /// Room is asked for it.
    Allocate,
    /// It is made durable.
    Sync,
    /// The names in a folder are made durable.
    SyncFolder,
    /// The whole file system is made durable.
    SyncVolume,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It is made.
    Go,
    /// A sync is left out, and said to be done.
    LeaveOut,
    /// The sync of a file is said to be done, and done when the file is next written to.
    Late,
}

type Hook = dyn Fn(What, &Path) -> Then + Send + Sync;

/// A file system and who stands before it.
#[derive(Clone)]
pub struct Hooked {
    fs: Arc<dyn Fs>,
    hook: Arc<Hook>,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.fs)
    }
}

impl Hooked {
    /// Tells `hook` of each call before `fs` gets it.
    pub fn new(
        fs: impl Fs + 'static,
        hook: impl Fn(What, &Path) -> Then + Send + Sync + 'static,
    ) -> Self {
        Self { fs: Arc::new(fs), hook: Arc::new(hook) }
    }

    fn tell(&self, what: What, path: &Path) -> &dyn Fs {
        (self.hook)(what, path);
        &*self.fs
    }

    fn file(&self, path: &Path, file: Box<dyn File>) -> Box<dyn File> {
        Box::new(HookedFile {
            file,
            path: path.to_owned(),
            hook: Arc::clone(&self.hook),
            is_owed: AtomicBool::new(false),
        })
    }
}

struct HookedFile {
    file: Box<dyn File>,
    path: PathBuf,
    hook: Arc<Hook>,
    /// A sync that was put off.
    is_owed: AtomicBool,
}

impl fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hooked({:?})", self.file)
    }
}

impl HookedFile {
    fn tell(&self, what: What) -> &dyn File {
        (self.hook)(what, &self.path);
        &*self.file
    }
}

impl File for HookedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.is_owed.swap(false, Ordering::Relaxed) {
            self.file.sync_data()?;
        }
        self.tell(What::Write).write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.tell(What::SetLen).set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.tell(What::Allocate).allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        let then = (self.hook)(What::Sync, &self.path);
        self.is_owed.store(then == Then::Late, Ordering::Relaxed);
        if then == Then::Go { self.file.sync_data() } else { Ok(()) }
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
        if (self.hook)(What::SyncVolume, &self.path) == Then::Go {
            self.volume.sync()
        } else {
            Ok(())
        }
    }
}

impl Fs for Hooked {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.tell(What::Open, path).open(path)
    }
    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(path, self.tell(What::Edit, path).edit(path)?))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        Ok(self.file(path, self.tell(What::Create, path).create(path)?))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        self.tell(What::CreateFolder, path).create_folder(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tell(What::Rename, from).rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.tell(What::Remove, path).remove(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.tell(What::RemoveFolder, path).remove_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        self.fs.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.fs.exists(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        if (self.hook)(What::SyncFolder, path) == Then::Go {
            self.fs.sync_folder(path)
        } else {
            Ok(())
        }
    }
    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
        let (volume, path) = (self.fs.volume(path)?, path.to_owned());
        Ok(Box::new(HookedVolume { volume, path, hook: Arc::clone(&self.hook) }))
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        self.fs.space(path)
    }
    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        self.fs.lock(folder)
    }
}
