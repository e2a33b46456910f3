//! The store against a power that goes, a disk that fails and an engine that forgets.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::*;
use crate::engine::{AdversarialEngine, Engine, EngineError};
use crate::fs::{Fs, MemoryFs};

mod basics;
mod faults;
mod model;
mod power;

const T: Table = Table::new("t");
const U: Table = Table::new("u");

/// Every row there is, by table and key.
type Seen = BTreeMap<(String, Vec<u8>), Row>;

fn seen(store: &Store) -> Seen {
    let mut seen = Seen::new();
    for table in [T, U] {
        for (key, row) in store.scan(table, &Scan::prefix(b"", usize::MAX)).unwrap() {
            assert_eq!(store.get(table, &key).unwrap().as_ref(), Some(&row));
            seen.insert((table.name().into(), key), row);
        }
    }
    seen
}

/// Engines that outlive the store, as files would.
#[derive(Clone, Default)]
struct Engines(Arc<Mutex<HashMap<PathBuf, AdversarialEngine>>>);

impl Engines {
    fn source(&self) -> EngineSource {
        let engines = self.clone();
        EngineSource::Custom(Arc::new(move |folder| engines.open(folder)))
    }

    fn open(&self, folder: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        let mut engines = self.0.lock().unwrap();
        let new = folder.with_extension("new");
        let engine = if folder == new {
            AdversarialEngine::default()
        } else {
            engines.remove(&new).or_else(|| engines.get(folder).cloned()).unwrap_or_default()
        };
        engine.reopen()?;
        engines.insert(folder.to_owned(), engine.clone());
        Ok(Arc::new(engine))
    }

    fn current(&self) -> AdversarialEngine {
        self.0.lock().unwrap().get(Path::new("/data/rows-custom")).cloned().unwrap()
    }
}

/// Files of small blobs, on the same file system.
struct Folder(Arc<dyn Fs>);

impl Folder {
    fn path(id: &BlobId) -> PathBuf {
        Path::new("/data/blobs").join(data_encoding::HEXLOWER.encode(&id.0[..8]))
    }
}

impl Filing for Folder {
    fn holds(&self, id: &BlobId) -> bool {
        self.0.exists(&Self::path(id)).unwrap_or(false)
    }

    fn file(&self, blobs: &[SmallBlob]) -> io::Result<()> {
        self.0.create_folder(Path::new("/data/blobs"))?;
        self.0.sync_folder(Path::new("/data"))?;
        blobs.iter().try_for_each(|blob| fs::replace(&*self.0, &Self::path(&blob.id), &blob.bytes))
    }
}

fn options(fs: &MemoryFs) -> StoreOptions {
    let mut options = StoreOptions::in_memory(fs.clone(), Events::default());
    options.segment_len = 8 * 1024;
    options.filing = Some(Arc::new(Folder(Arc::new(fs.clone()))));
    options
}

fn small_blob(content: &[u8]) -> SmallBlob {
    SmallBlob { id: BlobId(*blake3::hash(content).as_bytes()), form: 0, bytes: content.into() }
}

/// A blob's bytes, wherever they are.
fn blob(store: &Store, fs: &MemoryFs, id: &BlobId) -> Option<Vec<u8>> {
    let small = store.small_blob(id).map(|blob| blob.bytes.to_vec());
    small.or_else(|| fs::read(fs, &Folder::path(id), 1 << 20).ok())
}
