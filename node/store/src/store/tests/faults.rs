//! Tests with a fault at the n-th file-system call, for n = 1 until a run passes without one:
//! acknowledged changes are stored, refused ones are not.

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

/// Runs with one fault; true if it was reached. No acknowledged row is lost, neither at once nor
/// after a restart or a power cut.
fn run_with_fault(call: u64, fault: Fault) -> bool {
    let fs = MemoryFs::new();
    fs.fail_at(call, fault);
    let mut model = Model::new();
    // The rows if a failed change was durable: its outcome is unknown until the next acknowledged
    // change.
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
            // Acknowledged rows are visible, and no others.
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
    let reached = fs.calls() >= call;
    let is_allowed = |store: &Store| {
        let stored = rows(store).unwrap();
        stored == model || unknown.as_ref() == Some(&stored)
    };
    let open =
        |options| Store::open(options).unwrap_or_else(|e| panic!("{fault:?} at call {call}: {e}"));
    if (call + fault as u64).is_multiple_of(2) {
        let cut = fs.power_cut(PowerCut::Nothing, call);
        drop(opened);
        let store = open(StoreOptions { boot: [2; 32], ..options(&cut) });
        assert!(is_allowed(&store), "{fault:?} at call {call}, after a power cut");
        return reached;
    }
    // The process is restarted on the same boot: the page cache may still show bytes that the disk
    // lacks.
    let restarted = fs.crash();
    fs.power_cut(PowerCut::Nothing, call);
    drop(opened);
    let store = open(options(&restarted));
    assert!(is_allowed(&store), "{fault:?} at call {call}, after a restart");
    put(&store, 99).unwrap();
    // Rows that were visible after the restart must survive a power cut.
    let visible = rows(&store).unwrap();
    let remaining = restarted.power_cut(PowerCut::Nothing, 0);
    drop(store);
    let store = open(StoreOptions { boot: [3; 32], ..options(&remaining) });
    assert_eq!(
        rows(&store).unwrap(),
        visible,
        "{fault:?} at call {call}, after a restart and a power cut"
    );
    reached
}

#[test]
fn acknowledged_change_survives_a_fault_at_any_call() {
    for fault in [Fault::Io, Fault::Full, Fault::Short] {
        assert!(
            (1..2000).any(|call| !run_with_fault(call, fault)),
            "{fault:?}: the run never passed"
        );
    }
}

/// The start fails from one call on, and the next start on the same boot succeeds: what it
/// acknowledges survives a power cut, although the names of its folders may be of the failed start.
#[test]
fn rows_survive_a_power_cut_after_a_failed_start() {
    for call in 1..2000 {
        let fs = MemoryFs::new();
        (call..call + 100).for_each(|call| fs.fail_at(call, Fault::Io));
        let failed = Store::open(options(&fs)).is_err();
        fs.heal();
        let restarted = fs.crash();
        let store = Store::open(options(&restarted)).unwrap();
        put(&store, 1).unwrap();
        let before = rows(&store).unwrap();
        let remaining = restarted.power_cut(PowerCut::Nothing, 0);
        drop(store);
        let store = Store::open(StoreOptions { boot: [2; 32], ..options(&remaining) }).unwrap();
        assert_eq!(rows(&store).unwrap(), before, "failed from call {call} on");
        if !failed {
            return;
        }
    }
    panic!("the start never succeeded");
}

#[test]
fn failed_disk_stops_the_log_until_it_works_again() {
    // Every call fails from the write on, from the sync on, from the new segment on.
    for from in 1..=8 {
        let fs = MemoryFs::new();
        let store = Store::open(options(&fs)).unwrap();
        put(&store, 1).unwrap();
        (from..=4000).for_each(|call| fs.fail_at(call, Fault::Io));
        while put(&store, 2).is_ok() {}
        // The pauses between the attempts grow, so most changes are refused without one.
        for _ in 0..1000 {
            assert!(put(&store, 2).unwrap_err().is_refusal());
        }
        assert!(fs.calls() < 1000, "{}", fs.calls());
        assert!(matches!(store.health(), Health::Stopped(_)));
        assert!(rows(&store).unwrap().contains_key(&vec![1]), "rows are read meanwhile");
        fs.heal();
        // The log resumes by itself, without a change.
        while store.health() != Health::Sound {
            std::thread::yield_now();
        }
        let after = put(&store, 3);
        assert_eq!(after, Ok(()));
        drop(store);
        let store = Store::open(options(&fs)).unwrap();
        let stored = rows(&store).unwrap();
        assert!(stored.contains_key(&vec![1]));
        assert_eq!(stored.contains_key(&vec![3]), after.is_ok());
        put(&store, 4).unwrap();
    }
}

#[test]
fn engine_that_fails_a_read_is_reopened() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let store = Store::open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
    put(&store, 1).unwrap();
    engines.current().fail_at(0, EngineError::Unavailable("broken".into()));
    assert!(store.get(T, &[1]).is_err());
    assert!(store.get(T, &[1]).is_err(), "the error is sticky");
    put(&store, 2).unwrap();
    assert_eq!(rows(&store).unwrap().len(), 4);
}

#[test]
fn damaged_checkpoint_file_loses_no_row() {
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
fn failed_engine_is_reopened_and_replayed() {
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
                let result = store.commit_blocking(move |tx| tx.put(T, &[n], b"x"));
                if result.is_ok() {
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
            let stored = rows(&store).unwrap();
            let lost: Vec<_> =
                model.iter().filter(|(key, value)| stored.get(*key) != Some(value)).collect();
            assert!(lost.is_empty(), "{error:?} at {call}: {lost:?}");
        }
    }
}

#[test]
fn damaged_log_is_refused_but_torn_end_is_read() {
    let fs = MemoryFs::new();
    fs.record();
    let store = Store::open(options(&fs)).unwrap();
    (1..=6).for_each(|n| put(&store, n).unwrap());
    let names = crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap();
    let path = Path::new("/data/log")
        .join(format!("{:016x}-{:08x}.seg", names[0].first, names[0].generation));
    let crashed = fs.crash();
    drop(store);
    let len = fs::read(&crashed, &path, 1 << 20).unwrap().len() as u64;
    // The records begin at offset 4096; find the end of the last one.
    let used =
        fs::read(&crashed, &path, 1 << 20).unwrap().iter().rposition(|b| *b != 0).unwrap() as u64;
    let mut refused = 0;
    for at in (0..len).step_by(61) {
        let damaged = crashed.crash();
        damaged.damage(&path, at, 0x40).unwrap();
        match Store::open(options(&damaged)) {
            Err(OpenError::Log(_)) => refused += 1,
            Err(other) => panic!("byte {at}: {other}"),
            // A changed byte may go undetected only in the padding of the header, and in or after
            // the last record.
            Ok(store) => {
                let count = rows(&store).unwrap().len();
                assert!(count == 11 || (count >= 9 && at > used - 2000), "byte {at}: {count} rows");
            }
        }
    }
    assert!(refused > 30, "{refused}");
}

#[test]
fn missing_log_segment_is_refused() {
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
fn rebuilt_store_has_every_row_of_the_old() {
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
    // The engine is removed, so the store is rebuilt.
    fs.remove_folder(Path::new("/data/rows-custom")).unwrap();
    drop(store);
    let store = Store::open(with(2)).unwrap();
    store.close();
    assert_eq!(engines.current().walk(None, usize::MAX).unwrap(), old);
}

#[test]
fn verify_reports_rows_that_differ_from_the_log() {
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
    let record = |compared| {
        progress.borrow_mut().push(compared);
        Ok(())
    };
    store.verify(&record).unwrap();
    let progress = progress.into_inner();
    assert!(
        progress.is_sorted() && progress.len() < 10,
        "progress goes up, and is not reported for each row: {progress:?}"
    );
    assert_eq!(progress.last(), Some(&(rows(&store).unwrap().len() as u64)));
    // A lost row, a restored row and a row with another row's bytes are reported.
    let engine = engines.current();
    let cells = engine.walk(None, usize::MAX).unwrap();
    let problems_after = |key: &[u8], value: Option<&[u8]>| {
        engine.apply(&[crate::engine::Write { table: "t", key, value }]).unwrap();
        store.verify(&|_| Ok(())).unwrap().len()
    };
    assert_eq!(problems_after(&cells[3].key, None), 1);
    assert_eq!(problems_after(&[6, 6], Some(&cells[4].value)), 2);
    assert_eq!(problems_after(&cells[5].key, Some(&cells[4].value)), 3);
    // A damaged snapshot is reported.
    let names = fs.list(Path::new("/data/snapshots")).unwrap();
    fs.damage(&Path::new("/data/snapshots").join(&names[0].name), 200, 1).unwrap();
    assert_eq!(store.verify(&|_| Ok(())).unwrap().len(), 4);
}
