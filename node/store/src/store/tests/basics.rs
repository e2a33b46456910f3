use super::*;

fn put(store: &Store, key: &[u8], value: &[u8]) -> Result<u64, StoreError> {
    let (key, value) = (key.to_vec(), value.to_vec());
    store.commit_blocking(move |tx| {
        tx.put(T, &key, &value)?;
        Ok(tx.position())
    })
}

#[test]
fn change_is_visible_only_after_acknowledgement() {
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
fn panicking_change_does_not_affect_others() {
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), Hints::default())).unwrap();
    let failed: Result<(), StoreError> = store.commit_blocking(|tx| {
        tx.put(T, b"a", b"1")?;
        panic!("in the change")
    });
    assert!(matches!(failed, Err(StoreError::Unavailable(_))));
    put(&store, b"b", b"2").unwrap();
    assert_eq!(store.get(T, b"a").unwrap(), None);
}

#[test]
fn oversized_change_fails_even_if_it_ignores_errors() {
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
    assert!(all_rows(&store).is_empty());
}

#[test]
fn numbers_assigned_in_changes_are_gapless() {
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
    let mut numbers: Vec<_> = writers.into_iter().flat_map(|w| w.join().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    assert_eq!(store.scan(U, &Scan::prefix(b"", 1000)).unwrap().len(), 400);
    assert_eq!(store.position(), 400);
}

#[test]
fn hint_is_sent_after_its_change_is_visible() {
    let events = Hints::default();
    let mut hints = events.subscribe();
    let store = Store::open(StoreOptions::in_memory(MemoryFs::new(), events)).unwrap();
    let reader = store.clone();
    store
        .commit_blocking(|tx| {
            tx.after(Event::Timeline);
            tx.put(T, b"a", b"1")
        })
        .unwrap();
    assert_eq!(hints.blocking_recv().unwrap(), Event::Timeline);
    assert!(reader.get(T, b"a").unwrap().is_some());
}

#[test]
fn closed_store_reopens_with_all_rows() {
    let fs = MemoryFs::new();
    let engines = Engines::default();
    let mut options = options(&fs);
    options.engine = engines.source();
    let store = Store::open(options.clone()).unwrap();
    for n in 0..60_u32 {
        put(&store, &n.to_be_bytes(), &[7; 300]).unwrap();
    }
    assert!(matches!(Store::open(options.clone()), Err(OpenError::InUse)));
    let before = all_rows(&store);
    store.close();
    assert!(matches!(put(&store, b"late", b""), Err(StoreError::Unavailable(_))));
    let reopened = Store::open(options.clone()).unwrap();
    assert_eq!(all_rows(&reopened), before);
    assert_eq!(put(&reopened, b"x", b"").unwrap(), 61);
    drop(reopened);
    // A store with another log id is refused, one under another key is unreadable.
    assert!(matches!(
        Store::open(StoreOptions { log: [9; 16], ..options.clone() }),
        Err(OpenError::OtherLog)
    ));
    let key = crate::seal::SecretKey::new([9; 32]);
    let other = Store::open(StoreOptions { key, ..options }).unwrap();
    assert!(matches!(other.get(T, &1_u32.to_be_bytes()), Err(StoreError::Corrupt { .. })));
}

#[test]
fn data_folder_is_locked_for_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(&MemoryFs::new());
    options.fs = Arc::new(crate::fs::OsFs);
    options.blobs = None;
    options.data = folder.path().join("data");
    let store = Store::open(options.clone()).unwrap();
    put(&store, b"a", b"1").unwrap();
    assert!(matches!(Store::open(options.clone()), Err(OpenError::InUse)));
    drop(store);
    let reopened = Store::open(options).unwrap();
    assert_eq!(reopened.get(T, b"a").unwrap().unwrap().value, b"1");
}

#[test]
fn small_blob_is_logged_with_its_first_reference() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let missing = store.commit_blocking(|tx| tx.put_referring(T, b"a", b"", &[BlobId([7; 32])]));
    assert_eq!(missing, Err(StoreError::NoBlob));
    let pinned = blobs.put(b"a small photo").unwrap();
    let id = pinned.id;
    let failed = store.commit_blocking(move |tx| {
        tx.put_referring(T, b"a", b"", &[id])?;
        Err::<(), _>(StoreError::NoBlob)
    });
    assert_eq!(failed, Err(StoreError::NoBlob));
    assert!(blobs.unlogged(&id).is_some(), "the failed change logged nothing");
    store.commit_blocking(move |tx| tx.put_referring(T, b"a", b"", &[id])).unwrap();
    drop(pinned);
    assert!(blobs.unlogged(&id).is_none());
    // It survives a power cut without a file.
    let remaining = fs.power_cut(crate::fs::PowerCut::Nothing, 0);
    let reopened = super::options(&remaining);
    let (blobs, store) = (reopened.blobs.clone().unwrap(), Store::open(reopened).unwrap());
    assert_eq!(blobs.open(&id).unwrap().read_all(99).unwrap(), b"a small photo");
    store.checkpoint().unwrap();
    assert_eq!(blobs.unflushed_len(), 0);
    assert_eq!(blobs.open(&id).unwrap().read_all(99).unwrap(), b"a small photo");
    store.commit_blocking(move |tx| tx.put_referring(T, b"b", b"", &[id])).unwrap();
}

#[test]
fn unreferenced_replayed_small_blob_is_dropped() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let ids: Vec<_> =
        [&b"kept"[..], b"deleted"].map(|bytes| blobs.put(bytes).unwrap()).into_iter().collect();
    let (kept, deleted) = (ids[0].id, ids[1].id);
    store
        .commit_blocking(move |tx| {
            tx.put_referring(T, b"kept", b"", &[kept])?;
            tx.put_referring(T, b"deleted", b"", &[deleted])
        })
        .unwrap();
    store
        .commit_blocking(|tx| {
            tx.delete(T, b"deleted");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    let remaining = fs.power_cut(crate::fs::PowerCut::Nothing, 0);
    let reopened = super::options(&remaining);
    let (blobs, _store) = (reopened.blobs.clone().unwrap(), Store::open(reopened).unwrap());
    assert!(blobs.contains(&kept).unwrap());
    assert!(!blobs.contains(&deleted).unwrap());
}

#[test]
fn checkpoint_after_a_clean_stop_is_refused() {
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
