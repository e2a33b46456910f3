//! A disk whose syncs take longer: the operating system's file system with a wait before each.

use std::io;
use std::path::Path;
use std::time::Duration;

use freehold_core::fs::{Entry, File, Fs, Lock, OsFs, Space, Volume};

/// The file system, and how much longer each sync takes than the disk needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlowFs(pub(crate) Duration);

#[derive(Debug)]
struct SlowFile {
    file: Box<dyn File>,
    delay: Duration,
}

#[allow(clippy::disallowed_methods, reason = "to stand for a slow disk is what this is for")]
fn wait(delay: Duration) {
    if !delay.is_zero() {
        std::thread::sleep(delay);
    }
}

impl SlowFs {
    fn slow(self, file: io::Result<Box<dyn File>>) -> io::Result<Box<dyn File>> {
        Ok(Box::new(SlowFile { file: file?, delay: self.0 }))
    }
}

impl File for SlowFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buf, offset)
    }
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn allocate(&self, len: u64) -> io::Result<()> {
        self.file.allocate(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        wait(self.delay);
        self.file.sync_data()
    }
}

#[derive(Debug)]
struct SlowVolume {
    volume: Box<dyn Volume>,
    delay: Duration,
}

impl Volume for SlowVolume {
    fn sync(&self) -> io::Result<()> {
        wait(self.delay);
        self.volume.sync()
    }
}

impl Fs for SlowFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        OsFs.open(path)
    }
    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.slow(OsFs.edit(path))
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.slow(OsFs.create(path))
    }
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        OsFs.create_folder(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        OsFs.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        OsFs.remove(path)
    }
    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        OsFs.remove_folder(path)
    }
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        OsFs.list(path)
    }
    fn exists(&self, path: &Path) -> io::Result<bool> {
        OsFs.exists(path)
    }
    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        wait(self.0);
        OsFs.sync_folder(path)
    }
    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
        Ok(Box::new(SlowVolume { volume: OsFs.volume(path)?, delay: self.0 }))
    }
    fn space(&self, path: &Path) -> io::Result<Space> {
        OsFs.space(path)
    }
    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        OsFs.lock(folder)
    }
}
