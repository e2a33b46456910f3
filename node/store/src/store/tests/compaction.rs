//! Tests of compaction: a new engine takes the place of the old one while the store runs.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use super::faults::{Model, put, rows};
use super::*;
use crate::fs::Fault;
use crate::testing::hooked_fs::{Action, HookedFs};
use file_engine::FileEngine;

mod cuts;
mod file_engine;

const ROOT: &str = "/data/rows-custom";
/// More rows than a compaction writes between two pauses.
const MANY: u16 = 1300;

fn many(store: &Store) {
    for first in (0..MANY).step_by(100) {
        let fill = move |tx: &mut Tx<'_>| {
            (first..first + 100).try_for_each(|n| tx.put(U, &n.to_be_bytes(), b"one of many"))
        };
        store.commit_blocking::<_, StoreError, _>(fill).unwrap();
    }
}

/// Changes, of which some are in a snapshot, some in a checkpoint and some in the log only.
fn with_history(store: &Store) -> Model {
    (1..=12).for_each(|n| put(store, n).unwrap());
    store.snapshot().unwrap();
    (13..=24).for_each(|n| put(store, n).unwrap());
    delete(store, 3).unwrap();
    store.checkpoint().unwrap();
    (25..=30).for_each(|n| put(store, n).unwrap());
    delete(store, 4).unwrap();
    rows(store).unwrap()
}

fn delete(store: &Store, n: u8) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.delete(T, &[n, n]);
        Ok(())
    })
}

/// Options of a store whose engines keep their rows in files of `fs`.
fn options_with_files(fs: &MemoryFs, through: Arc<dyn Fs>) -> StoreOptions {
    StoreOptions { engine: FileEngine::source(through.clone()), ..options_on(fs, through) }
}

fn with_files(fs: &MemoryFs) -> StoreOptions {
    options_with_files(fs, Arc::new(fs.clone()))
}

/// The folders of engines that hold rows.
fn engine_folders(fs: &MemoryFs) -> Vec<&'static str> {
    let holds_rows = |slot: &&str| fs.exists(&Path::new(ROOT).join(slot).join("rows")).unwrap();
    ["", "a", "b"].into_iter().filter(holds_rows).collect()
}

fn verify(store: &Store) {
    assert_eq!(store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new());
}

#[test]
fn compacted_engine_has_every_row_of_the_old() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    with_history(&store);
    for (n, folder) in [(40, "a"), (41, "b"), (42, "a")] {
        let before = all_rows(&store);
        store.compact_engine(&|| true).unwrap();
        assert_eq!(all_rows(&store), before);
        assert_eq!(engine_folders(&fs), [folder]);
        put(&store, n).unwrap();
        verify(&store);
    }
    // After a kill and after a clean stop the new engine is opened.
    let before = all_rows(&store);
    let crashed = fs.crash();
    drop(store);
    for fs in [crashed, fs] {
        let store = Store::open(with_files(&fs)).unwrap();
        assert_eq!((all_rows(&store), engine_folders(&fs)), (before.clone(), vec!["a"]));
        verify(&store);
    }
}

#[test]
fn store_without_a_snapshot_is_compacted() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    store.compact_engine(&|| true).unwrap();
    (1..=5).for_each(|n| put(&store, n).unwrap());
    let before = rows(&store).unwrap();
    store.compact_engine(&|| true).unwrap();
    assert_eq!(rows(&store).unwrap(), before);
    let crashed = fs.crash();
    assert_eq!(rows(&Store::open(with_files(&crashed)).unwrap()).unwrap(), before);
}

#[test]
fn changes_between_two_steps_are_in_the_new_engine() {
    let fs = MemoryFs::new();
    let store = Store::open(StoreOptions { background: true, ..with_files(&fs) }).unwrap();
    many(&store);
    let mut model = with_history(&store);
    let steps = Cell::new(100);
    let change = || {
        let n = steps.replace(steps.get() + 1);
        put(&store, n).unwrap();
        delete(&store, n - 90).unwrap();
        store.checkpoint().unwrap();
        assert_eq!(rows(&store).unwrap()[&vec![n, n]], b"mark");
        true
    };
    store.compact_engine(&change).unwrap();
    assert!(steps.get() > 101, "{}", steps.get());
    for n in 100..steps.get() {
        model.insert(vec![n % 5], vec![n; 300]);
        model.insert(vec![n, n], b"mark".to_vec());
        model.remove(&vec![n - 90, n - 90]);
    }
    assert_eq!(rows(&store).unwrap(), model);
    verify(&store);
    let crashed = fs.crash();
    assert_eq!(rows(&Store::open(with_files(&crashed)).unwrap()).unwrap(), model);
}

#[test]
fn writers_and_readers_go_on_during_compactions() {
    let (fs, ended) = (MemoryFs::new(), AtomicBool::new(false));
    let store = Store::open(StoreOptions { background: true, ..with_files(&fs) }).unwrap();
    with_history(&store);
    std::thread::scope(|scope| {
        let write = |writer: u8| {
            let mut count = 0_u32;
            while !ended.load(Ordering::Relaxed) {
                count += 1;
                let n = count;
                let change = move |tx: &mut Tx<'_>| {
                    let last = tx.get(U, &[writer])?.map_or(0, |row| {
                        u32::from_be_bytes(row.value.as_slice().try_into().unwrap())
                    });
                    assert_eq!(last + 1, n, "a change is lost");
                    tx.put(U, &[writer], &n.to_be_bytes())
                };
                store.commit_blocking::<_, StoreError, _>(change).unwrap();
                let row = store.get(U, &[writer]).unwrap().unwrap();
                assert_eq!(row.value, n.to_be_bytes());
            }
        };
        let writers: Vec<_> = (0..3).map(|writer| scope.spawn(move || write(writer))).collect();
        for _ in 0..6 {
            store.compact_engine(&|| true).unwrap();
        }
        ended.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
    });
    verify(&store);
}

#[test]
fn compaction_that_is_ended_keeps_the_old_engine() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    many(&store);
    let before = with_history(&store);
    assert!(store.compact_engine(&|| false).is_err());
    assert_eq!((rows(&store).unwrap(), engine_folders(&fs)), (before.clone(), vec![""]));
    put(&store, 40).unwrap();
    store.compact_engine(&|| true).unwrap();
    assert_eq!(rows(&store).unwrap().len(), before.len() + 1);
}

#[test]
fn store_stops_during_a_compaction() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    many(&store);
    let before = with_history(&store);
    std::thread::scope(|scope| {
        let closed = AtomicBool::new(false);
        let pause = || {
            if !closed.swap(true, Ordering::Relaxed) {
                scope.spawn(|| store.close());
                // The committer ends before it waits for the compaction.
                while store.commit_blocking(|_| Ok::<_, StoreError>(())).is_ok() {}
            }
            true
        };
        // It may also end before the flag is raised.
        let _ = store.compact_engine(&pause);
    });
    drop(store);
    assert_eq!(rows(&Store::open(with_files(&fs)).unwrap()).unwrap(), before);
}

#[test]
fn engine_that_fails_during_its_compaction_is_recovered() {
    use crate::engine::Harm;
    for harm in [Harm::LoseUnflushed, Harm::Refuse] {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
        let store = Store::open(with()).unwrap();
        many(&store);
        let mut model = with_history(&store);
        let failed = Cell::new(false);
        let pause = || {
            if !failed.replace(true) {
                engines.current().power_cut(harm);
                let _ = store.get(T, b"");
            }
            true
        };
        let compacted = store.compact_engine(&pause);
        // An engine that opens again may be recovered before the compaction looks.
        assert!(compacted.is_err() || harm == Harm::LoseUnflushed);
        while put(&store, 40).is_err() {
            std::thread::yield_now();
        }
        model.insert(vec![0], vec![40; 300]);
        model.insert(vec![40, 40], b"mark".to_vec());
        assert_eq!(rows(&store).unwrap(), model, "{harm:?}");
        drop(store);
        assert_eq!(rows(&Store::open(with()).unwrap()).unwrap(), model, "{harm:?}");
    }
}

#[test]
fn rebuilt_engine_replaces_a_compacted_one() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    with_history(&store);
    store.compact_engine(&|| true).unwrap();
    let before = all_rows(&store);
    drop(store);
    fs.remove_folder(&Path::new(ROOT).join("a")).unwrap();
    for folder in ["", "a"] {
        let store = Store::open(with_files(&fs)).unwrap();
        assert_eq!((all_rows(&store), engine_folders(&fs)), (before.clone(), vec![""]));
        store.compact_engine(&|| true).unwrap();
        drop(store);
        fs.remove_folder(&Path::new(ROOT).join(folder)).unwrap();
    }
}

#[test]
fn files_of_an_interrupted_compaction_are_removed() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    let before = with_history(&store);
    drop(store);
    let left = Path::new(ROOT).join("a");
    fs.create_folder(&left).unwrap();
    fs.create(&left.join("rows")).unwrap();
    let store = Store::open(with_files(&fs)).unwrap();
    assert_eq!((rows(&store).unwrap(), engine_folders(&fs)), (before, vec![""]));
}

#[test]
fn compaction_needs_free_space() {
    let fs = MemoryFs::new();
    let margins = Margins { watermark: 1000, ..Margins::NONE };
    let space = FreeSpace::new(Arc::new(fs.clone()), Path::new("/data"), margins);
    let store = Store::open(StoreOptions { space: Some(space), ..with_files(&fs) }).unwrap();
    with_history(&store);
    fs.set_free(2000);
    assert_eq!(store.compact_engine(&|| true), Err(StoreError::Full));
    assert_eq!(engine_folders(&fs), [""]);
}

/// A compaction with a fault at one call. True if the fault was reached.
fn compact_with_fault(call: u64, fault: Fault) -> bool {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    let before = with_history(&store);
    let calls = fs.calls();
    fs.fail_at(call, fault);
    let compacted = store.compact_engine(&|| true);
    let reached = fs.calls() - calls >= call;
    fs.heal();
    let context = format!("{fault:?} at call {call}: {compacted:?}");
    assert_eq!(rows(&store).unwrap(), before, "{context}");
    let crashed = fs.crash();
    assert_eq!(rows(&Store::open(with_files(&crashed)).unwrap()).unwrap(), before, "{context}");
    while put(&store, 50).is_err() {
        std::thread::yield_now();
    }
    store.compact_engine(&|| true).unwrap();
    let before = rows(&store).unwrap();
    verify(&store);
    let crashed = fs.crash();
    assert_eq!(rows(&Store::open(with_files(&crashed)).unwrap()).unwrap(), before, "{context}");
    reached
}

#[test]
fn fault_at_any_call_of_a_compaction_loses_nothing() {
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        assert!(
            (1..300).any(|call| !compact_with_fault(call, fault)),
            "{fault:?}: the compaction never passed"
        );
    }
}

#[test]
fn committer_does_not_wait_for_a_compaction() {
    let store = Store::open(options(&MemoryFs::new())).unwrap();
    let checkpointer = store.0.checkpointer.clone();
    let held = || checkpointer.last_checkpoint().mark.position;
    // A compaction that exchanges the engine holds this lock and waits for the committer.
    let compacting = checkpointer.lock_checkpointing();
    let before = held();
    many(&store);
    assert_eq!(held(), before);
    drop(compacting);
    many(&store);
    assert!(held() > before, "the next segment's checkpoint was made");
}

#[test]
fn kill_before_any_call_of_a_compaction_loses_nothing() {
    let (fs, killed) = (MemoryFs::new(), Arc::new(Mutex::new(Vec::new())));
    let (at, states, compacting) = (fs.clone(), killed.clone(), Arc::new(AtomicBool::new(false)));
    let recording = compacting.clone();
    let through = HookedFs::new(fs.clone(), move |_, _| {
        if recording.load(Ordering::Relaxed) {
            states.lock().unwrap().push(at.crash());
        }
        Action::Proceed
    });
    let store = Store::open(options_with_files(&fs, Arc::new(through))).unwrap();
    let before = with_history(&store);
    compacting.store(true, Ordering::Relaxed);
    store.compact_engine(&|| true).unwrap();
    compacting.store(false, Ordering::Relaxed);
    let killed = std::mem::take(&mut *killed.lock().unwrap());
    assert!(killed.len() > 10, "{}", killed.len());
    for (call, fs) in killed.iter().enumerate() {
        let store = Store::open(with_files(fs)).unwrap();
        assert_eq!(rows(&store).unwrap(), before, "killed before call {call}");
        assert_eq!(engine_folders(fs).len(), 1, "killed before call {call}");
        put(&store, 40).unwrap();
        verify(&store);
    }
}
