//! What a start makes of the log: no blob of a row that is gone comes back, and it can be stopped.

use super::faults::{put, rows};
use super::*;
use crate::blobs::{Pinned, SMALL_LEN_MAX};
use crate::engine::Write;
use crate::fs::PowerCut;
use crate::store::checkpoint::{Checkpoint, Condition};

/// Together so long that the replay can't hold them all.
const BLOBS: u8 = 80;

fn content(n: u8) -> Vec<u8> {
    vec![n; SMALL_LEN_MAX]
}

/// Makes so many changes, and a snapshot after half of them.
fn fill(store: &Store, count: u8) {
    for n in 1..=count {
        put(store, n).unwrap();
        if n == count / 2 {
            store.snapshot().unwrap();
        }
    }
}

#[test]
fn a_replay_too_long_for_memory_brings_no_deleted_blob_back() {
    let fs = MemoryFs::new();
    // All in one segment: nothing is filed before the power goes.
    let with = |fs: &MemoryFs| StoreOptions { segment_len: 12 * 1024 * 1024, ..options(fs) };
    let options = with(&fs);
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let ids: Vec<BlobId> = (0..BLOBS)
        .map(|n| {
            let pinned = blobs.put(&content(n), AtRest::Sealed).unwrap();
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
    let left = fs.power_cut(PowerCut::Nothing, 0);
    let again = with(&left);
    let blobs = again.blobs.clone().unwrap();
    let _store = Store::open(again).unwrap();
    assert_eq!(blobs.open(&ids[0]).unwrap().read_all(SMALL_LEN_MAX).unwrap(), content(0));
    let back = ids.iter().skip(1).filter(|id| blobs.contains(id).unwrap()).count();
    assert_eq!(back, 0, "deleted blobs came back");
}

#[test]
fn a_replay_too_long_for_memory_ends_in_the_form_that_was_asked_for_last() {
    for (last, is_doubtful) in
        [(AtRest::Sealed, false), (AtRest::Sealed, true), (AtRest::Plain, false)]
    {
        let fs = MemoryFs::new();
        let with = |fs: &MemoryFs| StoreOptions { segment_len: 12 * 1024 * 1024, ..options(fs) };
        let options = with(&fs);
        let blobs = options.blobs.clone().unwrap();
        let store = Store::open(options).unwrap();
        let kept = |n: u8, pinned: Pinned| {
            let referring = move |tx: &mut Tx<'_>| {
                tx.attach(&pinned);
                tx.put_referring(T, &[n], b"", &[pinned.id])
            };
            store.commit_blocking(referring).unwrap();
        };
        let fill = |numbers: std::ops::Range<u8>| {
            numbers.for_each(|n| kept(n, blobs.put(&content(n), AtRest::Sealed).unwrap()))
        };
        // Behind the first segment, with which everything before it is filed.
        fill(0..10);
        let pinned = blobs.put(b"a view", last.other()).unwrap();
        let id = pinned.id;
        kept(BLOBS, pinned);
        fill(10..BLOBS);
        kept(BLOBS, blobs.store_as(&id, last).unwrap());
        assert!(blobs.collection().keep_only(&id, last).unwrap());
        if !is_doubtful {
            put(&store, 1).unwrap();
        }
        let again = with(&fs.power_cut(PowerCut::Nothing, 0));
        let blobs = again.blobs.clone().unwrap();
        let store = Store::open(again).unwrap();
        let lies = |form| blobs.is_stored_as(&id, form).unwrap();
        assert_eq!((lies(last), lies(last.other())), (true, false), "{last:?}");
        drop(store);
        assert_eq!((lies(last), lies(last.other())), (true, false), "{last:?}");
        assert_eq!(blobs.open(&id).unwrap().read_all(10).unwrap(), b"a view");
    }
}

#[test]
fn an_engine_brought_up_to_the_log_brings_no_deleted_blob_back() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let options = StoreOptions { engine: engines.source(), ..options(&fs) };
    let blobs = options.blobs.clone().unwrap();
    let store = Store::open(options).unwrap();
    let pinned = blobs.put(b"taken back", AtRest::Sealed).unwrap();
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
    engines.current().fail_at(0, EngineError::Unavailable("bent".into()));
    store.get(T, b"a").unwrap_err();
    put(&store, 1).unwrap();
    assert!(!blobs.contains(&id).unwrap());
}

#[test]
fn a_start_that_is_stopped_leaves_everything_to_the_next() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    fill(&store, 60);
    let before = rows(&store).unwrap();
    drop(store);
    for reports in 0..20 {
        // Another boot without a clean stop: rebuilt from snapshot and log.
        fs.remove_folder(Path::new("/data/rows-custom")).unwrap_or(());
        let stop = Stop::default();
        let (raised, left) = (stop.clone(), std::sync::atomic::AtomicU64::new(reports));
        let progress = move |_: Stage, _: u64, _: u64| {
            if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 0 {
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
fn a_start_says_how_far_it_is_and_of_how_much() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = || StoreOptions { engine: engines.source(), ..options(&fs) };
    let store = Store::open(with()).unwrap();
    fill(&store, 60);
    let (kept, end) = (rows(&store).unwrap().len() as u64, store.position());
    drop(store);
    fs.remove(&with().data.join("checkpoint")).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let progress =
        move |stage: Stage, done: u64, total: u64| tell.lock().unwrap().push((stage, done, total));
    let store = Store::open(StoreOptions { progress: Some(Arc::new(progress)), ..with() }).unwrap();
    assert_eq!(rows(&store).unwrap().len() as u64, kept);
    let told = told.lock().unwrap();
    let of = |wanted: Stage| {
        told.iter()
            .filter(move |(stage, ..)| *stage == wanted)
            .map(|(_, done, total)| (*done, *total))
    };
    let in_snapshot = of(Stage::Rebuilding).next_back().unwrap();
    assert_eq!(
        in_snapshot,
        (in_snapshot.1, in_snapshot.1),
        "all of the snapshot's rows, and as many as there are"
    );
    assert!(in_snapshot.1 > 0 && in_snapshot.1 <= kept, "{in_snapshot:?} of {kept}");
    // The last record is written again rather than applied, so one change is never counted.
    let applied: Vec<_> = of(Stage::Applying).collect();
    let since = applied[0].1;
    assert!(since < end, "only what came after the snapshot: {since} of {end}");
    assert_eq!(applied, (1..since).map(|done| (done, since)).collect::<Vec<_>>());
}

#[test]
fn a_damaged_row_is_made_anew_at_the_next_start_with_all_the_others() {
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
        "once is enough"
    );
}
