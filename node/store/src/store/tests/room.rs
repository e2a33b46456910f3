//! A full disk: what is refused, what goes on, and the reserve that makes it possible.

use super::faults::{put, rows};
use super::*;
use crate::fs::Fault;

const RESERVE: &str = "/data/reserve";

/// A store whose disk is watched.
fn watched(fs: &MemoryFs, engines: &Engines) -> Store {
    let options = options(fs);
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500 },
    );
    Store::open(StoreOptions { space: Some(space), engine: engines.source(), ..options }).unwrap()
}

#[test]
fn a_full_disk_refuses_and_serves_again_when_there_is_room() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    put(&store, 1).unwrap();
    for _ in 0..3 {
        // Nothing at all can be written.
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
fn under_the_watermark_deleting_goes_on_and_all_resumes_by_itself() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500 },
    );
    let store = Store::open(StoreOptions { space: Some(space), ..options }).unwrap();
    put(&store, 1).unwrap();
    assert!(fs.exists(Path::new("/data/reserve")).unwrap());
    // Full in the middle of a group: the reserve lets this one through, and then only what deletes.
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
    // The disk is asked again a little later.
    while put(&store, 4) == Err(StoreError::Full) {
        std::thread::yield_now();
    }
    put(&store, 5).unwrap();
    assert!(fs.exists(Path::new("/data/reserve")).unwrap());
}

/// What a change would be told with so much room; nothing is written.
fn told(
    store: &Store,
    room: Room,
    work: impl FnOnce(&mut Tx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let shared = &store.0.shared;
    let group = tx::Overlay::new();
    let mut tx = Tx::new(1000, &shared.rows, &group, &[], room);
    work(&mut tx)?;
    tx.finish().map(drop)
}

#[test]
fn without_room_only_what_is_small_or_deletes_goes_on() {
    let options = options(&MemoryFs::new());
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let take = |room| {
        let pinned = blobs.put(b"mail", AtRest::Sealed).unwrap();
        told(&store, room, |tx| tx.put_referring(T, b"m", b"", &[pinned.id]))
    };
    assert_eq!(take(Room::Enough), Ok(()));
    for room in [Room::Low, Room::None] {
        assert_eq!(take(room), Err(StoreError::Full), "{room:?}");
        let deleted = told(&store, room, |tx| {
            tx.delete(T, b"a");
            Ok(())
        });
        assert_eq!(deleted, Ok(()), "{room:?}");
        assert_eq!(told(&store, room, |_| Ok(())), Ok(()), "{room:?}");
    }
    assert_eq!(told(&store, Room::Low, |tx| tx.put(T, b"session", b"1")), Ok(()));
    assert_eq!(told(&store, Room::None, |tx| tx.put(T, b"session", b"1")), Err(StoreError::Full));
}

#[test]
fn a_step_on_the_way_to_room_is_let_in_while_it_is_small() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let step = |rows: u8| {
        told(&store, Room::None, move |tx| {
            tx.frees_space_later();
            (0..rows).try_for_each(|row| tx.put(T, &[row], &[7; 1500]))
        })
    };
    assert_eq!(step(2), Ok(()));
    assert_eq!(step(3), Err(StoreError::Full));
}

#[test]
fn where_there_is_no_room_a_delete_takes_no_large_change_along() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let change = |room, deleted: &'static [u8], long: &'static [u8], rows: u8| {
        told(&store, room, move |tx| {
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
    for room in [Room::Low, Room::None] {
        // Neither a row that is not there nor a short one makes room for five long ones; written
        // over themselves they need none.
        assert_eq!(change(room, b"nothing", b"c", 5), Err(StoreError::Full), "{room:?}");
        assert_eq!(change(room, b"b\0", b"c", 5), Err(StoreError::Full), "{room:?}");
        assert_eq!(change(room, b"nothing", b"a", 5), Ok(()), "{room:?}");
        assert_eq!(change(room, b"nothing", b"d", 2), Ok(()), "{room:?}");
        // And what goes may be as long as what comes.
        let moved = told(&store, room, |tx| {
            for row in 0..5 {
                tx.delete(T, &[b'a', row]);
                tx.put(T, &[b'e', row], &[7; 1500])?;
            }
            Ok(())
        });
        assert_eq!(moved, Ok(()), "{room:?}");
    }
}

#[test]
fn on_a_disk_that_was_full_a_deleted_file_goes_and_all_resumes_by_itself() {
    let fs = MemoryFs::new();
    let options = options(&fs);
    let blobs = options.blobs.clone().unwrap();
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 1000, reserve: 500 },
    );
    let store = Store::open(StoreOptions { space: Some(space), ..options }).unwrap();
    let pinned = blobs.put(&[7; 300_000], AtRest::Sealed).unwrap();
    let id = pinned.id;
    store.commit_blocking(move |tx| tx.put_referring(T, b"film", b"", &[id])).unwrap();
    drop(pinned);
    // The disk is full in the middle of a group, and what the reserve gives is less than the
    // watermark.
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
    assert_eq!(put(&store, 2), Err(StoreError::Full), "it is still under the watermark");
    fs.set_free(300_500);
    while put(&store, 2) == Err(StoreError::Full) {
        std::thread::yield_now();
    }
    assert!(fs.exists(Path::new(RESERVE)).unwrap());
}

#[test]
fn a_snapshot_takes_what_is_under_the_watermark_but_never_fills_the_disk() {
    let fs = MemoryFs::new();
    let space = FreeSpace::new(
        Arc::new(fs.clone()),
        Path::new("/data"),
        Margins { watermark: 100_000, reserve: 500 },
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
    assert_eq!(names(), Vec::<String>::new(), "what it had written is gone");
    // Less than the watermark, and enough: the older ones and the log go for it.
    fs.set_free(50_000);
    store.snapshot().unwrap();
    let first = names();
    put(&store, 21).unwrap();
    fs.set_free(1000);
    // The next would be as long as the first, which is more than there is.
    assert_eq!(store.snapshot(), Err(StoreError::Full));
    assert_eq!(names(), first);
    // Nothing else has suffered.
    assert_eq!(rows(&store).unwrap().len(), 5 + 21);
    fs.set_free(1 << 30);
    store.snapshot().unwrap();
    assert_eq!(names().len(), 2);
}

#[test]
fn a_checkpoint_on_a_full_disk_takes_its_room_from_the_reserve_and_gives_it_back() {
    let mut came = 0;
    for call in 1.. {
        let fs = MemoryFs::new();
        let store = watched(&fs, &Engines::default());
        put(&store, 1).unwrap();
        fs.set_free(0);
        let calls = fs.calls();
        fs.fail_at(call, Fault::Full);
        store.checkpoint().unwrap();
        if fs.exists(Path::new(RESERVE)).unwrap() {
            assert!(fs.calls() < calls + call, "the fault came to bear and cost nothing");
            break;
        }
        came += 1;
        fs.set_free(2000);
        store.checkpoint().unwrap();
        assert!(fs.exists(Path::new(RESERVE)).unwrap());
    }
    assert!(came > 3, "{came}");
}

#[test]
fn an_engine_for_which_the_disk_was_full_is_reopened_with_the_reserves_room() {
    for call in 0..4 {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let store = watched(&fs, &engines);
        put(&store, 1).unwrap();
        fs.set_free(0);
        engines.current().fail_at(call, EngineError::Full);
        // Whichever call it was, the change after it finds the engine reopened; only what deletes
        // is let in meanwhile.
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
