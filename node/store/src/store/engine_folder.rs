//! The folders of an engine in the data folder.
//!
//! `rows-<engine>` holds a new or a rebuilt engine. A compaction (compaction.rs) makes the next
//! engine in `rows-<engine>/a` or `rows-<engine>/b`, beside the one in use: an open engine keeps
//! the paths of its files, so its folder cannot be renamed. The checkpoint names the folder in use.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::{EngineSource, OpenError};
use crate::engine::{Engine, EngineError};
use crate::fs::Fs;

/// The place of an engine below `rows-<engine>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot {
    /// The folder itself.
    #[default]
    Root,
    /// Its folder `a`.
    A,
    /// Its folder `b`.
    B,
}

impl Slot {
    const ALL: [Self; 3] = [Self::Root, Self::A, Self::B];

    /// The slot of the engine that a compaction makes while this one is in use.
    pub(super) fn next(self) -> Self {
        match self {
            Self::Root | Self::B => Self::A,
            Self::A => Self::B,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::A => "/a",
            Self::B => "/b",
        }
    }
}

/// The name of an engine in the checkpoint.
pub(super) fn engine_name(source: &EngineSource, slot: Slot) -> [u8; 16] {
    let mut name = [0; 16];
    let bytes = source.name().bytes().chain(slot.suffix().bytes());
    name.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    name
}

/// The slot of the engine with this name; `None` if it is another kind of engine.
pub(super) fn slot_of(source: &EngineSource, name: &[u8; 16]) -> Option<Slot> {
    Slot::ALL.into_iter().find(|slot| engine_name(source, *slot) == *name)
}

/// The folder of all slots of the engine.
pub(super) fn engine_folder(data: &Path, source: &EngineSource) -> PathBuf {
    data.join(format!("rows-{}", source.name()))
}

/// The folder of one slot of the engine.
pub(super) fn slot_folder(data: &Path, source: &EngineSource, slot: Slot) -> PathBuf {
    let folder = engine_folder(data, source);
    match slot {
        Slot::Root => folder,
        Slot::A => folder.join("a"),
        Slot::B => folder.join("b"),
    }
}

/// Creates `folder` and opens the engine `source` in it.
pub(super) fn open_engine(
    fs: &dyn Fs,
    source: &EngineSource,
    folder: &Path,
) -> Result<Arc<dyn Engine>, OpenError> {
    fs.create_folder(folder)?;
    source.open(folder).map_err(|error: EngineError| error.into())
}

/// Removes the files of all slots but `used`, whose engines must be closed.
pub(super) fn remove_unused_slots(
    fs: &dyn Fs,
    data: &Path,
    source: &EngineSource,
    used: Slot,
) -> io::Result<()> {
    if used == Slot::Root {
        remove_folder(fs, &slot_folder(data, source, Slot::A))?;
        return remove_folder(fs, &slot_folder(data, source, Slot::B));
    }
    let (root, used) = (engine_folder(data, source), slot_folder(data, source, used));
    for entry in fs.list(&root)? {
        match root.join(&entry.name) {
            path if path == used => {}
            path if entry.folder => fs.remove_folder(&path)?,
            path => fs.remove(&path)?,
        }
    }
    Ok(())
}

/// The length of the files of a slot, in bytes.
pub(super) fn slot_len(fs: &dyn Fs, folder: &Path) -> io::Result<u64> {
    let mut len = 0;
    // The long files of an engine are not in folders of their own.
    for entry in fs.list(folder)?.iter().filter(|entry| !entry.folder) {
        len += match fs.open(&folder.join(&entry.name)).and_then(|file| file.len()) {
            // The engine removed this file in the meantime.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            len => len?,
        };
    }
    Ok(len)
}

/// Removes a folder that may not exist.
pub(super) fn remove_folder(fs: &dyn Fs, folder: &Path) -> io::Result<()> {
    match fs.remove_folder(folder) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
