use super::*;

fn put(store: &Store, key: &[u8], value: &[u8]) -> Result<u64, StoreError> {
    let (key, value) = (key.to_vec(), value.to_vec());
    store.commit_blocking(move |tx| {
        tx.put(T, &key, &value)?;
        Ok(tx.position())
    })
}

#[test]
fn a_change_is_visible_once_it_is_acknowledged_and_not_if_it_fails() {
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), Hints::default())).unwrap();
    assert_eq!(put(&store, b"a", b"1").unwrap(), 1);
    let failed: Result<(), StoreError> = store.commit_blocking(|tx| {
        tx.put(T, b"a", b"2")?;
        assert_eq!(tx.get(T, b"a")?.unwrap().value, b"2");
        Err(StoreError::NoBlob)
    });
    assert_eq!(failed, Err(StoreError::NoBlob));
    let row = store.get(T, b"a").unwrap().unwrap();
    assert_eq!((row.version, row.value), (1, b"1".to_vec()));
    assert_eq!(put(&store, b"b", b"").unwrap(), 2);
}

#[test]
fn a_change_that_panics_fails_alone() {
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), Hints::default())).unwrap();
    let failed: Result<(), StoreError> = store.commit_blocking(|tx| {
        tx.put(T, b"a", b"1")?;
        panic!("not today")
    });
    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    put(&store, b"b", b"2").unwrap();
    assert_eq!(store.get(T, b"a").unwrap(), None);
}

#[test]
fn limits_hold_even_for_a_change_that_looks_away() {
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), Hints::default())).unwrap();
    let long = vec![0; VALUE_LEN_MAX + 1];
    assert!(matches!(put(&store, b"a", &long), Err(StoreError::TooLarge { what: "row", .. })));
    assert!(matches!(
        put(&store, &[0; KEY_LEN_MAX + 1], b""),
        Err(StoreError::TooLarge { what: "key", .. })
    ));
    let many: Result<(), StoreError> = store.commit_blocking(|tx| {
        (0..=ROWS_MAX as u32).for_each(|n| drop(tx.put(T, &n.to_be_bytes(), b"")));
        Ok(())
    });
    assert!(matches!(many, Err(StoreError::TooLarge { what: "rows of a change", .. })));
    let deletes: Result<(), StoreError> = store.commit_blocking(|tx| {
        (0..=ROWS_MAX as u32).for_each(|n| tx.delete(T, &n.to_be_bytes()));
        Ok(())
    });
    assert!(deletes.is_err());
    let wide: Result<(), StoreError> = store.commit_blocking(|tx| {
        (0..300_u32).try_for_each(|n| tx.put(T, &n.to_be_bytes(), &[0; VALUE_LEN_MAX]))
    });
    assert!(matches!(wide, Err(StoreError::TooLarge { what: "change", .. })));
    assert!(seen(&store).is_empty());
}

#[test]
fn numbers_raised_inside_changes_have_no_gaps() {
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), Hints::default())).unwrap();
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            std::thread::spawn(move || {
                (0..50)
                    .map(|_| {
                        store
                            .commit_blocking(|tx| {
                                let last = tx.get(T, b"last")?.map_or(0, |row| {
                                    u32::from_be_bytes(row.value.try_into().unwrap())
                                });
                                tx.put(T, b"last", &(last + 1).to_be_bytes())?;
                                tx.put(U, &(last + 1).to_be_bytes(), b"")?;
                                Ok::<_, StoreError>(last + 1)
                            })
                            .unwrap()
                    })
                    .collect::<Vec<_>>()
            })
        })
        .collect();
    let mut given: Vec<_> = writers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=400).collect::<Vec<_>>());
    assert_eq!(store.scan(U, &Scan::prefix(b"", 1000)).unwrap().len(), 400);
    assert_eq!(store.position(), 400);
}

#[test]
fn hints_come_after_their_change() {
    let events = Hints::default();
    let mut hints = events.subscribe();
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), events)).unwrap();
    let seen_at_hint = store.clone();
    store
        .commit_blocking(|tx| {
            tx.after(Event::Timeline);
            tx.put(T, b"a", b"1")
        })
        .unwrap();
    assert_eq!(hints.blocking_recv().unwrap(), Event::Timeline);
    assert!(seen_at_hint.get(T, b"a").unwrap().is_some());
}

#[test]
fn a_store_opens_where_it_was_closed_and_for_one_process_only() {
    let fs = MemoryFs::new();
    let engines = Engines::default();
    let mut options = options(&fs);
    options.engine = engines.source();
    let store = Store::open(options.clone()).unwrap();
    for n in 0..60_u32 {
        put(&store, &n.to_be_bytes(), &[7; 300]).unwrap();
    }
    assert!(matches!(Store::open(options.clone()), Err(OpenError::InUse)));
    let before = seen(&store);
    store.close();
    assert!(matches!(put(&store, b"late", b""), Err(StoreError::Unavailable(_))));
    let again = Store::open(options.clone()).unwrap();
    assert_eq!(seen(&again), before);
    assert_eq!(put(&again, b"x", b"").unwrap(), 61);
    drop(again);
    // Neither another vault's store nor one under another key.
    assert!(matches!(
        Store::open(StoreOptions { log: [9; 16], ..options.clone() }),
        Err(OpenError::OtherLog)
    ));
    let key = crate::seal::SecretKey::new([9; 32]);
    let other = Store::open(StoreOptions { key, ..options }).unwrap();
    assert!(matches!(other.get(T, &1_u32.to_be_bytes()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn two_processes_cannot_have_one_folder_on_the_machines_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&MemoryFs::new());
    options.fs = Arc::new(crate::fs::OsFs);
    options.blobs = None;
    options.data = folder.path().join("data");
    let store = Store::open(options.clone()).unwrap();
    put(&store, b"a", b"1").unwrap();
    assert!(matches!(Store::open(options.clone()), Err(OpenError::InUse)));
    drop(store);
    let again = Store::open(options).unwrap();
    assert_eq!(again.get(T, b"a").unwrap().unwrap().value, b"1");
}

#[test]
fn a_small_blob_travels_with_the_change_that_refers_to_it() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let missing = store.commit_blocking(|tx| tx.put_referring(T, b"a", b"", &[BlobId([7; 32])]));
    assert_eq!(missing, Err(StoreError::NoBlob));
    let pinned = blobs.put(b"a small picture", AtRest::Sealed).unwrap();
    let id = pinned.id;
    let failed = store.commit_blocking(move |tx| {
        tx.put_referring(T, b"a", b"", &[id])?;
        Err::<(), _>(StoreError::NoBlob)
    });
    assert_eq!(failed, Err(StoreError::NoBlob));
    assert!(blobs.unlogged(&id).is_some(), "a change that failed carried nothing");
    store.commit_blocking(move |tx| tx.put_referring(T, b"a", b"", &[id])).unwrap();
    drop(pinned);
    assert!(blobs.unlogged(&id).is_none());
    // No file is needed for it to survive a power cut.
    let left = fs.power_cut(crate::fs::PowerCut::Nothing, 0);
    let again = super::options(&left);
    let (blobs, store) = (again.blobs.clone().unwrap(), Store::open(again).unwrap());
    assert_eq!(blobs.open(&id).unwrap().read_all(99).unwrap(), b"a small picture");
    store.checkpoint().unwrap();
    assert_eq!(blobs.unfiled_len(), 0);
    assert_eq!(blobs.open(&id).unwrap().read_all(99).unwrap(), b"a small picture");
    store.commit_blocking(move |tx| tx.put_referring(T, b"b", b"", &[id])).unwrap();
}

#[test]
fn a_replayed_small_blob_is_kept_only_if_a_row_still_refers_to_it() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let ids: Vec<_> = [b"kept", b"gone"]
        .map(|bytes| blobs.put(bytes, AtRest::Sealed).unwrap())
        .into_iter()
        .collect();
    let (kept, gone) = (ids[0].id, ids[1].id);
    store
        .commit_blocking(move |tx| {
            tx.put_referring(T, b"kept", b"", &[kept])?;
            tx.put_referring(T, b"gone", b"", &[gone])
        })
        .unwrap();
    store
        .commit_blocking(|tx| {
            tx.delete(T, b"gone");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let left = fs.power_cut(crate::fs::PowerCut::Nothing, 0);
    let again = super::options(&left);
    let (blobs, _store) = (again.blobs.clone().unwrap(), Store::open(again).unwrap());
    assert!(blobs.contains(&kept).unwrap());
    assert!(!blobs.contains(&gone).unwrap());
}

#[test]
fn what_comes_after_the_stop_does_not_undo_it() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    put(&store, b"a", b"1").unwrap();
    store.checkpoint().unwrap();
    store.close();
    let condition =
        || checkpoint::Checkpoint::read(&fs, Path::new("/data")).unwrap().unwrap().condition;
    assert_eq!(condition(), checkpoint::Condition::Clean);
    assert!(matches!(store.checkpoint(), Err(StoreError::Unavailable(_))));
    assert!(matches!(store.snapshot(), Err(StoreError::Unavailable(_))));
    assert_eq!(condition(), checkpoint::Condition::Clean);
    assert!(!fs.exists(Path::new("/data/snapshots")).unwrap());
}
