//! The calls of [`MemoryFs`]: those that change or sync something are counted and may fail.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::super::{DirEntry, File, Fs, Lock, SpaceInfo, Volume};
use super::{Change, Fault, MemoryFs, NameChange, Node, TOTAL_LEN, io_error, not_found};

#[derive(Debug)]
pub(super) struct MemoryFile {
    pub(super) fs: MemoryFs,
    pub(super) node: usize,
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.fs.state();
        if state.powered_off {
            return Err(io_error());
        }
        let Some(Node::File { visible, .. }) = state.nodes.get(self.node) else {
            return Err(not_found());
        };
        let rest = usize::try_from(offset).ok().and_then(|o| visible.get(o..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.fs.state();
        let written = match state.call()? {
            None => bytes.len(),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Short) => {
                let next = state.calls + 1;
                state.faults.insert(next, Fault::Full);
                bytes.len() / 2
            }
            Some(_) => return Err(io_error()),
        };
        let bytes = bytes.get(..written).unwrap_or_default().to_vec();
        state.write(self.node, Change::Bytes { offset, bytes });
        if written == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(written) }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.fs.state();
        match state.nodes.get(self.node) {
            Some(Node::File { visible, .. }) if !state.powered_off => Ok(visible.len() as u64),
            _ => Err(io_error()),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        state.plain_call()?;
        state.write(self.node, Change::Len(len));
        Ok(())
    }

    fn allocate(&self, len: u64) -> io::Result<()> {
        let mut state = self.fs.state();
        state.plain_call()?;
        if let Some(Node::File { visible, .. }) = state.nodes.get(self.node)
            && (visible.len() as u64) < len
        {
            state.write(self.node, Change::Len(len));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        let result = state.plain_call();
        match (&result, state.nodes.get_mut(self.node)) {
            (Ok(()), _) => state.sync(self.node),
            (Err(_), Some(Node::File { pending, .. })) => {
                pending.iter_mut().for_each(|w| w.lost = true)
            }
            _ => {}
        }
        result
    }
}

#[derive(Debug)]
struct MemoryLock(MemoryFs, PathBuf);

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.state().locks.remove(&self.1);
    }
}

#[derive(Debug)]
struct MemoryVolume {
    fs: MemoryFs,
    /// How many failed write-backs were reported to this handle, or happened before it.
    reported: AtomicU64,
}

impl Volume for MemoryVolume {
    fn sync(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        state.plain_call()?;
        for node in 0..state.nodes.len() {
            state.sync(node);
        }
        if self.reported.swap(state.lost_writes, Ordering::Relaxed) < state.lost_writes {
            Err(io_error())
        } else {
            Ok(())
        }
    }
}

impl Fs for MemoryFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.existing(path)
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.existing(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let created = self.state().create_node(path, Node::file())?;
        Ok(self.handle(created))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match self.state().create_node(path, Node::folder()) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other.map(|_| ()),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_call()?;
        let node = state.find(from)?;
        let ((old_folder, old), (new_folder, new)) = (state.parent(from)?, state.parent(to)?);
        if old_folder == new_folder {
            state.change_name(old_folder, NameChange::Rename { from: old, to: new, node });
        } else {
            state.change_name(new_folder, NameChange::Link(new, node));
            state.change_name(old_folder, NameChange::Unlink(old));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_call()?;
        state.find(path)?;
        let (folder, name) = state.parent(path)?;
        state.change_name(folder, NameChange::Unlink(name));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let state = self.state();
        let at = state.find(path)?;
        let Some(Node::Folder { visible, .. }) = state.nodes.get(at) else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let is_folder = |node: &usize| matches!(state.nodes.get(*node), Some(Node::Folder { .. }));
        Ok(visible
            .iter()
            .map(|(name, node)| DirEntry { name: name.clone(), folder: is_folder(node) })
            .collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        if state.powered_off { Err(io_error()) } else { Ok(state.find(path).is_ok()) }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let result = state.plain_call();
        let at = state.find(path)?;
        match (&result, state.nodes.get_mut(at)) {
            (Ok(()), _) => state.sync(at),
            (Err(_), Some(Node::Folder { pending, .. })) => {
                pending.iter_mut().for_each(|write| write.lost = true);
            }
            _ => {}
        }
        result
    }

    fn volume(&self, path: &Path) -> io::Result<Box<dyn Volume>> {
        let state = self.state();
        state.find(path)?;
        Ok(Box::new(MemoryVolume { fs: self.clone(), reported: AtomicU64::new(state.lost_writes) }))
    }

    fn space(&self, _path: &Path) -> io::Result<SpaceInfo> {
        let state = self.state();
        if state.powered_off {
            Err(io_error())
        } else {
            Ok(SpaceInfo { free: state.free, total: TOTAL_LEN })
        }
    }

    fn lock(&self, folder: &Path) -> io::Result<Box<dyn Lock>> {
        let mut state = self.state();
        state.find(folder)?;
        if !state.locks.insert(folder.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(MemoryLock(self.clone(), folder.to_owned())))
    }
}
