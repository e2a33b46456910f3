//! A full disk: what is refused, what goes on, and the reserve that makes it possible.

use super::faults::{put, rows};
use super::*;
use crate::fs::Fault;

const RESERVE: &str = "/data/reserve";

/// A store whose disk is watched.
fn watched(fs: &MemoryFs, engines: &Engines) -> Store {
    let options = options(fs);
    let space = Space::new(Arc::new(fs.clone()), Path::new("/data"), Margins { watermark: 1000, reserve: 500 });
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
    let space = Space::new(Arc::new(fs.clone()), Path::new("/data"), Margins { watermark: 1000, reserve: 500 });
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

#[test]
fn where_there_is_no_room_a_delete_takes_no_large_change_along() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let change = |deleted: &'static [u8], long: &'static [u8], rows: u8| {
        store.commit_blocking(move |tx| {
            for row in 0..rows {
                tx.put(T, &[long, &[row]].concat(), &[7; 1500])?;
            }
            tx.delete(T, deleted);
            Ok::<_, StoreError>(())
        })
    };
    change(b"nothing", b"a", 5).unwrap();
    change(b"nothing", b"b", 1).unwrap();
    for room in [Room::Low, Room::None] {
        store.set_room(room);
        // Neither a row that is not there nor a short one makes room for five long ones; written over themselves they need none.
        assert_eq!(change(b"nothing", b"c", 5), Err(StoreError::Full), "{room:?}");
        assert_eq!(change(b"b\0", b"c", 5), Err(StoreError::Full), "{room:?}");
        change(b"nothing", b"a", 5).unwrap();
        change(b"nothing", b"d", 2).unwrap();
        // And what goes may be as long as what comes.
        let moved = store.commit_blocking(|tx| {
            for row in 0..5 {
                tx.delete(T, &[b'a', row]);
                tx.put(T, &[b'e', row], &[7; 1500])?;
            }
            Ok::<_, StoreError>(())
        });
        moved.unwrap();
        store.set_room(Room::Enough);
        change(b"nothing", b"a", 5).unwrap();
    }
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
        // Whichever call it was, the change after it finds the engine reopened; only what deletes is let in meanwhile.
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
