//! Tests of a store that is opened on a disk that cannot be written.

use super::faults::{put, rows};
use super::*;
use crate::fs::{Fault, PowerCut};

fn read_only(fs: &MemoryFs, boot: u8) -> StoreOptions {
    StoreOptions {
        read_only: Some("a test".to_owned()),
        boot: [boot; 32],
        blobs: Blobs::read_only(
            Arc::new(fs.clone()),
            Path::new("/data"),
            vault().keys(),
            Random::seeded(2),
            FreeSpace::unmanaged(Arc::new(fs.clone()), Path::new("/data")),
        )
        .ok(),
        ..options(fs)
    }
}

/// A disk after a crash, with changes in a snapshot, a checkpoint and the log, and with a small
/// blob in the log only.
fn crashed() -> (MemoryFs, super::faults::Model) {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    (1..=12).for_each(|n| put(&store, n).unwrap());
    store.snapshot().unwrap();
    (13..=23).for_each(|n| put(&store, n).unwrap());
    // No checkpoint comes after the small blob.
    store.begin_segment();
    put(&store, 24).unwrap();
    store.checkpoint().unwrap();
    let pinned = blobs.put(b"a message").unwrap();
    let id = pinned.id;
    store.commit_blocking(move |tx| tx.put_referring(T, b"m", b"", &[id])).unwrap();
    drop(pinned);
    put(&store, 25).unwrap();
    let before = rows(&store).unwrap();
    let crashed = fs.crash();
    fs.power_cut(PowerCut::Nothing, 0);
    drop(store);
    (crashed, before)
}

#[test]
fn read_only_store_serves_all_rows_and_writes_nothing() {
    let (fs, before) = crashed();
    let options = read_only(&fs, 2);
    let blobs = options.blobs.clone().unwrap();
    let calls = fs.calls();
    let store = Store::open(options).unwrap();
    assert_eq!(rows(&store).unwrap(), before);
    let message = store.get(T, b"m").unwrap().unwrap().blobs[0];
    assert_eq!(blobs.open(&message).unwrap().read_all(100).unwrap(), b"a message");
    assert_eq!(store.health(), Health::ReadOnly("a test".to_owned()));
    let refused = |result| assert_eq!(result, Err(StoreError::ReadOnly("a test".to_owned())));
    refused(put(&store, 26));
    refused(store.checkpoint());
    refused(store.snapshot());
    assert_eq!(store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new());
    store.close();
    drop(store);
    assert_eq!(fs.calls(), calls, "nothing is written or synced");
    let store = Store::open(StoreOptions { boot: [3; 32], ..super::options(&fs) }).unwrap();
    assert_eq!(rows(&store).unwrap(), before);
}

#[test]
fn last_record_of_uncertain_durability_is_not_shown() {
    let (fs, before) = crashed();
    // On the same boot, the last record may be in the page cache only.
    let store = Store::open(read_only(&fs, 1)).unwrap();
    assert_eq!(rows(&store).unwrap(), before, "its file can be synced");
    drop(store);
    let options = read_only(&fs, 1);
    fs.fail_at(1, Fault::Io);
    let store = Store::open(options).unwrap();
    let shown = rows(&store).unwrap();
    assert!(!shown.contains_key(&vec![25, 25]) && shown.contains_key(b"m".as_slice()));
    assert_eq!(shown.len(), before.len() - 1);
}

#[test]
fn folder_without_a_log_is_not_opened_read_only() {
    let fs = MemoryFs::new();
    fs.create_folder(Path::new("/data")).unwrap();
    assert!(matches!(Store::open(read_only(&fs, 1)), Err(OpenError::Log(_) | OpenError::Io(_))));
}
