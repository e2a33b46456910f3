//! Tests of the store with power cuts, failing disks and engines that lose rows.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::*;
use crate::blobs::Blobs;
use crate::engine::{AdversarialEngine, DeferredEngine, Engine, EngineError, Harm};
use crate::fs::{self, Fs, MemoryFs};
use crate::hints::Hints;
use crate::space::{FreeSpace, Margins};
use crate::vault::{Unlock, Vault};
use freehold_proto::random::Random;

mod basics;
mod compaction;
mod deferred;
mod faults;
mod headroom;
mod model;
mod packs;
mod power;
mod read_only;
mod recovery;
mod replay;
mod snapshots;

/// The hints of these tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Timeline,
    Journal,
    Friends,
}

/// The store of these tests.
pub(crate) type Store = super::Store<Event>;
type Tx<'a> = super::Tx<'a, Event>;
type StoreOptions = super::StoreOptions<Event>;

const T: Table = Table::referring("t");
const U: Table = Table::referring("u");

/// Damages the first segment of the log, or repairs it.
fn flip_log(fs: &MemoryFs) {
    let first = crate::wal::segment::list(fs, Path::new("/data/log")).unwrap().remove(0);
    let name = format!("{:016x}-{:08x}.seg", first.first, first.generation);
    fs.damage(&Path::new("/data/log").join(name), 0, 1).unwrap();
}

/// All rows, by table and key.
type AllRows = BTreeMap<(String, Vec<u8>), Row>;

fn all_rows(store: &Store) -> AllRows {
    let mut all = AllRows::new();
    for table in [T, U] {
        for (key, row) in store.scan(table, &Scan::prefix(b"", usize::MAX)).unwrap() {
            assert_eq!(store.get(table, &key).unwrap().as_ref(), Some(&row));
            all.insert((table.name().into(), key), row);
        }
    }
    all
}

/// Adversarial engines by folder; they outlive the store, as files do. The second field is the
/// error of opening any engine.
#[derive(Clone, Default)]
struct Engines(Arc<Mutex<HashMap<PathBuf, AdversarialEngine>>>, Arc<Mutex<Option<EngineError>>>);

impl Engines {
    fn source(&self) -> EngineSource {
        let engines = self.clone();
        EngineSource::Custom(Arc::new(move |folder| engines.open(folder)))
    }

    /// The same with a memtable in front of each, as in a node.
    fn deferred(&self) -> EngineSource {
        let engines = self.clone();
        EngineSource::Custom(Arc::new(move |folder| {
            Ok(Arc::new(DeferredEngine::new(engines.open(folder)?)?) as Arc<dyn Engine>)
        }))
    }

    fn open(&self, folder: &Path) -> Result<Arc<dyn Engine>, EngineError> {
        if let Some(error) = &*self.1.lock().unwrap() {
            return Err(error.clone());
        }
        let mut engines = self.0.lock().unwrap();
        let new_folder = folder.with_extension("new");
        let engine = if folder == new_folder {
            AdversarialEngine::default()
        } else {
            engines.remove(&new_folder).or_else(|| engines.get(folder).cloned()).unwrap_or_default()
        };
        engine.reopen()?;
        engines.insert(folder.to_owned(), engine.clone());
        Ok(Arc::new(engine))
    }

    /// Makes the engine fail, and every attempt to open or rebuild one on the disk.
    fn break_all(&self, error: EngineError) {
        self.refuse_open(Some(error));
        self.current().power_cut(Harm::Refuse);
    }

    /// Makes opening a new engine fail with `error`, or succeed.
    fn refuse_open(&self, error: Option<EngineError>) {
        *self.1.lock().unwrap() = error;
    }

    fn current(&self) -> AdversarialEngine {
        self.0.lock().unwrap().get(Path::new("/data/rows-custom")).cloned().unwrap()
    }
}

/// A vault with the same keys in every run.
fn vault() -> Vault {
    Vault::create(
        Arc::new(MemoryFs::new()),
        Path::new("/"),
        &Unlock::KeyFile("/key".into()),
        &Random::seeded(1),
    )
    .unwrap()
}

/// Options of a store with blobs on `fs`; without blobs if `fs` fails every call.
fn options(fs: &MemoryFs) -> StoreOptions {
    options_on(fs, Arc::new(fs.clone()))
}

/// The same, with all file-system calls through `through`.
fn options_on(fs: &MemoryFs, through: Arc<dyn Fs>) -> StoreOptions {
    let mut options = StoreOptions::in_memory(fs.clone(), Hints::default());
    options.fs = through.clone();
    options.segment_len = 7 * 1024;
    let created = crate::fs::create_folder_durably(&*through, Path::new("/data"));
    let space = FreeSpace::new(through.clone(), Path::new("/data"), Margins::NONE);
    let (data, random) = (Path::new("/data"), Random::seeded(2));
    // A folder whose name is not durable is not used.
    options.blobs =
        created.ok().and_then(|()| Blobs::new(through, data, vault().keys(), random, space).ok());
    options
}
