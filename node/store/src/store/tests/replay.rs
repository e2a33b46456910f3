//! Tests of the replay at a start: no blob of a deleted row returns, and the start can be stopped.

use super::faults::{put, rows};
use super::*;
use crate::blobs::SMALL_LEN_MAX;
use crate::engine::Write;
use crate::fs::PowerCut;
use crate::store::checkpoint::{Checkpoint, Condition};

/// So many blobs that the replay flushes some of them early.
const BLOBS: u8 = 80;

fn content(n: u8) -> Vec<u8> {
    vec![n; SMALL_LEN_MAX]
}

/// Makes `count` changes, with a snapshot after half of them.
fn fill(store: &Store, count: u8) {
    for n in 1..=count {
        put(store, n).unwrap();
        if n == count / 2 {
            store.snapshot().unwrap();
        }
    }
}

#[test]
fn replay_with_early_flush_restores_no_deleted_blob() {
    let fs = MemoryFs::new();
    // A single segment, so that no checkpoint flushes a blob before the cut.
    let with = |fs: &MemoryFs| StoreOptions { segment_len: 12 * 1024 * 1024, ..options(fs) };
    let options = with(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let ids: Vec<BlobId> = (0..BLOBS)
        .map(|n| {
            let pinned = blobs.put(&content(n)).unwrap();
            store
                .commit_blocking(move |tx| {
                    tx.put_referring(T, &[n], b"", &[pinned.id]).map(|()| pinned.id)
                })
                .unwrap()
        })
        .collect();
    store
        .commit_blocking(|tx| {
            (1..BLOBS).for_each(|n| tx.delete(T, &[n]));
            Ok::<_, StoreError>(())
        })
        .unwrap();
    // Those that a checkpoint has packed are removed by a change, the others from memory.
    blobs.unlink_now(&store, &ids[1..]).unwrap();
    let remaining = fs.power_cut(PowerCut::Nothing, 0);
    let reopened = with(&remaining);
    let blobs = reopened.blobs.clone().unwrap();
    let _store = Store::open(reopened).unwrap();
    assert_eq!(blobs.open(&ids[0]).unwrap().read_all(SMALL_LEN_MAX).unwrap(), content(0));
    let restored = ids.iter().skip(1).filter(|id| blobs.contains(id).unwrap()).count();
    assert_eq!(restored, 0, "deleted blobs were restored");
}

#[test]
fn reopened_engine_restores_no_deleted_blob() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let options = StoreOptions { engine: engines.source(), ..options(&fs) };
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let pinned = blobs.put(b"deleted").unwrap();
    let id = pinned.id;
    store.commit_blocking(move |tx| tx.put_referring(T, b"a", b"", &[id])).unwrap();
    drop(pinned);
    store
        .commit_blocking(|tx| {
            tx.delete(T, b"a");
            Ok::<_, StoreError>(())
        })
        .unwrap();
    blobs.unlink_now(&store, &[id]).unwrap();
    assert!(!blobs.contains(&id).unwrap());
    engines.current().fail_at(0, EngineError::Unavailable("broken".into()));
    store.get(T, b"a").unwrap_err();
    put(&store, 1).unwrap();
    assert!(!blobs.contains(&id).unwrap());
}

#[test]
fn stopped_start_loses_nothing() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    fill(&store, 60);
    let before = rows(&store).unwrap();
    drop(store);
    for reports in 0..20 {
        // Without its engine the store is rebuilt from snapshot and log.
        fs.remove_folder(Path::new("/data/rows-custom")).unwrap_or(());
        let stop = Stop::default();
        let (raised, remaining) = (stop.clone(), std::sync::atomic::AtomicU64::new(reports));
        let progress = move |_: Stage, _: u64, _: u64| {
            if remaining.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0 {
                raised.raise();
            }
        };
        let opened =
            Store::open(StoreOptions { stop, progress: Some(Arc::new(progress)), ..with() });
        assert!(matches!(opened, Err(OpenError::Stopped)), "after {reports} reports");
    }
    assert_eq!(rows(&Store::open(with()).unwrap()).unwrap(), before);
}

#[test]
fn start_reports_progress_and_total() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    fill(&store, 60);
    let (row_count, end) = (rows(&store).unwrap().len() as u64, store.position());
    drop(store);
    fs.remove(&with().data.join("checkpoint")).unwrap();
    let reports = Arc::new(Mutex::new(Vec::new()));
    let recorder = reports.clone();
    let progress = move |stage: Stage, done: u64, total: u64| {
        recorder.lock().unwrap().push((stage, done, total))
    };
    let store = Store::open(StoreOptions { progress: Some(Arc::new(progress)), ..with() }).unwrap();
    assert_eq!(rows(&store).unwrap().len() as u64, row_count);
    let reports = reports.lock().unwrap();
    let of = |wanted: Stage| {
        reports
            .iter()
            .filter(move |(stage, ..)| *stage == wanted)
            .map(|(_, done, total)| (*done, *total))
    };
    let in_snapshot = of(Stage::Rebuilding).next_back().unwrap();
    assert_eq!(
        in_snapshot,
        (in_snapshot.1, in_snapshot.1),
        "the last report counts all rows of the snapshot"
    );
    assert!(in_snapshot.1 > 0 && in_snapshot.1 <= row_count, "{in_snapshot:?} of {row_count}");
    // The last record is written again instead of replayed, so its change is not counted.
    let applied: Vec<_> = of(Stage::Applying).collect();
    let since = applied[0].1;
    assert!(since < end, "only the changes after the snapshot: {since} of {end}");
    assert_eq!(applied, (1..since).map(|done| (done, since)).collect::<Vec<_>>());
}

#[test]
fn damaged_row_is_rebuilt_at_the_next_start() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    fill(&store, 20);
    let before = rows(&store).unwrap();
    let damaged = engines.current().scan(T.name(), &Scan::prefix(b"", 100)).unwrap().swap_remove(3);
    let (key, mut value) = damaged;
    value[40] ^= 1;
    engines.current().apply(&[Write { table: T.name(), key: &key, value: Some(&value) }]).unwrap();
    assert!(matches!(store.get(T, &key), Err(StoreError::Corrupt { .. })));
    drop(store);

    let store = Store::open(with()).unwrap();
    assert_eq!(rows(&store).unwrap(), before);
    drop(store);
    assert_eq!(
        Checkpoint::read(&fs, Path::new("/data")).unwrap().unwrap().condition,
        Condition::Clean,
        "the next start does not rebuild again"
    );
}

/// The position of the last checkpoint.
fn checkpoint_position(fs: &MemoryFs) -> u64 {
    Checkpoint::read(fs, Path::new("/data")).unwrap().unwrap().mark.position
}

/// Waits for a checkpoint up to `position`, in the background.
fn await_checkpoint(fs: &MemoryFs, position: u64) {
    while checkpoint_position(fs) < position {
        std::thread::yield_now();
    }
}

#[test]
fn start_that_replayed_the_log_makes_a_checkpoint() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    // A single segment, so that no full one asks for a checkpoint.
    let with = |fs: &MemoryFs, background| StoreOptions {
        segment_len: 12 * 1024 * 1024,
        engine: engines.source(),
        background,
        ..options(fs)
    };
    let store = Store::open(with(&fs, false)).unwrap();
    (1..=9).for_each(|n| put(&store, n).unwrap());
    let crashed = fs.crash();
    drop(store);
    let before = checkpoint_position(&crashed);
    assert!(before < 9, "{before}");
    let store = Store::open(with(&crashed, true)).unwrap();
    await_checkpoint(&crashed, 9);
    assert_eq!(rows(&store).unwrap().len(), 14);
}

#[test]
fn many_rows_make_a_checkpoint_within_a_segment() {
    let fs = MemoryFs::new();
    let with = StoreOptions { segment_len: 64 * 1024 * 1024, background: true, ..options(&fs) };
    let store = Store::open(with).unwrap();
    let before = checkpoint_position(&fs);
    // Each change is far below the limits of a change.
    for change in 0..20_u16 {
        store
            .commit_blocking(move |tx| {
                (0..500_u16).try_for_each(|row| {
                    tx.put(T, &[change.to_be_bytes(), row.to_be_bytes()].concat(), b"row")
                })
            })
            .unwrap();
    }
    await_checkpoint(&fs, before + 1);
    assert_eq!(crate::wal::segment::list(&fs, Path::new("/data/log")).unwrap().len(), 1);
}
