//! A file system in memory for tests: it tracks what is durable, simulates power cuts and fails
//! calls on demand.
//!
//! Each file and folder holds its visible state, its durable state and the operations not synced
//! yet. After a failed sync the bytes stay visible and no later sync covers them, as on Linux.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::File;

mod calls;
mod cut;

pub use cut::PowerCut;

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Fails with an input/output error.
    Io,
    /// Fails because the disk is full.
    Full,
    /// A write writes half of its bytes, and the next call fails because the disk is full. A call
    /// that is not a write fails immediately.
    Short,
    /// Power cut: this and every later call fails.
    Power,
}

/// The size of the file system, in bytes.
const TOTAL_LEN: u64 = 1 << 40;

/// A file system in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryFs(Arc<Mutex<State>>);

#[derive(Debug, Clone)]
struct Write {
    order: u64,
    change: Change,
    /// A sync of it failed, or its write-back: no later sync makes it durable.
    lost: bool,
}

#[derive(Debug, Clone)]
enum Change {
    Bytes { offset: u64, bytes: Vec<u8> },
    Len(u64),
}

#[derive(Debug, Clone)]
struct NameWrite {
    order: u64,
    change: NameChange,
    /// A sync of its folder failed: no later sync makes it durable.
    lost: bool,
}

#[derive(Debug, Clone)]
enum NameChange {
    Link(String, usize),
    Unlink(String),
    Rename { from: String, to: String, node: usize },
}

#[derive(Debug, Clone)]
enum Node {
    File {
        visible: Vec<u8>,
        durable: Vec<u8>,
        pending: Vec<Write>,
    },
    Folder {
        visible: BTreeMap<String, usize>,
        durable: BTreeMap<String, usize>,
        pending: Vec<NameWrite>,
    },
}

impl Node {
    fn file() -> Self {
        Self::File { visible: Vec::new(), durable: Vec::new(), pending: Vec::new() }
    }

    fn folder() -> Self {
        Self::Folder { visible: BTreeMap::new(), durable: BTreeMap::new(), pending: Vec::new() }
    }
}

#[derive(Debug)]
struct State {
    /// The first is the root. Unlinked nodes stay, because a handle may still refer to them.
    nodes: Vec<Node>,
    locks: BTreeSet<PathBuf>,
    order: u64,
    calls: u64,
    faults: BTreeMap<u64, Fault>,
    free: u64,
    /// How often [`MemoryFs::lose_writes`] was called.
    lost_writes: u64,
    powered_off: bool,
    /// The state before each call, if recorded.
    recorded: Option<Vec<Vec<Node>>>,
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
            free: TOTAL_LEN / 2,
            lost_writes: 0,
            powered_off: false,
            recorded: None,
        }
    }
}

fn io_error() -> io::Error {
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
    if let Some(target) = to.get_mut(offset..end) {
        target.copy_from_slice(bytes);
    }
}

fn apply_change(to: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Bytes { offset, bytes } => apply_bytes(to, *offset, bytes),
        Change::Len(len) => to.resize(usize::try_from(*len).unwrap_or(usize::MAX), 0),
    }
}

fn apply_name(to: &mut BTreeMap<String, usize>, change: &NameChange) {
    match change {
        NameChange::Link(name, node) => {
            to.insert(name.clone(), *node);
        }
        NameChange::Unlink(name) => {
            to.remove(name);
        }
        NameChange::Rename { from, to: new, node } => {
            to.remove(from);
            to.insert(new.clone(), *node);
        }
    }
}

impl State {
    /// Counts a call that changes or syncs something, and returns the fault planned for it.
    fn call(&mut self) -> io::Result<Option<Fault>> {
        if self.powered_off {
            return Err(io_error());
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.push(self.nodes.clone());
        }
        self.calls += 1;
        self.order += 1;
        match self.faults.remove(&self.calls) {
            Some(Fault::Power) => {
                self.powered_off = true;
                Err(io_error())
            }
            fault => Ok(fault),
        }
    }

    fn plain_call(&mut self) -> io::Result<()> {
        match self.call()? {
            None => Ok(()),
            Some(Fault::Full | Fault::Short) => Err(io::ErrorKind::StorageFull.into()),
            Some(_) => Err(io_error()),
        }
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        if self.powered_off {
            return Err(io_error());
        }
        let mut at = 0;
        for part in path.components() {
            if let Component::Normal(name) = part {
                let Some(Node::Folder { visible, .. }) = self.nodes.get(at) else {
                    return Err(not_found());
                };
                at = *visible.get(name.to_str().unwrap_or_default()).ok_or_else(not_found)?;
            }
        }
        Ok(at)
    }

    fn parent(&self, path: &Path) -> io::Result<(usize, String)> {
        let name = path.file_name().and_then(|n| n.to_str()).ok_or_else(not_found)?;
        Ok((self.find(path.parent().ok_or_else(not_found)?)?, name.to_owned()))
    }

    fn change_name(&mut self, folder: usize, change: NameChange) {
        let order = self.order;
        if let Some(Node::Folder { visible, pending, .. }) = self.nodes.get_mut(folder) {
            apply_name(visible, &change);
            pending.push(NameWrite { order, change, lost: false });
        }
    }

    fn write(&mut self, node: usize, change: Change) {
        let order = self.order;
        if let Some(Node::File { visible, pending, .. }) = self.nodes.get_mut(node) {
            apply_change(visible, &change);
            pending.push(Write { order, change, lost: false });
        }
    }

    fn create_node(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        self.plain_call()?;
        let (folder, name) = self.parent(path)?;
        if self.find(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.nodes.push(node);
        let created = self.nodes.len() - 1;
        self.change_name(folder, NameChange::Link(name, created));
        Ok(created)
    }

    fn sync(&mut self, node: usize) {
        match self.nodes.get_mut(node) {
            Some(Node::File { durable, pending, .. }) => {
                for write in pending.iter().filter(|w| !w.lost) {
                    apply_change(durable, &write.change);
                }
                pending.retain(|w| w.lost);
            }
            Some(Node::Folder { durable, pending, .. }) => {
                for write in pending.drain(..).filter(|write| !write.lost) {
                    apply_name(durable, &write.change);
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

    /// The number of calls so far that change or sync something.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes the `n`-th such call from now (the next is 1) fail.
    pub fn fail_at(&self, n: u64, fault: Fault) {
        let mut state = self.state();
        let at = state.calls + n;
        state.faults.insert(at, fault);
    }

    /// Records the state before each call from now on, for [`MemoryFs::power_cut_before`].
    pub fn record(&self) {
        self.state().recorded = Some(Vec::new());
    }

    /// Removes the planned faults.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Sets the free space that [`Fs::space`](crate::fs::Fs::space) reports, in bytes.
    pub fn set_free(&self, free: u64) {
        self.state().free = free;
    }

    /// Makes the write-back of all unsynced writes fail: they stay visible and never become
    /// durable.
    pub fn lose_writes(&self) {
        let mut state = self.state();
        state.lost_writes += 1;
        for node in &mut state.nodes {
            if let Node::File { pending, .. } = node {
                pending.iter_mut().for_each(|write| write.lost = true);
            }
        }
    }

    /// Changes a byte of a file without a call, as a failing disk would.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn damage(&self, path: &Path, offset: u64, xor: u8) -> io::Result<()> {
        let mut state = self.state();
        let at = state.find(path)?;
        let index = usize::try_from(offset).unwrap_or(usize::MAX);
        if let Some(Node::File { visible, durable, .. }) = state.nodes.get_mut(at) {
            for bytes in [visible, durable] {
                if let Some(byte) = bytes.get_mut(index) {
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
