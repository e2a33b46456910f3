//! Tests of snapshots: two intact ones are kept, a failed or stopped one leaves no file, and the
//! committer waits for none.

use std::sync::OnceLock;
use std::sync::mpsc::sync_channel;

use super::faults::{put, rows};
use super::*;
use crate::fs::{Fault, PowerCut};
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

fn names(fs: &MemoryFs) -> Vec<String> {
    fs.list(Path::new("/data/snapshots")).unwrap().into_iter().map(|entry| entry.name).collect()
}

fn file_name(position: u64) -> String {
    format!("{position:016x}.snap")
}

#[test]
fn damaged_snapshot_falls_back_to_the_one_before() {
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
    // Without both snapshots the store cannot be rebuilt, because the log before them was removed.
    names.iter().for_each(|name| fs.remove(&Path::new("/data/snapshots").join(name)).unwrap());
    assert!(matches!(Store::open(options(&fs)), Err(OpenError::Log(_))));
}

#[test]
fn damaged_snapshot_does_not_replace_an_intact_one() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    for n in 1..=60 {
        put(&store, n).unwrap();
        if n == 20 || n == 40 {
            store.snapshot().unwrap();
        }
    }
    fs.damage(&Path::new("/data/snapshots").join(file_name(40)), 200, 1).unwrap();
    store.snapshot().unwrap();
    assert_eq!(names(&fs), [file_name(20), file_name(60)]);
    // Damage to the newest one then loses nothing either.
    let before = rows(&store).unwrap();
    drop(store);
    fs.damage(&Path::new("/data/snapshots").join(file_name(60)), 200, 1).unwrap();
    assert_eq!(rows(&Store::open(options(&fs)).unwrap()).unwrap(), before);
}

#[test]
fn failed_snapshot_leaves_no_file() {
    let mut failed = 0;
    for fault in [Fault::Io, Fault::Full] {
        for call in 1.. {
            let fs = MemoryFs::new();
            let store = Store::open(options(&fs)).unwrap();
            (1..=9).for_each(|n| put(&store, n).unwrap());
            store.checkpoint().unwrap();
            let checkpointer = store.0.checkpointer.clone();
            fs.fail_at(call, fault);
            if checkpointer.snapshot().is_ok() {
                break;
            }
            failed += 1;
            fs.heal();
            let has_files =
                fs.list(Path::new("/data")).unwrap().iter().any(|entry| entry.name == "snapshots")
                    && names(&fs) != [file_name(9)];
            assert!(
                !has_files || names(&fs).is_empty(),
                "{fault:?} at call {call}: {:?}",
                names(&fs)
            );
            put(&store, 10).unwrap();
            store.snapshot().unwrap();
            assert_eq!(names(&fs).last(), Some(&file_name(10)));
            assert!(names(&fs).iter().all(|name| name.ends_with(".snap")), "{:?}", names(&fs));
        }
    }
    assert!(failed > 10, "{failed}");
}

#[test]
fn removed_snapshots_and_segments_stay_removed() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    let segments = |fs: &MemoryFs| {
        crate::wal::segment::list(fs, Path::new("/data/log")).unwrap().into_iter().map(|s| s.first)
    };
    for n in 1..=60 {
        put(&store, n).unwrap();
        if n % 20 == 0 {
            store.snapshot().unwrap();
        }
    }
    let (snapshots, log): (_, Vec<u64>) = (names(&fs), segments(&fs).collect());
    assert!(snapshots.len() == 2 && log[0] > 1, "{snapshots:?} {log:?}");
    // The last one made was the last change of the disk.
    let after = fs.power_cut(PowerCut::Nothing, 0);
    assert_eq!((names(&after), segments(&after).collect()), (snapshots, log));
}

#[test]
fn first_snapshot_survives_a_power_cut() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    put(&store, 1).unwrap();
    store.snapshot().unwrap();
    assert_eq!(names(&fs.power_cut(PowerCut::Nothing, 0)), [file_name(1)]);
}

/// A store with a running snapshot that ends when the store is stopped.
fn with_running_snapshot(
    fs: &MemoryFs,
) -> (Store, std::thread::JoinHandle<Result<(), StoreError>>) {
    let (begun, wait_begun) = sync_channel(1);
    let stop: Arc<OnceLock<Stop>> = Arc::default();
    let stopping = Arc::clone(&stop);
    // The snapshot's first write waits until the store is being stopped.
    let slow = HookedFs::new(fs.clone(), move |call, path| {
        if call == FsCall::Write && path.to_str().unwrap().contains("merge") {
            let _ = begun.try_send(());
            while stopping.get().is_some_and(|stop| !stop.is_raised()) {
                std::thread::yield_now();
            }
        }
        Action::Proceed
    });
    let options = StoreOptions { background: true, ..options_on(fs, Arc::new(slow)) };
    let store = Store::open(options).unwrap();
    (1..=9).for_each(|n| put(&store, n).unwrap());
    stop.set(store.0.checkpointer.stopping.clone()).unwrap();
    let snapshot_store = store.clone();
    let snapshot = std::thread::spawn(move || snapshot_store.snapshot());
    wait_begun.recv().unwrap();
    (store, snapshot)
}

#[test]
fn stop_ends_a_running_snapshot() {
    let fs = MemoryFs::new();
    let (store, snapshot) = with_running_snapshot(&fs);
    store.close();
    assert!(snapshot.join().unwrap().is_err());
    assert!(names(&fs).is_empty(), "{:?}", names(&fs));
    assert!(store.snapshot().is_err(), "a closed store makes no snapshot");
    drop(store);
    let store = Store::open(options(&fs)).unwrap();
    store.snapshot().unwrap();
    assert_eq!(rows(&store).unwrap().len(), 14);
}

#[test]
fn committer_does_not_wait_for_a_snapshot() {
    let fs = MemoryFs::new();
    let (store, snapshot) = with_running_snapshot(&fs);
    let first = crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap().len();
    // Many segments, each followed by a checkpoint.
    (1..=120).for_each(|n| put(&store, n).unwrap());
    store.checkpoint().unwrap();
    assert!(crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap().len() > first + 4);
    store.close();
    assert!(snapshot.join().unwrap().is_err());
}
