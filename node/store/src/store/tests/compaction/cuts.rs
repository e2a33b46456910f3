//! Power cuts around compactions, with an engine that survives them as far as it was flushed.

use super::super::power::{Run, check, cut_before_every_call, step};
use super::*;
use crate::fs::PowerCut;
use crate::testing::hooked_fs::FsCall;

/// Steps with compactions between them, on `through`, cut before every call.
fn cuts(fs: &MemoryFs, through: Arc<dyn Fs>) -> Result<usize, String> {
    fs.record();
    let calls = || usize::try_from(fs.calls()).unwrap();
    let options = options_with_files(fs, through);
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    let mut steps = vec![(0, all_rows(&store))];
    for n in 1..=16 {
        step(&store, &blobs, n).unwrap();
        steps.push((calls(), all_rows(&store)));
        match n {
            4 => store.checkpoint().unwrap(),
            6 => store.snapshot().unwrap(),
            8 | 12 => store.compact_engine(&|| true).unwrap(),
            _ => {}
        }
    }
    drop(store);
    let run = Run { steps, calls: calls() };
    cut_before_every_call(&run, fs, &|remaining| StoreOptions {
        boot: [2; 32],
        ..with_files(remaining)
    })
    .and_then(|states| {
        // The last state, after the clean stop.
        check(&run, run.calls, with_files(&fs.crash())).map(|()| states)
    })
}

fn skipping(call: FsCall, part: &'static str) -> Result<usize, String> {
    let fs = MemoryFs::new();
    let broken = HookedFs::new(fs.clone(), move |made, path| {
        match made == call && path.to_str().unwrap().contains(part) {
            true => Action::Skip,
            false => Action::Proceed,
        }
    });
    cuts(&fs, Arc::new(broken))
}

#[test]
fn power_cut_around_a_compaction_loses_nothing() {
    let fs = MemoryFs::new();
    let states = cuts(&fs, Arc::new(fs.clone())).unwrap();
    assert!(states > 300, "{states}");
}

#[test]
fn compacted_engine_is_opened_after_a_power_cut() {
    let fs = MemoryFs::new();
    let store = Store::open(with_files(&fs)).unwrap();
    let before = with_history(&store);
    store.compact_engine(&|| true).unwrap();
    let remaining = fs.power_cut(PowerCut::Nothing, 0);
    drop(store);
    let rebuilt = Arc::new(AtomicBool::new(false));
    let seen = rebuilt.clone();
    let progress = move |stage, _, _| {
        seen.fetch_or(stage == Stage::Rebuilding, Ordering::Relaxed);
    };
    let progress: Option<Arc<Progress>> = Some(Arc::new(progress));
    let store =
        Store::open(StoreOptions { boot: [2; 32], progress, ..with_files(&remaining) }).unwrap();
    assert_eq!((rows(&store).unwrap(), engine_folders(&remaining)), (before, vec!["a"]));
    assert!(!rebuilt.load(Ordering::Relaxed), "its folder was lost");
}

/// A kill, a start that rebuilds the engine, and a power cut before every call of that start, with
/// many outcomes. True if a row was lost. `skip` leaves out the sync of the new engine's name.
fn rebuild_loses_a_row(skip: bool) -> bool {
    let first = MemoryFs::new();
    let store = Store::open(with_files(&first)).unwrap();
    (1..=6).for_each(|n| put(&store, n).unwrap());
    // The old engine is durable up to here.
    store.checkpoint().unwrap();
    (7..=12).for_each(|n| put(&store, n).unwrap());
    let before = rows(&store).unwrap();
    let fs = first.crash();
    drop(store);
    fs.remove(Path::new("/data/checkpoint")).unwrap();
    fs.sync_folder(Path::new("/data")).unwrap();
    let is_renamed = AtomicBool::new(false);
    let hook = move |call, path: &Path| match call {
        FsCall::Rename if path == Path::new("/data/rows-custom.new") => {
            is_renamed.store(true, Ordering::Relaxed);
            Action::Proceed
        }
        FsCall::SyncFolder if skip && is_renamed.swap(false, Ordering::Relaxed) => Action::Skip,
        _ => Action::Proceed,
    };
    fs.record();
    let through = Arc::new(HookedFs::new(fs.clone(), hook));
    let store = Store::open(options_with_files(&fs, through)).unwrap();
    assert_eq!(rows(&store).unwrap(), before);
    let calls = usize::try_from(fs.calls()).unwrap();
    drop(store);
    // Backwards: the new checkpoint comes last.
    (0..calls).rev().any(|call| {
        (0..if skip { 40 } else { 6 }).any(|seed| {
            let Some(left) = fs.power_cut_before(call, PowerCut::Subset, seed) else {
                return false;
            };
            let store = Store::open(StoreOptions { boot: [2; 32], ..with_files(&left) }).unwrap();
            rows(&store).unwrap() != before
        })
    })
}

#[test]
fn missing_sync_of_a_rebuilt_engine_is_detected() {
    assert!(!rebuild_loses_a_row(false));
    assert!(rebuild_loses_a_row(true));
}

#[test]
fn missing_sync_of_a_compacted_engine_is_detected() {
    skipping(FsCall::Sync, "rows-custom/a").unwrap_err();
    skipping(FsCall::SyncFolder, "rows-custom/a").unwrap_err();
}
