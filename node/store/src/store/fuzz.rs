//! Fuzzing of damaged files: damage is detected or repaired, and no wrong row is served.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blobs::{Blobs, SmallBlob};
use crate::fs::{self, Fs, MemoryFs};
use crate::hints::Hints;
use crate::space::{FreeSpace, Margins};
use crate::store::tests::Store;
use crate::store::{Scan, StoreOptions, Table};
use crate::vault::{Unlock, Vault};
use crate::wal::group;
use freehold_proto::random::Random;
use freehold_proto::testing::fuzz::fuzz;

/// The longest file of the stores below, in bytes.
const FILE_LEN_MAX: usize = 1 << 20;

#[test]
fn damaged_log_group_is_refused_or_canonical() {
    let row = |value| group::RowWrite { table: "posts".into(), key: b"a key".to_vec(), value };
    let blob = SmallBlob { id: crate::store::BlobId([3; 32]), bytes: vec![7; 90].into() };
    let change =
        group::Change { rows: vec![row(Some(vec![1; 300])), row(None)], blobs: vec![blob] };
    let corpus =
        [group::encode(std::slice::from_ref(&change)), group::encode(&[change.clone(), change])];
    fuzz("log group", &corpus, |input| {
        for count in [0, 1, 2, u32::MAX] {
            if let Some(changes) = group::decode(input, count) {
                assert_eq!(group::encode(&changes), input);
            }
        }
    });
}

const ROWS: Table = Table::referring("rows");

fn unlock() -> Unlock {
    Unlock::KeyFile("/key".into())
}

/// Opens a store and reads all its files: vault, checkpoint, snapshots, log, rows.
fn open(fs: &MemoryFs) -> Option<Store> {
    let shared: Arc<dyn Fs> = Arc::new(fs.clone());
    let data = Path::new("/data");
    shared.create_folder(data).ok()?;
    let vault = match Vault::exists(&*shared, data).ok()? {
        true => Vault::open(shared.clone(), data, &unlock()).ok()?,
        false => Vault::create(shared.clone(), data, &unlock(), &Random::seeded(1)).ok()?,
    };
    let space = FreeSpace::new(shared.clone(), data, Margins::NONE);
    let mut options = StoreOptions::in_memory(fs.clone(), Hints::default());
    options.blobs = Blobs::new(shared, data, vault.keys(), Random::seeded(2), space).ok();
    options.key = vault.keys().store().clone();
    options.log = vault.keys().log_id();
    options.segment_len = 8 * 1024;
    Store::open(options).ok()
}

fn read_files(fs: &MemoryFs, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs.list(folder).unwrap() {
        let path = folder.join(&entry.name);
        if entry.folder {
            read_files(fs, &path, files);
        } else if let Ok(bytes) = fs::read(fs, &path, FILE_LEN_MAX) {
            files.push((path, bytes));
        }
    }
}

/// Damages each file in turn. A store that opens shows only rows that were written.
#[test]
fn damaged_store_file_is_detected_or_repaired() {
    let fs = MemoryFs::new();
    let store = open(&fs).unwrap();
    let value = |n: u32| n.to_be_bytes().repeat(40);
    for n in 0..60u32 {
        store.commit_blocking(move |tx| tx.put(ROWS, &n.to_be_bytes(), &value(n))).unwrap();
        if n % 25 == 20 {
            store.snapshot().unwrap();
        }
    }
    let crashed = fs.crash();
    drop(store);
    let mut all = Vec::new();
    read_files(&crashed, Path::new("/"), &mut all);
    let files_of = |part: &str| {
        all.iter()
            .filter(|(path, _)| path.to_string_lossy().contains(part))
            .cloned()
            .collect::<Vec<_>>()
    };
    for part in ["vault-1", "checkpoint", "snapshots/", "log/"] {
        let damaged = files_of(part);
        assert!(!damaged.is_empty(), "{part}");
        let corpus: Vec<Vec<u8>> = damaged.iter().map(|(_, bytes)| bytes.clone()).collect();
        fuzz(&format!("files {}", part.trim_end_matches('/')), &corpus, |input| {
            let fs = crashed.crash();
            let (path, _) = &damaged[input.len() % damaged.len()];
            fs::replace(&fs, path, input).unwrap();
            let Some(store) = open(&fs) else { return };
            for (key, row) in store.scan(ROWS, &Scan::prefix(b"", 1000)).unwrap_or_default() {
                assert_eq!(row.value, value(u32::from_be_bytes(key.try_into().unwrap())));
            }
        });
    }
}
