//! The disk fails at the n-th call, for n = 1 until a run passes without: what was refused is not
//! there, what was acknowledged is.

use super::*;
use crate::engine::EngineError;
use crate::fs::{Fault, PowerCut};

pub(super) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

pub(super) fn put(store: &Store, n: u8) -> Result<(), StoreError> {
    store.commit_blocking(move |tx| {
        tx.put(T, &[n % 5], &vec![n; 300])?;
        tx.put(T, &[n, n], b"mark")
    })
}

pub(super) fn rows(store: &Store) -> Result<Model, StoreError> {
    Ok(store
        .scan(T, &Scan::prefix(b"", usize::MAX))?
        .into_iter()
        .map(|(key, row)| (key, row.value))
        .collect())
}

/// Runs with one fault; true if it came to bear. Whatever happens, no acknowledged row is lost,
/// then or after a power cut.
fn with_fault(call: u64, fault: Fault) -> bool {
    let fs = MemoryFs::new();
    fs.fail_at(call, fault);
    let mut model = Model::new();
    // What a refused change would have made of it: its outcome is unknown until something is known
    // to follow it.
    let mut unknown: Option<Model> = None;
    let opened = Store::open(options(&fs));
    if let Ok(store) = &opened {
        for n in 1..=16 {
            let mut after = model.clone();
            after.insert(vec![n % 5], vec![n; 300]);
            after.insert(vec![n, n], b"mark".to_vec());
            match put(store, n) {
                Ok(()) => (model, unknown) = (after, None),
                Err(StoreError::Full | StoreError::Unavailable(_)) => {
                    unknown = unknown.or(Some(after))
                }
                Err(other) => panic!("{other}"),
            }
            // A reader sees what is acknowledged and nothing else.
            if unknown.is_some() || n % 5 == 0 {
                assert_eq!(rows(store).unwrap(), model, "{fault:?} at call {call}, after {n}");
            }
            if n % 6 == 0 {
                let _ = store.checkpoint();
            }
            if n == 13 {
                let _ = store.snapshot();
            }
        }
    }
    let came = fs.calls() >= call;
    let one_of = |store: &Store| {
        let found = rows(store).unwrap();
        found == model || unknown.as_ref() == Some(&found)
    };
    let open =
        |options| Store::open(options).unwrap_or_else(|e| panic!("{fault:?} at call {call}: {e}"));
    if (call + fault as u64).is_multiple_of(2) {
        let cut = fs.power_cut(PowerCut::Nothing, call);
        drop(opened);
        let store = open(StoreOptions { boot: [2; 32], ..options(&cut) });
        assert!(one_of(&store), "{fault:?} at call {call}, after a power cut");
        return came;
    }
    // The process ends and starts again on the same boot: the page cache may still show what the
    // disk lacks.
    let again = fs.crash();
    fs.power_cut(PowerCut::Nothing, call);
    drop(opened);
    let store = open(options(&again));
    assert!(one_of(&store), "{fault:?} at call {call}, after a restart");
    put(&store, 99).unwrap();
    // What a restart has shown must survive a power cut after it.
    let found = rows(&store).unwrap();
    let left = again.power_cut(PowerCut::Nothing, 0);
    drop(store);
    let store = open(StoreOptions { boot: [3; 32], ..options(&left) });
    assert_eq!(
        rows(&store).unwrap(),
        found,
        "{fault:?} at call {call}, after a restart and a power cut"
    );
    came
}

#[test]
fn a_disk_that_fails_once_at_any_call_loses_nothing() {
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        assert!((1..2000).any(|call| !with_fault(call, fault)), "{fault:?}: the run never passed");
    }
}

#[test]
fn a_disk_that_keeps_failing_stops_the_store_and_a_new_start_goes_on() {
    // From the write on, from the sync on, from the new segment on.
    for from in 1..=8 {
        let fs = MemoryFs::new();
        let store = Store::open(options(&fs)).unwrap();
        put(&store, 1).unwrap();
        (from..=64).for_each(|call| fs.fail_at(call, Fault::Io));
        while put(&store, 2).is_ok() {}
        fs.heal();
        let stopped = put(&store, 3);
        assert_eq!(rows(&store).unwrap().contains_key(&vec![3]), stopped.is_ok());
        drop(store);
        let store = Store::open(options(&fs)).unwrap();
        let found = rows(&store).unwrap();
        assert!(found.contains_key(&vec![1]));
        assert_eq!(found.contains_key(&vec![3]), stopped.is_ok());
        put(&store, 4).unwrap();
    }
}

#[test]
fn an_engine_that_fails_while_read_is_reopened_by_the_next_change() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let store = Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
    put(&store, 1).unwrap();
    engines.current().fail_at(0, EngineError::Unavailable("bent".into()));
    assert!(store.get(T, &[1]).is_err());
    assert!(store.get(T, &[1]).is_err(), "its errors stick");
    put(&store, 2).unwrap();
    assert_eq!(rows(&store).unwrap().len(), 4);
}

#[test]
fn a_damaged_checkpoint_costs_time_and_nothing_else() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    (1..=30).for_each(|n| put(&store, n).unwrap());
    let before = rows(&store).unwrap();
    drop(store);
    fs.damage(Path::new("/data/checkpoint"), 60, 1).unwrap();
    assert_eq!(rows(&Store::open(with()).unwrap()).unwrap(), before);
}

#[test]
fn an_engine_that_fails_is_reopened_and_given_the_log_again() {
    for error in [EngineError::Full, EngineError::Unavailable("broken".into())] {
        for call in 0..60 {
            let (fs, engines) = (MemoryFs::new(), Engines::default());
            let store =
                Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
            put(&store, 1).unwrap();
            let mut model = rows(&store).unwrap();
            let engine = engines.current();
            engine.fail_at(call, error.clone());
            for n in 2..12 {
                let done = store.commit_blocking(move |tx| tx.put(T, &[n], b"x"));
                if done.is_ok() {
                    model.insert(vec![n], b"x".to_vec());
                }
                if n == 6 {
                    let _ = store.checkpoint();
                }
            }
            drop(store);
            engine.fail_at(u64::from(u32::MAX), EngineError::Full);
            let store =
                Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
            let found = rows(&store).unwrap();
            let lost: Vec<_> =
                model.iter().filter(|(key, value)| found.get(*key) != Some(value)).collect();
            assert!(lost.is_empty(), "{error:?} at {call}: {lost:?}");
        }
    }
}

#[test]
fn damage_in_the_middle_of_the_log_is_said_loudly_and_a_torn_end_is_not() {
    let fs = MemoryFs::new();
    fs.record();
    let store = Store::open(options(&fs)).unwrap();
    (1..=6).for_each(|n| put(&store, n).unwrap());
    let names = crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap();
    let path = Path::new("/data/log")
        .join(format!("{:016x}-{:08x}.seg", names[0].first, names[0].generation));
    let last = fs.crash();
    drop(store);
    let len = fs::read(&last, &path, 1 << 20).unwrap().len() as u64;
    // The records are one behind the other from 4096 on; find where they end.
    let used =
        fs::read(&last, &path, 1 << 20).unwrap().iter().rposition(|b| *b != 0).unwrap() as u64;
    let mut loud = 0;
    for at in (0..len).step_by(61) {
        let damaged = last.crash();
        damaged.damage(&path, at, 0x40).unwrap();
        match Store::open(options(&damaged)) {
            Err(OpenError::Log(_)) => loud += 1,
            Err(other) => panic!("byte {at}: {other}"),
            // Only in the header's padding, in the last record or behind it may a changed byte go
            // by.
            Ok(store) => {
                let found = rows(&store).unwrap().len();
                assert!(found == 11 || (found >= 9 && at > used - 2000), "byte {at}: {found} rows");
            }
        }
    }
    assert!(loud > 30, "{loud}");
}

#[test]
fn a_missing_segment_is_said_loudly() {
    let fs = MemoryFs::new();
    let store = Store::open(options(&fs)).unwrap();
    (1..=60).for_each(|n| put(&store, n).unwrap());
    drop(store);
    let names = crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap();
    assert!(names.len() > 3);
    let name = &names[1];
    fs.remove(
        &Path::new("/data/log").join(format!("{:016x}-{:08x}.seg", name.first, name.generation)),
    )
    .unwrap();
    assert!(matches!(
        Store::open(StoreOptions { boot: [2; 32], ..options(&fs) }),
        Err(OpenError::Log(_))
    ));
}

#[test]
fn a_store_made_anew_from_snapshot_and_log_has_every_row_of_the_old() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |boot| StoreOptions { engine: engines.source(), boot: [boot; 32], ..options(&fs) };
    let store = Store::open(with(1)).unwrap();
    for n in 1..=90 {
        put(&store, n).unwrap();
        if n % 7 == 0 {
            store
                .commit_blocking(move |tx| {
                    tx.delete(T, &[n - 1, n - 1]);
                    Ok::<_, StoreError>(())
                })
                .unwrap();
        }
        if n == 30 || n == 70 {
            store.snapshot().unwrap();
        }
    }
    store.close();
    let old = engines.current().walk(None, usize::MAX).unwrap();
    // The engine is gone; the store does not start from anything it left.
    fs.remove_folder(Path::new("/data/rows-custom")).unwrap();
    drop(store);
    let store = Store::open(with(2)).unwrap();
    store.close();
    assert_eq!(engines.current().walk(None, usize::MAX).unwrap(), old);
}

#[test]
fn rows_are_held_against_snapshot_and_log() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let store = Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
    assert_eq!(store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new());
    for n in 1..=50 {
        put(&store, n).unwrap();
        if n % 7 == 0 {
            store
                .commit_blocking(move |tx| {
                    tx.delete(T, &[n - 1, n - 1]);
                    Ok::<_, StoreError>(())
                })
                .unwrap();
        }
        if n == 20 || n == 40 {
            store.snapshot().unwrap();
        }
        if n % 10 == 0 {
            assert_eq!(store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new(), "after {n}");
        }
    }
    let progress = std::cell::RefCell::new(Vec::new());
    let tell = |compared| {
        progress.borrow_mut().push(compared);
        Ok(())
    };
    store.verify(&tell).unwrap();
    let progress = progress.into_inner();
    assert!(
        progress.is_sorted() && progress.len() < 10,
        "neither thrown back nor told at each row: {progress:?}"
    );
    assert_eq!(progress.last(), Some(&(rows(&store).unwrap().len() as u64)));
    // An engine that lost a row, brought one back, or has another's bytes, is told.
    let engine = engines.current();
    let cells = engine.walk(None, usize::MAX).unwrap();
    let told = |key: &[u8], value: Option<&[u8]>| {
        engine.apply(&[crate::engine::Write { table: "t", key, value }]).unwrap();
        store.verify(&|_| Ok(())).unwrap().len()
    };
    assert_eq!(told(&cells[3].key, None), 1);
    assert_eq!(told(&[6, 6], Some(&cells[4].value)), 2);
    assert_eq!(told(&cells[5].key, Some(&cells[4].value)), 3);
    // And so is a damaged snapshot.
    let names = fs.list(Path::new("/data/snapshots")).unwrap();
    fs.damage(&Path::new("/data/snapshots").join(&names[0].name), 200, 1).unwrap();
    assert_eq!(store.verify(&|_| Ok(())).unwrap().len(), 4);
}
