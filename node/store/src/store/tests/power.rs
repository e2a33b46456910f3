//! Power-cut tests: a cut before every file-system call of a run, in every mode. The same tests
//! must fail if a sync is skipped. `FREEHOLD_POWER_STEPS` makes the run longer (`.ci/power` does).

use super::*;
use crate::engine::Harm;
use crate::fs::PowerCut;

/// The default number of steps of a run; the first snapshot is after step 14.
const STEPS: u32 = 25;
const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];

/// The visible rows after each acknowledged step, with the number of calls made until then.
pub(super) struct Run {
    /// The first step is the empty store.
    pub(super) steps: Vec<(usize, AllRows)>,
    pub(super) calls: usize,
}

/// Step `n` of a run: puts, overwrites, deletes and blobs.
pub(super) fn step(store: &Store, blobs: &Option<Blobs>, n: u32) -> Result<(), StoreError> {
    let blobs = blobs.as_ref().filter(|_| n.is_multiple_of(3));
    let small = blobs.map(|blobs| blobs.put(&n.to_be_bytes().repeat(100))).transpose()?;
    store.commit_blocking(move |tx| {
        let last =
            tx.get(T, b"last")?.map_or(0, |row| u32::from_be_bytes(row.value.try_into().unwrap()));
        assert_eq!(last + 1, n);
        tx.put(T, b"last", &n.to_be_bytes())?;
        for row in 0..n % 4 {
            tx.put(
                U,
                &[u8::try_from(row + n % 7).unwrap()],
                &vec![u8::try_from(n).unwrap(); usize::try_from(n * 53 % 900).unwrap()],
            )?;
        }
        if n.is_multiple_of(5) {
            tx.delete(U, &[u8::try_from(n % 7).unwrap()]);
        }
        if let Some(small) = &small {
            tx.put_referring(T, &[b"blob", &n.to_be_bytes()[..]].concat(), b"", &[small.id])?;
        }
        Ok(())
    })
}

/// Makes a run on `options`. `calls` returns the number of file-system calls so far.
fn run(options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    run_for(STEPS, options, calls)
}

fn run_for(length: u32, options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    let mut steps = vec![(0, all_rows(&store))];
    for n in 1..=length {
        step(&store, &blobs, n).unwrap();
        steps.push((calls(), all_rows(&store)));
        match n {
            9 => store.checkpoint().unwrap(),
            14.. if n % 5 == 4 => store.snapshot().unwrap(),
            _ => {}
        }
    }
    drop(store);
    Run { steps, calls: calls() }
}

/// Checks that a store opened after a cut before call `call` holds every acknowledged step, and the
/// next step completely or not at all.
pub(super) fn check(run: &Run, call: usize, options: StoreOptions) -> Result<(), String> {
    let blobs = options.blobs.clone();
    let store = Store::open(options).map_err(|e| format!("does not open: {e}"))?;
    let rows = all_rows(&store);
    let acknowledged = run.steps.iter().rposition(|(calls, _)| *calls <= call).unwrap();
    let allowed = &run.steps[acknowledged..run.steps.len().min(acknowledged + 2)];
    if !allowed.iter().any(|(_, visible)| *visible == rows) {
        return Err(format!("one of {acknowledged} acknowledged steps is lost or partial"));
    }
    for row in rows.values() {
        for id in &row.blobs {
            let bytes = blobs
                .as_ref()
                .unwrap()
                .open(id)
                .and_then(|blob| blob.read_all(4096))
                .map_err(|e| format!("a blob is lost: {e}"))?;
            if blake3::hash(&bytes).as_bytes() != &id.0 {
                return Err("a blob is damaged".into());
            }
        }
    }
    // The store accepts the next step.
    let last = rows
        .get(&("t".into(), b"last".to_vec()))
        .map_or(0, |row| u32::from_be_bytes(row.value.clone().try_into().unwrap()));
    step(&store, &blobs, last + 1).map_err(|e| e.to_string())
}

/// Cuts the power before every call; returns the number of states, or the first problem.
pub(super) fn cut_before_every_call(
    run: &Run,
    fs: &MemoryFs,
    options: &dyn Fn(&MemoryFs) -> StoreOptions,
) -> Result<usize, String> {
    let mut states = 0;
    for call in 0..run.calls {
        for how in CUTS {
            let remaining = fs.power_cut_before(call, how, call as u64).unwrap();
            check(run, call, options(&remaining))
                .map_err(|e| format!("cut before call {call}, {how:?}: {e}"))?;
            states += 1;
        }
    }
    Ok(states)
}

#[test]
fn acknowledged_change_survives_a_power_cut_before_every_call() {
    let fs = MemoryFs::new();
    fs.record();
    let length =
        std::env::var("FREEHOLD_POWER_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let run = run_for(length, options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    let states = cut_before_every_call(&run, &fs, &|remaining| StoreOptions {
        boot: [2; 32],
        ..options(remaining)
    })
    .unwrap();
    assert!(states > 500, "{states}");
    println!(
        "power cuts in memory: {} moments, {states} states, 0 lost, 0 partial, 0 not opened",
        run.calls
    );
}

#[test]
fn acknowledged_change_survives_a_power_cut_during_recovery() {
    let fs = MemoryFs::new();
    fs.record();
    let first_run = run(options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    for call in (3..first_run.calls).step_by(43) {
        let recovering = fs.power_cut_before(call, PowerCut::Prefix, call as u64).unwrap();
        recovering.record();
        drop(Store::open(options(&recovering)).unwrap());
        for second in (0..usize::try_from(recovering.calls()).unwrap()).step_by(3) {
            let how = CUTS[second % 3];
            let remaining = recovering.power_cut_before(second, how, second as u64).unwrap();
            check(&first_run, call, options(&remaining)).unwrap_or_else(|e| {
                panic!("cut before {call}, then before {second}, {how:?}: {e}")
            });
        }
    }
}

/// The state of the engine after the cut must not matter.
#[test]
fn engine_harmed_by_a_power_cut_is_rebuilt() {
    for harm in
        [Harm::LoseUnflushed, Harm::Tear(0x5a5a_1234_9876_cafe), Harm::Revert(1), Harm::Refuse]
    {
        let (fs, engines) = (MemoryFs::new(), Engines::default());
        let with = |fs: &MemoryFs, boot| StoreOptions {
            engine: engines.source(),
            boot: [boot; 32],
            ..options(fs)
        };
        let options = with(&fs, 1);
        let blobs = options.blobs.clone();
        let store = Store::open(options).unwrap();
        for n in 1..=20 {
            step(&store, &blobs, n).unwrap();
            if n == 11 {
                store.snapshot().unwrap();
            }
        }
        let before = all_rows(&store);
        engines.current().power_cut(harm);
        let remaining = fs.power_cut(PowerCut::Nothing, 1);
        drop(store);
        let store = Store::open(with(&remaining, 2)).unwrap();
        assert_eq!(all_rows(&store), before, "{harm:?}");
    }
}

#[test]
fn crash_on_the_same_boot_replays_the_log() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: engines.source(), ..options(fs) };
    let options = with(&fs);
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    (1..=20).for_each(|n| step(&store, &blobs, n).unwrap());
    let before = all_rows(&store);
    // The process was killed: its writes are visible, unflushed rows of the engine are torn.
    let remaining = fs.crash();
    engines.current().power_cut(Harm::Tear(0x1234_5678_9abc_def1));
    drop(store);
    let store = Store::open(with(&remaining)).unwrap();
    assert_eq!(all_rows(&store), before);
}

mod breaks {
    //! Seeded breaks: each skipped sync must make the tests above fail, or they prove nothing.

    use super::*;
    use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

    /// Skips or defers these calls if the path contains `part`.
    fn on(
        calls: &'static [FsCall],
        part: &'static str,
        action: Action,
    ) -> impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static {
        move |call, path| {
            if calls.contains(&call) && path.to_str().unwrap().contains(part) {
                action
            } else {
                Action::Proceed
            }
        }
    }

    fn skipping(calls: &'static [FsCall], part: &'static str) -> Result<usize, String> {
        broken(on(calls, part, Action::Skip))
    }

    fn broken(
        hook: impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static,
    ) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let broken_run = run(options_on(&fs, Arc::new(HookedFs::new(fs.clone(), hook))), &|| {
            usize::try_from(fs.calls()).unwrap()
        });
        cut_before_every_call(&broken_run, &fs, &|remaining| StoreOptions {
            boot: [2; 32],
            ..options(remaining)
        })
    }

    /// Without blobs, because their sync of the whole file system would replace the skipped sync.
    fn skipping_without_blobs(part: &'static str) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let broken = HookedFs::new(fs.clone(), on(&[FsCall::Sync], part, Action::Skip));
        let with = StoreOptions { fs: Arc::new(broken), blobs: None, ..options(&fs) };
        let broken_run = run(with, &|| usize::try_from(fs.calls()).unwrap());
        cut_before_every_call(&broken_run, &fs, &|remaining| StoreOptions {
            boot: [2; 32],
            blobs: None,
            ..options(remaining)
        })
    }

    #[test]
    fn missing_log_sync_is_detected() {
        skipping(&[FsCall::Sync], "spare").unwrap_err();
    }

    #[test]
    fn acknowledgement_before_the_log_sync_is_detected() {
        broken(on(&[FsCall::Sync], "spare", Action::Defer)).unwrap_err();
    }

    /// After a failed sync the page cache shows a record that the disk lacks. A start that trusts
    /// the record and does not write it again shows rows that the next power cut loses.
    #[test]
    fn trusted_log_tail_is_detected() {
        let lost = (1..40).any(|call| {
            let fs = MemoryFs::new();
            let store = Store::open(options(&fs)).unwrap();
            step(&store, &None, 1).unwrap();
            // The disk fails permanently, so that no new segment voids the last record.
            (call..call + 64).for_each(|call| fs.fail_at(call, crate::fs::Fault::Io));
            (2..9).take_while(|n| step(&store, &None, *n).is_ok()).count();
            let crashed = fs.crash();
            drop(store);
            let trusting =
                HookedFs::new(crashed.clone(), on(&[FsCall::Sync], "spare", Action::Skip));
            let visible = all_rows(&Store::open(options_on(&crashed, Arc::new(trusting))).unwrap());
            let cut = crashed.power_cut(PowerCut::Nothing, 0);
            Store::open(options(&cut)).map_or(true, |store| all_rows(&store) != visible)
        });
        assert!(lost);
    }

    #[test]
    fn missing_log_folder_sync_is_detected() {
        skipping(&[FsCall::SyncFolder], "log").unwrap_err();
    }

    #[test]
    fn missing_sync_of_a_folder_name_is_detected() {
        // The names of the data folder, and of the folders in it.
        for parent in ["/", "/data"] {
            let hook = move |call, path: &Path| match call == FsCall::SyncFolder
                && path == Path::new(parent)
            {
                true => Action::Skip,
                false => Action::Proceed,
            };
            broken(hook).unwrap_err();
        }
    }

    #[test]
    fn missing_snapshot_folder_sync_is_detected() {
        skipping(&[FsCall::SyncFolder], "snapshots").unwrap_err();
    }

    #[test]
    fn missing_checkpoint_sync_loses_nothing() {
        skipping(&[FsCall::Sync], "checkpoint").unwrap();
    }

    #[test]
    fn missing_pack_sync_is_detected() {
        skipping(&[FsCall::Sync], "packs").unwrap_err();
    }

    #[test]
    fn place_before_the_pack_sync_is_detected() {
        broken(on(&[FsCall::Sync], "packs", Action::Defer)).unwrap_err();
    }

    #[test]
    fn missing_pack_folder_sync_is_detected() {
        skipping(&[FsCall::SyncFolder], "packs").unwrap_err();
    }

    #[test]
    fn missing_snapshot_sync_is_detected() {
        skipping_without_blobs("merge").unwrap_err();
    }
}
