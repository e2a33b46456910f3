mod busy;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::blobs::Pinned;
use crate::engine::{Engine, MemoryEngine, Write};
use crate::events::Events;
use crate::fs::{Fs, MemoryFs};
use crate::random::Random;
use crate::space::{FreeSpace, Margins};
use crate::store::{EngineSource, StoreOptions, Table};
use crate::vault::{Unlock, Vault};

const T: Table = Table::referring("things");
const DATA: &str = "/data";

/// A store and its blobs on one file system in memory, with access to the engine below.
struct Fixture {
    fs: MemoryFs,
    engine: Arc<MemoryEngine>,
    store: Store,
    blobs: Blobs,
}

fn fixture() -> Fixture {
    let fs = MemoryFs::new();
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    shared.create_folder(Path::new(DATA)).unwrap();
    let random = Random::seeded(1);
    let vault =
        Vault::create(shared.clone(), Path::new(DATA), &Unlock::KeyFile("/key".into()), &random)
            .unwrap();
    let space = FreeSpace::new(shared.clone(), Path::new(DATA), Margins::NONE);
    let blobs = Blobs::new(shared, Path::new(DATA), vault.keys(), random, space).unwrap();
    let engine = Arc::new(MemoryEngine::default());
    let mut options = StoreOptions::in_memory(fs.clone(), Events::default());
    let given = engine.clone();
    options.engine = EngineSource::Custom(Arc::new(move |_| Ok(given.clone())));
    options.blobs = Some(blobs.clone());
    Fixture { fs, engine, store: Store::open(options).unwrap(), blobs }
}

impl Fixture {
    /// Writes a row that refers to a new blob; a long blob is a file at once.
    fn refer(&self, key: &'static [u8], len: usize) -> BlobId {
        let pinned = self.put(key, len);
        let id = pinned.id;
        self.store.commit_blocking(move |tx| tx.put_referring(T, key, b"", &[pinned.id])).unwrap();
        id
    }

    fn put(&self, key: &[u8], len: usize) -> Pinned {
        self.blobs.put(&key.repeat(len.div_ceil(key.len()))).unwrap()
    }

    fn delete(&self, key: &'static [u8]) {
        let done: Result<(), StoreError> = self.store.commit_blocking(move |tx| {
            tx.delete(T, key);
            Ok(())
        });
        done.unwrap();
    }

    fn check(&self) -> Report {
        check(&self.store, &self.blobs, &|_, _, _| Ok(())).unwrap()
    }

    /// All files of blobs.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![Path::new(DATA).join("blobs")];
        while let Some(folder) = folders.pop() {
            for entry in self.fs.list(&folder).unwrap() {
                let path = folder.join(entry.name);
                if entry.folder { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

fn row_key(key: &[u8]) -> RowKey {
    RowKey { table: "things".into(), key: key.to_vec() }
}

#[test]
fn sound_store_has_every_row_and_blob_read() {
    let fixture = fixture();
    for key in [b"a", b"b", b"c"] {
        fixture.refer(key, 200_000);
    }
    fixture.refer(b"small", 5);
    let report = fixture.check();
    assert!(report.is_sound() && report.orphans.is_empty());
    // Each row has a reference in the index.
    assert_eq!((report.rows, report.blobs, report.blob_bytes), (8, 4, 600_005));
    fixture.store.checkpoint().unwrap();
    // The pack with the small blob has a row too.
    assert_eq!(fixture.check(), Report { rows: 9, ..report });
}

#[test]
fn damaged_rows_and_blobs_are_reported_and_others_read() {
    let fixture = fixture();
    // Keys of four bytes, so that the blobs have exactly these lengths; a seal adds 145 bytes.
    let damaged = fixture.refer(b"flip", 200_000);
    let missing = fixture.refer(b"lost", 200_004);
    fixture.refer(b"good", 200_008);
    fixture.store.commit_blocking(|tx| tx.put(T, b"row", b"value")).unwrap();
    for path in fixture.files() {
        match fixture.fs.open(&path).unwrap().len().unwrap() {
            200_145 => fixture.fs.damage(&path, 100_000, 1).unwrap(),
            200_149 => fixture.fs.remove(&path).unwrap(),
            _ => {}
        }
    }
    let mut sealed = fixture.engine.get("things", b"row").unwrap().unwrap();
    sealed[40] ^= 1;
    fixture.engine.apply(&[Write { table: "things", key: b"row", value: Some(&sealed) }]).unwrap();
    let report = fixture.check();
    assert!(!report.is_sound());
    assert_eq!(report.damaged_rows, [row_key(b"row")]);
    assert_eq!(report.damaged_blobs, [(damaged, row_key(b"flip"))]);
    assert_eq!(report.dangling, [(missing, row_key(b"lost"))]);
    assert_eq!((report.rows, report.blobs), (7, 1));
    // The blobs of the damaged row are unknown, so no file is called an orphan or collected.
    assert_eq!(report.orphans, Vec::<PathBuf>::new());
    assert!(matches!(fixture.blobs.collect(&fixture.store), Err(StoreError::Corrupt { .. })));
}

#[test]
fn unreferenced_blob_is_an_orphan_until_collected() {
    let fixture = fixture();
    fixture.refer(b"a", 200_000);
    let referenced = fixture.refer(b"b", 200_000);
    let small = fixture.refer(b"small", 5);
    fixture.delete(b"a");
    fixture.delete(b"small");
    let pinned = fixture.put(b"pinned", 200_000);
    let report = fixture.check();
    assert!(report.is_sound());
    assert_eq!(report.orphans.len(), 1, "a pinned blob is not an orphan");
    let collected = fixture.blobs.collect(&fixture.store).unwrap();
    assert_eq!((collected.files, collected.small), (1, 1));
    assert_eq!(fixture.check().orphans, Vec::<PathBuf>::new());
    assert!(
        fixture.blobs.contains(&referenced).unwrap() && fixture.blobs.contains(&pinned.id).unwrap()
    );
    assert!(!fixture.blobs.contains(&small).unwrap());
}

#[test]
fn unlink_removes_only_blobs_without_reference() {
    let fixture = fixture();
    let (alone, shared) = (fixture.refer(b"alone", 200_000), fixture.refer(b"shared", 200_000));
    fixture.store.commit_blocking(move |tx| tx.put_referring(T, b"other", b"", &[shared])).unwrap();
    fixture.delete(b"alone");
    fixture.delete(b"shared");
    let removed = fixture.blobs.unlink_now(&fixture.store, &[alone, shared]).unwrap();
    assert_eq!(removed.files, 1);
    assert!(!fixture.blobs.contains(&alone).unwrap());
    assert!(fixture.blobs.contains(&shared).unwrap());
}

#[test]
fn row_with_damaged_blob_can_be_rewritten() {
    let fixture = fixture();
    let id = fixture.refer(b"a", 200_000);
    fixture.fs.damage(&fixture.files()[0], 5, 1).unwrap();
    fixture.store.commit_blocking(move |tx| tx.put_referring(T, b"moved", b"", &[id])).unwrap();
    assert_eq!(fixture.check().damaged_blobs.len(), 1);
}
