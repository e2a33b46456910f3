//! Snapshots: two good ones are kept, a failed or stopped one leaves nothing, and nobody waits for
//! one.

use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use super::faults::{put, rows};
use super::*;
use crate::fs::Fault;
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

fn names(fs: &MemoryFs) -> Vec<String> {
    fs.list(Path::new("/data/snapshots")).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn snap(position: u64) -> String {
    format!("{position:016x}.snap")
}

#[test]
fn a_damaged_snapshot_gives_way_to_the_one_before() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    for n in 1..=60 {
        put(&store, n).unwrap();
        if n % 20 == 0 {
            store.snapshot().unwrap();
        }
    }
    let before = rows(&store).unwrap();
    drop(store);
    let names: Vec<_> = fs
        .list(Path::new("/data/snapshots"))
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, [format!("{:016x}.snap", 40), format!("{:016x}.snap", 60)]);
    let len = fs.open(&Path::new("/data/snapshots").join(&names[1])).unwrap().len().unwrap();
    for at in (0..len).step_by(97) {
        let damaged = fs.crash();
        damaged.damage(&Path::new("/data/snapshots").join(&names[1]), at, 1).unwrap();
        let store = Store::open(options(&damaged)).unwrap_or_else(|e| panic!("byte {at}: {e}"));
        assert_eq!(rows(&store).unwrap(), before, "byte {at}");
    }
    // Without both there is no way back to the beginning, for the log before them is gone.
    names.iter().for_each(|name| fs.remove(&Path::new("/data/snapshots").join(name)).unwrap());
    assert!(matches!(Store::open(options(&fs)), Err(OpenError::Log(_))));
}

#[test]
fn a_damaged_snapshot_does_not_push_out_a_good_one() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    for n in 1..=60 {
        put(&store, n).unwrap();
        if n == 20 || n == 40 {
            store.snapshot().unwrap();
        }
    }
    fs.damage(&Path::new("/data/snapshots").join(snap(40)), 200, 1).unwrap();
    store.snapshot().unwrap();
    assert_eq!(names(&fs), [snap(20), snap(60)]);
    // So the damage of another costs nothing either.
    let before = rows(&store).unwrap();
    drop(store);
    fs.damage(&Path::new("/data/snapshots").join(snap(60)), 200, 1).unwrap();
    assert_eq!(rows(&Store::open(options(&fs)).unwrap()).unwrap(), before);
}

#[test]
fn a_snapshot_that_fails_leaves_nothing_and_the_next_is_made() {
    let mut failed = 0;
    for fault in [Fault::Io, Fault::Full] {
        for call in 1.. {
            let fs = MemoryFs::new();
            let store = Store::open(options(&fs)).unwrap();
            (1..=9).for_each(|n| put(&store, n).unwrap());
            store.checkpoint().unwrap();
            let keeper = store.0.keeper.clone();
            fs.fail_at(call, fault);
            if keeper.snapshot().is_ok() {
                break;
            }
            failed += 1;
            fs.heal();
            let left =
                fs.list(Path::new("/data")).unwrap().iter().any(|entry| entry.name == "snapshots")
                    && names(&fs) != [snap(9)];
            assert!(!left || names(&fs).is_empty(), "{fault:?} at call {call}: {:?}", names(&fs));
            put(&store, 10).unwrap();
            store.snapshot().unwrap();
            assert_eq!(names(&fs).last(), Some(&snap(10)));
            assert!(names(&fs).iter().all(|name| name.ends_with(".snap")), "{:?}", names(&fs));
        }
    }
    assert!(failed > 10, "{failed}");
}

/// A store of which a snapshot is being made, and will be until it is stopped.
fn snapping(fs: &MemoryFs) -> (Store, std::thread::JoinHandle<Result<(), StoreError>>) {
    let (begun, wait) = sync_channel(1);
    let stop: Arc<OnceLock<Stop>> = Arc::default();
    let ending = Arc::clone(&stop);
    // The snapshot's first write waits until the store is being stopped.
    let slow = HookedFs::new(fs.clone(), move |what, path| {
        if what == FsCall::Write && path.to_str().unwrap().contains("merge") {
            let _ = begun.try_send(());
            while ending.get().is_some_and(|ending| !ending.is_raised()) {
                std::thread::yield_now();
            }
        }
        Action::Proceed
    });
    let options = StoreOptions { background: true, ..options_on(fs, Arc::new(slow)) };
    let store = Store::open(options).unwrap();
    (1..=9).for_each(|n| put(&store, n).unwrap());
    stop.set(store.0.keeper.ending.clone()).unwrap();
    let snapping = store.clone();
    let made = std::thread::spawn(move || snapping.snapshot());
    wait.recv().unwrap();
    (store, made)
}

#[test]
fn a_stop_ends_a_snapshot_and_leaves_nothing_of_it() {
    let fs = MemoryFs::new();
    let (store, made) = snapping(&fs);
    store.close();
    assert!(made.join().unwrap().is_err());
    assert!(names(&fs).is_empty(), "{:?}", names(&fs));
    assert!(store.snapshot().is_err(), "what is closed makes none");
    drop(store);
    let store = Store::open(options(&fs)).unwrap();
    store.snapshot().unwrap();
    assert_eq!(rows(&store).unwrap().len(), 14);
}

#[test]
fn the_committer_does_not_wait_for_a_snapshot() {
    let fs = MemoryFs::new();
    let (store, made) = snapping(&fs);
    let first = crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap().len();
    // Many segments long: each is covered by a checkpoint meanwhile.
    (1..=120).for_each(|n| put(&store, n).unwrap());
    store.checkpoint().unwrap();
    assert!(crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap().len() > first + 4);
    store.close();
    assert!(made.join().unwrap().is_err());
}
