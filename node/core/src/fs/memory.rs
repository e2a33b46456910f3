//! A file system in memory that knows what is durable, can cut its power and fail any call: for tests.
//!
//! Each file and folder keeps what is seen and what is durable apart, with the operations between the two. A failed sync leaves
//! the bytes visible and makes no later sync cover them, as Linux does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Entry, File, Fs, Lock, Space};

mod cut;

pub use cut::PowerCut;

/// What a call does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails with an input/output error.
    Io,
    /// Fails because the disk is full.
    Full,
    /// A write takes half of its bytes, and the next fails because the disk is full; another call fails at once.
    Short,
    /// The power is gone: this and every later call fails.
    Power,
}

const TOTAL: u64 = 1 << 40;

/// A file system in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryFs(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct Write {
    order: u64,
    change: Change,
    /// Its sync failed: no later sync makes it durable.
    doomed: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes { offset: u64, bytes: Vec<u8> },
    Len(u64),
}

#[derive(Debug, Clone)]
struct Naming {
    order: u64,
    what: Name,
}

#[derive(Debug, Clone)]
enum Name {
    Link(String, usize),
    Unlink(String),
    Rename { from: String, to: String, node: usize },
}

#[derive(Debug, Clone)]
enum Node {
    File { seen: Vec<u8>, durable: Vec<u8>, pending: Vec<Write> },
    Folder { seen: BTreeMap<String, usize>, durable: BTreeMap<String, usize>, pending: Vec<Naming> },
}

impl Node {
    fn file() -> Self {
        Self::File { seen: Vec::new(), durable: Vec::new(), pending: Vec::new() }
    }

    fn folder() -> Self {
        Self::Folder { seen: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new() }
    }
}

#[derive(Debug)]
struct State {
    /// The first is the root. A node without a name lives on while a handle may point at it.
    nodes: Vec<Node>,
    locks: BTreeSet<PathBuf>,
    order: u64,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    free: u64,
    dead: bool,
    /// What there was before each call, if a test asked for it.
    past: Option<Vec<Vec<Node>>>,
}

impl Default for State {
    fn default() -> Self {
        let (locks, faults) = (BTreeSet::new(), BTreeMap::new());
        Self { nodes: vec![Node::folder()], locks, order: 0, calls: 0, faults, free: TOTAL / 2, dead: false, past: None }
    }
}

fn gone() -> io::Error {
    io::Error::other("input/output error")
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

fn apply_bytes(to: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = offset.saturating_add(bytes.len());
    if to.len() < end {
        to.resize(end, 0);
    }
    if let Some(place) = to.get_mut(offset..end) {
        place.copy_from_slice(bytes);
    }
}

fn apply_change(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Bytes { offset, bytes } => apply_bytes(to, *offset, bytes),
        Change::Len(len) => to.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0),
    }
}

fn apply_name(to: &mut BTreeMap<String, usize>, name: &Name) {
    match name {
        Name::Link(name, node) => {
            to.insert(name.clone(), *node);
        }
        Name::Unlink(name) => {
            to.remove(name);
        }
        Name::Rename { from, to: new, node } => {
            to.remove(from);
            to.insert(new.clone(), *node);
        }
    }
}

impl State {
    /// Counts a call that changes or syncs something, and says how it fails.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        if self.dead {
            return Err(gone());
        }
        if let Some(past) = &mut self.past {
            past.push(self.nodes.clone());
        }
        self.calls += 1;
        self.order += 1;
        match self.faults.remove(&self.calls) {
            Some(Fault::Power) => {
                self.dead = true;
                Err(gone())
            }
            fault => Ok(fault),
        }
    }

    fn plain_call(&mut self) -> io::Result<()> {
        match self.call()? {
            None => Ok(()),
            Some(Fault::Full | Fault::Short) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => Err(gone()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        if self.dead {
            return Err(gone());
        }
        let mut at = 0;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let Some(Node::Folder { seen, .. }) = self.nodes.get(at) else { return Err(not_found()) };
                at = *seen.get(name.to_str().unwrap_or_default()).ok_or_else(not_found)?;
            }
        }
        Ok(at)
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(not_found)?;
        Ok((self.find(path.parent().ok_or_else(not_found)?)?, name.to_owned()))
    }

    fn name(&mut self, folder: usize, what: Name) {
        let order = self.order;
        if let Some(Node::Folder { seen, pending, .. }) = self.nodes.get_mut(folder) {
            apply_name(seen, &what);
            pending.push(Naming { order, what });
        }
    }

    fn write(&mut self, node: usize, change: Change) {
        let order = self.order;
        if let Some(Node::File { seen, pending, .. }) = self.nodes.get_mut(node) {
            apply_change(seen, &change);
            pending.push(Write { order, change, doomed: false });
        }
    }

    fn make(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        self.plain_call()?;
        let (folder, name) = self.parent(path)?;
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(node);
        let made = self.nodes.len() - 1;
        self.name(folder, Name::Link(name, made));
        Ok(made)
    }

    fn sync(&mut self, node: usize) {
        match self.nodes.get_mut(node) {
            Some(Node::File { durable, pending, .. }) => {
                for write in pending.iter().filter(|w| !w.doomed) {
                    apply_change(durable, &write.change);
                }
                pending.retain(|w| w.doomed);
            }
            Some(Node::Folder { durable, pending, .. }) => {
                for naming in pending.drain(..) {
                    apply_name(durable, &naming.what);
                }
            }
            None => {}
        }
    }
}

impl MemoryFs {
    /// An empty file system with the folder `/` only.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls that change or sync something were made so far.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets the `n`-th such call from now (the next is 1) fail.
    pub fn fail_at(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.calls + n;
        state.faults.insert(at, fault);
    }

    /// Remembers from now on what there is before each call, for [`MemoryFs::power_cut_before`].
    pub fn record(&self) {
        self.state().past = Some(Vec::new());
    }

    /// Forgets the faults that have not come yet.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Sets what [`Fs::space`] says is free, in bytes.
    pub fn set_free(&self, free: u64) {
        self.state().free = free;
    }

    /// Changes bytes of a file behind everybody's back, as a failing disk would.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn damage(&self, path: &Path, offset: u64, xor: u8) -> io::Result<()> {
        let mut state = self.state();
        let at = state.find(path)?;
        let place = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(Node::File { seen, durable, .. }) = state.nodes.get_mut(at) {
            for bytes in [seen, durable] {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte ^= xor;
                }
            }
        }
        Ok(())
    }

    fn handle(&self, node: usize) -> Box<dyn File> {
        Box::new(MemoryFile { fs: self.clone(), node })
    }

    fn existing(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let state = self.state();
        let node = state.find(path)?;
        match state.nodes.get(node) {
            Some(Node::File { .. }) => Ok(self.handle(node)),
            _ => Err(io::ErrorKind::IsADirectory.into()),
        }
    }
}

#[derive(Debug)]
struct MemoryFile {
    fs: MemoryFs,
    node: usize,
}

impl File for MemoryFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.fs.state();
        if state.dead {
            return Err(gone());
        }
        let Some(Node::File { seen, .. }) = state.nodes.get(self.node) else { return Err(not_found()) };
        let rest = usize::try_from(offset).ok().and_then(|o| seen.get(o..)).unwrap_or_default();
        let n = rest.len().min(buf.len());
        if let (Some(to), Some(from)) = (buf.get_mut(..n), rest.get(..n)) {
            to.copy_from_slice(from);
        }
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let mut state = self.fs.state();
        let taken = match state.call()? {
            None => bytes.len(),
            Some(Fault::Full) => return Err(io::ErrorKind::StorageFull.into()),
            Some(Fault::Short) => {
                let next = state.calls + 1;
                state.faults.insert(next, Fault::Full);
                bytes.len() / 2
            }
            Some(_) => return Err(gone()),
        };
        let bytes = bytes.get(..taken).unwrap_or_default().to_vec();
        state.write(self.node, Change::Bytes { offset, bytes });
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn len(&self) -> io::Result<u64> {
        let state = self.fs.state();
        match state.nodes.get(self.node) {
            Some(Node::File { seen, .. }) if !state.dead => Ok(seen.len() as u64),
            _ => Err(gone()),
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
        if matches!(state.nodes.get(self.node), Some(Node::File { seen, .. }) if (seen.len() as u64) < len) {
            state.write(self.node, Change::Len(len));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.fs.state();
        let done = state.plain_call();
        match (&done, state.nodes.get_mut(self.node)) {
            (Ok(()), _) => state.sync(self.node),
            (Err(_), Some(Node::File { pending, .. })) => pending.iter_mut().for_each(|w| w.doomed = true),
            _ => {}
        }
        done
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

impl Fs for MemoryFs {
    fn open(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.existing(path)
    }

    fn edit(&self, path: &Path) -> io::Result<Box<dyn File>> {
        self.existing(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn File>> {
        let made = self.state().make(path, Node::file())?;
        Ok(self.handle(made))
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match self.state().make(path, Node::folder()) {
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
            state.name(old_folder, Name::Rename { from: old, to: new, node });
        } else {
            state.name(new_folder, Name::Link(new, node));
            state.name(old_folder, Name::Unlink(old));
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_call()?;
        state.find(path)?;
        let (folder, name) = state.parent(path)?;
        state.name(folder, Name::Unlink(name));
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.remove(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let state = self.state();
        let at = state.find(path)?;
        let Some(Node::Folder { seen, .. }) = state.nodes.get(at) else { return Err(io::ErrorKind::NotADirectory.into()) };
        let is_folder = |node: &usize| matches!(state.nodes.get(*node), Some(Node::Folder { .. }));
        Ok(seen.iter().map(|(name, node)| Entry { name: name.clone(), folder: is_folder(node) }).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let state = self.state();
        if state.dead { Err(gone()) } else { Ok(state.find(path).is_ok()) }
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_call()?;
        let at = state.find(path)?;
        state.sync(at);
        Ok(())
    }

    fn sync_all(&self, _path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.plain_call()?;
        for node in 0..state.nodes.len() {
            state.sync(node);
        }
        Ok(())
    }

    fn space(&self, _path: &Path) -> io::Result<Space> {
        let state = self.state();
        if state.dead { Err(gone()) } else { Ok(Space { free: state.free, total: TOTAL }) }
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
