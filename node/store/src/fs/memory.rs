//! A file system in memory that knows what is durable, can cut its power and fail any call: for
//! tests.
//!
//! Each file and folder keeps what is seen and what is durable apart, with the operations between
//! the two. A failed sync leaves the bytes visible and makes no later sync cover them, as Linux
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::File;

mod calls;
mod cut;

pub use cut::PowerCut;

/// What a call does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails with an input/output error.
    Io,
    /// Fails because the disk is full.
    Full,
    /// A write takes half of its bytes, and the next fails because the disk is full; another call
    /// fails at once.
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
    /// How often the system failed to write back what it had taken.
    lost_writes: u64,
    dead: bool,
    /// What there was before each call, if a test asked for it.
    past: Option<Vec<Vec<Node>>>,
}

impl Default for State {
    fn default() -> Self {
        let (locks, faults) = (BTreeSet::new(), BTreeMap::new());
        Self {
            nodes: vec![Node::folder()],
            locks,
            order: 0,
            calls: 0,
            faults,
            free: TOTAL / 2,
            lost_writes: 0,
            dead: false,
            past: None,
        }
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
                let Some(Node::Folder { seen, .. }) = self.nodes.get(at) else {
                    return Err(not_found());
                };
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

    /// Sets what [`Fs::space`](crate::fs::Fs::space) says is free, in bytes.
    pub fn set_free(&self, free: u64) {
        self.state().free = free;
    }

    /// Lets the system fail to write back all that it has taken and nobody has synced: seen, but
    /// never durable.
    pub fn lose_writes(&self) {
        let mut state = self.state();
        state.lost_writes += 1;
        for node in &mut state.nodes {
            if let Node::File { pending, .. } = node {
                pending.iter_mut().for_each(|write| write.doomed = true);
            }
        }
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
        Box::new(calls::MemoryFile { fs: self.clone(), node })
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
