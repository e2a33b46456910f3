//! Tests of an engine that fails and does not open again while the store runs.

use std::sync::mpsc;

use super::faults::{Model, put, rows};
use super::*;

const RESERVE: &str = "/data/reserve";
const ENGINE: &str = "/data/rows-custom";

fn delete(store: &Store, key: &'static [u8]) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.delete(T, key);
        Ok(())
    })
}

/// Changes, of which some are in a snapshot, some in a checkpoint and some in the log only.
fn with_history(store: &Store) -> Model {
    (1..=12).for_each(|n| put(store, n).unwrap());
    store.snapshot().unwrap();
    (13..=24).for_each(|n| put(store, n).unwrap());
    delete(store, &[3, 3]).unwrap();
    store.checkpoint().unwrap();
    (25..=30).for_each(|n| put(store, n).unwrap());
    delete(store, &[4, 4]).unwrap();
    rows(store).unwrap()
}

#[test]
fn engine_that_does_not_open_is_rebuilt_while_running() {
    for deferred in [false, true] {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let source = || if deferred { engines.deferred() } else { engines.source() };
        let with = || StoreOptions { engine: source(), ..options(&fs) };
        let store = Store::open(with()).unwrap();
        let mut model = with_history(&store);
        engines.current().power_cut(Harm::Refuse);
        // The change that finds the engine failed may be refused, the next one is not.
        while put(&store, 31).is_err() {}
        model.insert(vec![1], vec![31; 300]);
        model.insert(vec![31, 31], b"mark".to_vec());
        // A memtable takes the change before its rows reach the failed engine.
        while rows(&store).is_err() {
            std::thread::yield_now();
        }
        assert_eq!(rows(&store).unwrap(), model);
        assert_eq!(store.health(), Health::Sound);
        store.checkpoint().unwrap();
        put(&store, 32).unwrap();
        let before = rows(&store).unwrap();
        drop(store);
        let store = Store::open(with()).unwrap();
        assert_eq!(rows(&store).unwrap(), before);
        assert_eq!(store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn reads_and_changes_fail_clearly_during_a_rebuild() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let (began, rebuilding) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (engine, released) = (engines.clone(), Mutex::new(released));
    let source = EngineSource::Custom(Arc::new(move |folder: &Path| {
        if folder == Path::new(ENGINE).with_extension("new") && engine.0.lock().unwrap().len() == 1
        {
            began.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        }
        engine.open(folder)
    }));
    let store = Store::open(StoreOptions { engine: source, ..options(&fs) }).unwrap();
    let before = with_history(&store);
    engines.current().power_cut(Harm::Refuse);
    // The engine fails this read, so that the next change finds it failed.
    assert!(store.get(T, &[1]).is_err());
    let refused = put(&store, 31);
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    rebuilding.recv().unwrap();
    for _ in 0..3 {
        assert!(matches!(store.get(T, &[1]), Err(StoreError::Unavailable(_))));
        assert!(matches!(put(&store, 31), Err(StoreError::Unavailable(_))));
        assert!(matches!(store.health(), Health::Unreadable(_)));
    }
    release.send(()).unwrap();
    while store.health() != Health::Sound {
        std::thread::yield_now();
    }
    assert_eq!(rows(&store).unwrap(), before);
    while put(&store, 31).is_err() {
        std::thread::yield_now();
    }
}

#[test]
fn rows_are_in_memory_until_space_is_free() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500, ..Margins::NONE },
    );
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(StoreOptions { space: Some(space), ..with() }).unwrap();
    let mut model = with_history(&store);
    assert!(fs.exists(Path::new(RESERVE)).unwrap());
    fs.set_free(0);
    engines.break_all(EngineError::Full);
    // People read, and delete to make space.
    for n in [1, 2, 5] {
        let key = vec![n, n];
        let delete = move |tx: &mut Tx<'_>| {
            tx.delete(T, &[n, n]);
            Ok::<_, StoreError>(())
        };
        while store.commit_blocking(delete).is_err() {
            std::thread::yield_now();
        }
        model.remove(&key);
        assert_eq!(rows(&store).unwrap(), model);
        assert!(store.checkpoint().is_err(), "the engine on the disk lacks rows");
    }
    // The reserve and the space of the old engine are given up for the rebuild.
    assert!(!fs.exists(Path::new(RESERVE)).unwrap());
    assert!(!fs.exists(Path::new(ENGINE)).unwrap());
    engines.refuse_open(None);
    fs.set_free(2 * 1024 * 1024);
    // The engine is rebuilt without a change.
    while store.checkpoint().is_err() {
        std::thread::yield_now();
    }
    assert!(fs.exists(Path::new(ENGINE)).unwrap());
    while put(&store, 40).is_err() {
        std::thread::yield_now();
    }
    let before = rows(&store).unwrap();
    drop(store);
    assert_eq!(rows(&Store::open(with()).unwrap()).unwrap(), before);
}

#[test]
fn rows_in_memory_are_lost_by_no_crash() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: engines.source(), ..options(fs) };
    let store = Store::open(with(&fs)).unwrap();
    with_history(&store);
    engines.break_all(EngineError::Unavailable("broken".into()));
    while put(&store, 40).is_err() {
        std::thread::yield_now();
    }
    let before = rows(&store).unwrap();
    let crashed = fs.crash();
    drop(store);
    engines.refuse_open(None);
    for boot in [1, 2] {
        let store = Store::open(StoreOptions { boot: [boot; 32], ..with(&crashed) }).unwrap();
        assert_eq!(rows(&store).unwrap(), before);
    }
}

#[test]
fn engine_that_fails_during_a_change_is_recovered() {
    for error in [EngineError::Full, EngineError::Unavailable("broken".into())] {
        for call in 0..3 {
            let (fs, engines) = (MemoryFs::new(), Engines::default());
            let with = StoreOptions { engine: engines.source(), ..options(&fs) };
            let store = Store::open(with).unwrap();
            put(&store, 1).unwrap();
            engines.current().fail_at(call, error.clone());
            let changed: Result<(), StoreError> = store.commit_blocking(|tx| {
                let mark = tx.get(T, &[1, 1])?.ok_or(StoreError::NoBlob)?;
                let found = tx.scan(T, &Scan::prefix(&[], 10))?.len();
                assert_eq!((mark.value.as_slice(), found), (b"mark".as_slice(), 2));
                tx.put(T, &[1, 1], b"flag")
            });
            assert_eq!(changed, Ok(()), "{error:?} at {call}");
            assert_eq!(rows(&store).unwrap()[&vec![1, 1]], b"flag");
        }
    }
}

#[test]
fn damaged_log_keeps_the_old_engine() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let store = Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
    (1..=60).for_each(|n| put(&store, n).unwrap());
    flip_log(&fs);
    engines.break_all(EngineError::Full);
    while !matches!(store.health(), Health::Unreadable(_)) {
        assert!(put(&store, 61).is_err());
    }
    assert!(matches!(store.get(T, &[1]), Err(StoreError::Unavailable(_))));
    assert!(fs.exists(Path::new(ENGINE)).unwrap(), "its rows may be the only ones that remain");
}
