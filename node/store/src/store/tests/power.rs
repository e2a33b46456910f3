//! The power is cut before every call of a run, in every mode; and the same tests must fail if a
//! part of the work is left out.
//! `FREEHOLD_POWER_STEPS` makes the run longer than the suite has time for (`.ci/long` does).

use super::*;
use crate::engine::Harm;
use crate::fs::PowerCut;

/// How many steps the usual run has; the first snapshot is after the fourteenth.
const STEPS: u32 = 25;
const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];

/// What there is to see after each acknowledged step, and how many calls had been made then.
struct Run {
    /// The first is the empty store.
    steps: Vec<(usize, Seen)>,
    calls: usize,
}

/// Step `n` of a run that writes, overwrites, deletes, attaches and fails.
fn step(store: &Store, blobs: &Option<Blobs>, n: u32) -> Result<(), StoreError> {
    let blobs = blobs.as_ref().filter(|_| n.is_multiple_of(3));
    let small =
        blobs.map(|blobs| blobs.put(&n.to_be_bytes().repeat(100), AtRest::Sealed)).transpose()?;
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

/// Runs on `options`; the faults are in its file system. `calls` tells how far that is.
fn run(options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    run_for(STEPS, options, calls)
}

fn run_for(length: u32, options: StoreOptions, calls: &dyn Fn() -> usize) -> Run {
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    let mut steps = vec![(0, seen(&store))];
    for n in 1..=length {
        step(&store, &blobs, n).unwrap();
        steps.push((calls(), seen(&store)));
        match n {
            9 => store.checkpoint().unwrap(),
            14.. if n % 5 == 4 => store.snapshot().unwrap(),
            _ => {}
        }
    }
    drop(store);
    Run { steps, calls: calls() }
}

/// Checks that a store opened after a cut before call `call` holds all that was acknowledged, and
/// the next step whole or not at all.
fn check(run: &Run, call: usize, options: StoreOptions) -> Result<(), String> {
    let blobs = options.blobs.clone();
    let store = Store::open(options).map_err(|e| format!("does not open: {e}"))?;
    let now = seen(&store);
    let acknowledged = run.steps.iter().rposition(|(calls, _)| *calls <= call).unwrap();
    let allowed = &run.steps[acknowledged..run.steps.len().min(acknowledged + 2)];
    if !allowed.iter().any(|(_, seen)| *seen == now) {
        return Err(format!(
            "of {acknowledged} acknowledged steps something is lost or half there"
        ));
    }
    for row in now.values() {
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
    // And it goes on from there.
    let last = now
        .get(&("t".into(), b"last".to_vec()))
        .map_or(0, |row| u32::from_be_bytes(row.value.clone().try_into().unwrap()));
    step(&store, &blobs, last + 1).map_err(|e| e.to_string())
}

/// Cuts the power before every call and gives the first thing that goes wrong.
fn cut_everywhere(
    run: &Run,
    fs: &MemoryFs,
    options: &dyn Fn(&MemoryFs) -> StoreOptions,
) -> Result<usize, String> {
    let mut states = 0;
    for call in 0..run.calls {
        for how in CUTS {
            let left = fs.power_cut_before(call, how, call as u64).unwrap();
            check(run, call, options(&left))
                .map_err(|e| format!("cut before call {call}, {how:?}: {e}"))?;
            states += 1;
        }
    }
    Ok(states)
}

#[test]
fn nothing_acknowledged_is_lost_by_a_power_cut_at_any_moment() {
    let fs = MemoryFs::new();
    fs.record();
    let length =
        std::env::var("FREEHOLD_POWER_STEPS").map_or(STEPS, |steps| steps.parse().unwrap());
    let done = run_for(length, options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    let states =
        cut_everywhere(&done, &fs, &|left| StoreOptions { boot: [2; 32], ..options(left) })
            .unwrap();
    assert!(states > 500, "{states}");
    println!(
        "power cuts in memory: {} moments, {states} states, 0 lost, 0 partial, 0 that did not open",
        done.calls
    );
}

#[test]
fn nothing_is_lost_by_a_second_cut_while_the_first_is_being_recovered_from() {
    let fs = MemoryFs::new();
    fs.record();
    let done = run(options(&fs), &|| usize::try_from(fs.calls()).unwrap());
    for call in (3..done.calls).step_by(43) {
        let left = fs.power_cut_before(call, PowerCut::Prefix, call as u64).unwrap();
        left.record();
        drop(Store::open(options(&left)).unwrap());
        for second in (0..usize::try_from(left.calls()).unwrap()).step_by(3) {
            let how = CUTS[second % 3];
            let left = left.power_cut_before(second, how, second as u64).unwrap();
            check(&done, call, options(&left)).unwrap_or_else(|e| {
                panic!("cut before {call}, then before {second}, {how:?}: {e}")
            });
        }
    }
}

/// An engine with a life of its own: what it kept through the cut must not matter.
#[test]
fn an_engine_that_loses_reverts_or_refuses_is_rebuilt() {
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
        let before = seen(&store);
        engines.current().power_cut(harm);
        let left = fs.power_cut(PowerCut::Nothing, 1);
        drop(store);
        let store = Store::open(with(&left, 2)).unwrap();
        assert_eq!(seen(&store), before, "{harm:?}");
    }
}

#[test]
fn a_crash_on_the_same_boot_applies_the_log_again() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let with = |fs: &MemoryFs| StoreOptions { engine: engines.source(), ..options(fs) };
    let options = with(&fs);
    let blobs = options.blobs.clone();
    let store = Store::open(options).unwrap();
    (1..=20).for_each(|n| step(&store, &blobs, n).unwrap());
    let before = seen(&store);
    // The process is gone: what it wrote is seen, what its engine had not flushed is torn.
    let left = fs.crash();
    engines.current().power_cut(Harm::Tear(0x1234_5678_9abc_def1));
    drop(store);
    let store = Store::open(with(&left)).unwrap();
    assert_eq!(seen(&store), before);
}

mod breaks {
    //! Breaks seeded on purpose. If these tests could not tell, they would prove nothing.

    use super::*;
    use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

    /// Leaves out these calls, or puts them off, where the path holds this.
    fn on(
        calls: &'static [FsCall],
        part: &'static str,
        then: Action,
    ) -> impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static {
        move |what, path| {
            if calls.contains(&what) && path.to_str().unwrap().contains(part) {
                then
            } else {
                Action::Proceed
            }
        }
    }

    fn leaving_out(calls: &'static [FsCall], part: &'static str) -> Result<usize, String> {
        broken(on(calls, part, Action::Skip))
    }

    fn broken(
        hook: impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static,
    ) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let done = run(options_on(&fs, Arc::new(HookedFs::new(fs.clone(), hook))), &|| {
            usize::try_from(fs.calls()).unwrap()
        });
        cut_everywhere(&done, &fs, &|left| StoreOptions { boot: [2; 32], ..options(left) })
    }

    /// Without blobs no sync of the whole file system makes good what was left out.
    fn leaving_out_without_blobs(part: &'static str) -> Result<usize, String> {
        let fs = MemoryFs::new();
        fs.record();
        let broken = HookedFs::new(fs.clone(), on(&[FsCall::Sync], part, Action::Skip));
        let with = StoreOptions { fs: Arc::new(broken), blobs: None, ..options(&fs) };
        let done = run(with, &|| usize::try_from(fs.calls()).unwrap());
        cut_everywhere(&done, &fs, &|left| StoreOptions {
            boot: [2; 32],
            blobs: None,
            ..options(left)
        })
    }

    #[test]
    fn the_tests_notice_a_log_that_is_not_synced() {
        leaving_out(&[FsCall::Sync], "spare").unwrap_err();
    }

    #[test]
    fn the_tests_notice_rows_applied_and_acknowledged_before_the_sync() {
        broken(on(&[FsCall::Sync], "spare", Action::Defer)).unwrap_err();
    }

    /// After a failed sync the page cache shows a record that the disk lacks. A start that trusts
    /// what it reads, and does not write it again durably, shows rows that the next power cut takes
    /// back.
    #[test]
    fn the_tests_notice_a_tail_that_is_trusted() {
        let taken_back = (1..40).any(|call| {
            let fs = MemoryFs::new();
            let store = Store::open(options(&fs)).unwrap();
            step(&store, &None, 1).unwrap();
            // The disk fails for good, so that nothing voids what it was given last.
            (call..call + 64).for_each(|call| fs.fail_at(call, crate::fs::Fault::Io));
            (2..9).take_while(|n| step(&store, &None, *n).is_ok()).count();
            let left = fs.crash();
            drop(store);
            let trusting = HookedFs::new(left.clone(), on(&[FsCall::Sync], "spare", Action::Skip));
            let shown = seen(&Store::open(options_on(&left, Arc::new(trusting))).unwrap());
            let cut = left.power_cut(PowerCut::Nothing, 0);
            Store::open(options(&cut)).map_or(true, |store| seen(&store) != shown)
        });
        assert!(taken_back);
    }

    #[test]
    fn the_tests_notice_a_log_folder_that_is_not_synced() {
        leaving_out(&[FsCall::SyncFolder], "log").unwrap_err();
    }

    #[test]
    fn even_a_checkpoint_that_is_not_synced_loses_nothing() {
        leaving_out(&[FsCall::Sync], "checkpoint").unwrap();
    }

    #[test]
    fn the_tests_notice_blobs_that_are_not_synced() {
        leaving_out(&[FsCall::Sync, FsCall::SyncVolume], "blobs").unwrap_err();
    }

    #[test]
    fn the_tests_notice_a_snapshot_that_is_not_synced() {
        leaving_out_without_blobs("merge").unwrap_err();
    }
}
