//! Tests of a full disk: refused changes, admitted changes and the reserve.

use super::admission::Headroom;
use super::faults::{put, rows};
use super::*;
use crate::fs::Fault;

const RESERVE: &str = "/data/reserve";

/// A store with a free-space check.
fn with_free_space_check(fs: &MemoryFs, engines: &Engines) -> Store {
    let options = options(fs);
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500, ..Margins::NONE },
    );
    Store::open(StoreOptions { space: Some(space), engine: engines.source(), ..options }).unwrap()
}

#[test]
fn full_disk_refuses_changes_until_space_is_free() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    put(&store, 1).unwrap();
    for _ in 0..3 {
        // Every write fails.
        (1..=64).for_each(|call| fs.fail_at(call, Fault::Full));
        assert_eq!(put(&store, 2), Err(StoreError::Full));
        assert_eq!(rows(&store).unwrap().len(), 2);
        fs.heal();
        put(&store, 3).unwrap();
        put(&store, 1).unwrap();
        store
            .commit_blocking(|tx| {
                tx.delete(T, &[3]);
                tx.delete(T, &[3, 3]);
                Ok::<_, StoreError>(())
            })
            .unwrap();
    }
}

#[test]
fn deletes_go_on_under_the_watermark() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500, ..Margins::NONE },
    );
    let store = Store::open(StoreOptions { space: Some(space), ..options }).unwrap();
    put(&store, 1).unwrap();
    assert!(fs.exists(Path::new("/data/reserve")).unwrap());
    // The disk is full during an append: the reserve is used for this change, and then only deletes
    // are admitted.
    fs.fail_at(1, Fault::Full);
    fs.set_free(0);
    put(&store, 2).unwrap();
    assert!(!fs.exists(Path::new("/data/reserve")).unwrap());
    assert_eq!(put(&store, 3), Err(StoreError::Full));
    store
        .commit_blocking(|tx| {
            tx.delete(T, &[1]);
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(rows(&store).unwrap().len(), 3);
    fs.set_free(2000);
    // Free space is read again after a short time.
    while put(&store, 4) == Err(StoreError::Full) {
        std::thread::yield_now();
    }
    put(&store, 5).unwrap();
    assert!(fs.exists(Path::new("/data/reserve")).unwrap());
}

/// The outcome of a change with this headroom; nothing is written.
fn outcome(
    store: &Store,
    headroom: Headroom,
    work: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let shared = &store.0.shared;
    let group = tx::Overlay::new();
    let committed = committed_rows::CommittedRows::new(&shared.rows, &|| false);
    let mut tx = Tx::new(1000, committed, &group, &[], headroom);
    work(&mut tx)?;
    tx.finish().map(drop)
}

#[test]
fn small_changes_and_deletes_are_admitted_without_headroom() {
    let options = options(&MemoryFs::new());
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let deliver = |headroom| {
        let pinned = blobs.put(b"mail").unwrap();
        outcome(&store, headroom, |tx| tx.put_referring(T, b"m", b"", &[pinned.id]))
    };
    assert_eq!(deliver(Headroom::Enough), Ok(()));
    for headroom in [Headroom::Low, Headroom::None] {
        assert_eq!(deliver(headroom), Err(StoreError::Full), "{headroom:?}");
        let deleted = outcome(&store, headroom, |tx| {
            tx.delete(T, b"a");
            Ok(())
        });
        assert_eq!(deleted, Ok(()), "{headroom:?}");
        assert_eq!(outcome(&store, headroom, |_| Ok(())), Ok(()), "{headroom:?}");
    }
    assert_eq!(outcome(&store, Headroom::Low, |tx| tx.put(T, b"session", b"1")), Ok(()));
    assert_eq!(
        outcome(&store, Headroom::None, |tx| tx.put(T, b"session", b"1")),
        Err(StoreError::Full)
    );
}

#[test]
fn small_change_that_frees_space_later_is_admitted() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let step = |rows: u8| {
        outcome(&store, Headroom::None, move |tx| {
            tx.frees_space_later();
            (0..rows).try_for_each(|row| tx.put(T, &[row], &[7; 1500]))
        })
    };
    assert_eq!(step(2), Ok(()));
    assert_eq!(step(3), Err(StoreError::Full));
}

#[test]
fn essential_change_is_admitted_without_headroom() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    for batch in 0..4 {
        let fill =
            move |tx: &mut Tx<'_>| (0..=255).try_for_each(|n| tx.put(T, &[batch, n], &[7; 300]));
        store.commit_blocking(fill).unwrap();
    }
    let flag = |headroom, essential, growth: usize| {
        outcome(&store, headroom, move |tx| {
            if essential {
                tx.mark_essential();
            }
            // A flag makes each of many rows some bytes longer.
            (0..900_u16).try_for_each(|n| {
                let [batch, n] = n.to_be_bytes();
                tx.put(T, &[batch, n], &vec![8; 300 + growth])
            })
        })
    };
    for headroom in [Headroom::Low, Headroom::None] {
        assert_eq!(flag(headroom, true, 50), Ok(()), "{headroom:?}");
        assert_eq!(flag(headroom, true, 100), Err(StoreError::Full), "{headroom:?}");
        assert_eq!(flag(headroom, false, 1), Err(StoreError::Full), "{headroom:?}");
        let login = outcome(&store, headroom, |tx| {
            tx.mark_essential();
            tx.put(T, b"session", b"1")
        });
        assert_eq!(login, Ok(()), "{headroom:?}");
    }
}

#[test]
fn store_starts_on_a_full_disk() {
    for boot in [1, 2] {
        let mut used = 0;
        for call in 1.. {
            let (fs, engines) = (MemoryFs::new(), Engines::default());
            let store = with_free_space_check(&fs, &engines);
            (1..=20).for_each(|n| put(&store, n).unwrap());
            let before = rows(&store).unwrap();
            let crashed = fs.crash();
            drop(store);
            let space = FreeSpace::new(
                Arc::new(crashed.clone()),
                Path::new("/data"),
                Margins { watermark: 1000, reserve: 500, ..Margins::NONE },
            );
            let options = StoreOptions {
                space: Some(space),
                engine: engines.source(),
                boot: [boot; 32],
                ..options(&crashed)
            };
            crashed.set_free(0);
            crashed.fail_at(call, Fault::Full);
            let store = Store::open(options).unwrap_or_else(|e| panic!("call {call}: {e}"));
            assert_eq!(rows(&store).unwrap(), before, "call {call}");
            let deleted = store.commit_blocking(|tx| {
                tx.delete(T, &[1, 1]);
                Ok::<_, StoreError>(())
            });
            assert_eq!(deleted, Ok(()), "call {call}");
            if crashed.exists(Path::new(RESERVE)).unwrap() {
                break;
            }
            used += 1;
        }
        assert!(used > 8, "{used}");
    }
}

#[test]
fn delete_does_not_admit_a_larger_write() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let change = |headroom, deleted: &'static [u8], long: &'static [u8], rows: u8| {
        outcome(&store, headroom, move |tx| {
            for row in 0..rows {
                tx.put(T, &[long, &[row]].concat(), &[7; 1500])?;
            }
            tx.delete(T, deleted);
            Ok(())
        })
    };
    let long: Result<(), StoreError> = store.commit_blocking(|tx| {
        (0..5).try_for_each(|row| tx.put(T, &[b'a', row], &[7; 1500]))?;
        tx.put(T, b"b\0", &[7; 1500])
    });
    long.unwrap();
    for headroom in [Headroom::Low, Headroom::None] {
        // Deleting a missing or a short row does not free the space of five long rows; overwriting
        // rows needs no space.
        assert_eq!(change(headroom, b"nothing", b"c", 5), Err(StoreError::Full), "{headroom:?}");
        assert_eq!(change(headroom, b"b\0", b"c", 5), Err(StoreError::Full), "{headroom:?}");
        assert_eq!(change(headroom, b"nothing", b"a", 5), Ok(()), "{headroom:?}");
        assert_eq!(change(headroom, b"nothing", b"d", 2), Ok(()), "{headroom:?}");
        // The deleted rows may be as long as the written ones.
        let moved = outcome(&store, headroom, |tx| {
            for row in 0..5 {
                tx.delete(T, &[b'a', row]);
                tx.put(T, &[b'e', row], &[7; 1500])?;
            }
            Ok(())
        });
        assert_eq!(moved, Ok(()), "{headroom:?}");
    }
}

#[test]
fn deleting_a_blob_on_a_full_disk_frees_space() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500, ..Margins::NONE },
    );
    let store = Store::open(StoreOptions { space: Some(space), ..options }).unwrap();
    let pinned = blobs.put(&[7; 300_000]).unwrap();
    let id = pinned.id;
    store.commit_blocking(move |tx| tx.put_referring(T, b"film", b"", &[id])).unwrap();
    drop(pinned);
    // The disk is full during an append, and the reserve is smaller than the watermark.
    fs.fail_at(1, Fault::Full);
    fs.set_free(500);
    put(&store, 1).unwrap();
    assert_eq!(put(&store, 2), Err(StoreError::Full));
    let deleted: Result<(), StoreError> = store.commit_blocking(|tx| {
        tx.delete(T, b"film");
        Ok(())
    });
    deleted.unwrap();
    assert!(blobs.unlink_now(&store, &[id]).unwrap().files > 0);
    assert!(!blobs.contains(&id).unwrap());
    blobs.collect(&store).unwrap();
    assert_eq!(put(&store, 2), Err(StoreError::Full), "free space is still under the watermark");
    fs.set_free(300_500);
    while put(&store, 2) == Err(StoreError::Full) {
        std::thread::yield_now();
    }
    assert!(fs.exists(Path::new(RESERVE)).unwrap());
}

#[test]
fn snapshot_under_the_watermark_never_fills_the_disk() {
    let fs = MemoryFs::new();
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 100_000, reserve: 500, ..Margins::NONE },
    );
    let store = Store::open(StoreOptions { space: Some(space), ..options(&fs) }).unwrap();
    let names = || {
        fs.list(Path::new("/data/snapshots"))
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
            .collect::<Vec<_>>()
    };
    (1..=20).for_each(|n| put(&store, n).unwrap());
    fs.set_free(249);
    assert_eq!(store.snapshot(), Err(StoreError::Full));
    assert_eq!(names(), Vec::<String>::new(), "the temporary files are removed");
    // Under the watermark, but enough for a snapshot, which replaces older ones and log segments.
    fs.set_free(50_000);
    store.snapshot().unwrap();
    let first = names();
    put(&store, 21).unwrap();
    fs.set_free(1000);
    // The next snapshot would be as long as the first, and so much is not free.
    assert_eq!(store.snapshot(), Err(StoreError::Full));
    assert_eq!(names(), first);
    // No row is affected.
    assert_eq!(rows(&store).unwrap().len(), 5 + 21);
    fs.set_free(1 << 30);
    store.snapshot().unwrap();
    assert_eq!(names().len(), 2);
}

#[test]
fn checkpoint_on_a_full_disk_uses_the_reserve() {
    let mut reached = 0;
    for call in 1.. {
        let fs = MemoryFs::new();
        let store = with_free_space_check(&fs, &Engines::default());
        put(&store, 1).unwrap();
        fs.set_free(0);
        let calls = fs.calls();
        fs.fail_at(call, Fault::Full);
        store.checkpoint().unwrap();
        if fs.exists(Path::new(RESERVE)).unwrap() {
            assert!(
                fs.calls() < calls + call,
                "the fault was reached but the reserve was not used"
            );
            break;
        }
        reached += 1;
        fs.set_free(2000);
        store.checkpoint().unwrap();
        assert!(fs.exists(Path::new(RESERVE)).unwrap());
    }
    assert!(reached > 3, "{reached}");
}

#[test]
fn full_disk_engine_is_reopened_with_the_reserve() {
    for call in 0..4 {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let store = with_free_space_check(&fs, &engines);
        put(&store, 1).unwrap();
        fs.set_free(0);
        engines.current().fail_at(call, EngineError::Full);
        // After each failed call the next change reopens the engine; only deletes are admitted.
        for key in [[2].as_slice(), &[1]] {
            let _ = store.checkpoint();
            let deleted = store.commit_blocking(move |tx| {
                tx.delete(T, key);
                Ok::<_, StoreError>(())
            });
            deleted.unwrap();
        }
        store.checkpoint().unwrap();
        assert_eq!(rows(&store).unwrap().into_keys().collect::<Vec<_>>(), [[1, 1]], "call {call}");
    }
}
