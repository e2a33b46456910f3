//! Power cuts around compactions, with an engine that survives them as far as it was flushed.

use super::super::power::{Run, check, cut_before_every_call, step};
use super::*;
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
fn missing_sync_of_a_compacted_engine_is_detected() {
    skipping(FsCall::Sync, "rows-custom/a").unwrap_err();
    skipping(FsCall::SyncFolder, "rows-custom/a").unwrap_err();
}
