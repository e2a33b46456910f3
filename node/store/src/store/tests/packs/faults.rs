//! Tests of packs with a fault, or a power cut, at every file-system call.

use super::*;
use crate::fs::{Fault, PowerCut};

const CUTS: [PowerCut; 3] = [PowerCut::Nothing, PowerCut::Prefix, PowerCut::Subset];

/// Runs `work` on a copy of `fs` once per file-system call, with `fault` at that call, and then
/// checks the store, at once and after restarts and power cuts.
fn fail_at_every_call(
    prepare: &dyn Fn() -> MemoryFs,
    fault: Fault,
    work: &dyn Fn(&Opened) -> Result<(), StoreError>,
) {
    for call in 1.. {
        let fs = prepare();
        let opened = open(options(&fs)).unwrap();
        let before = all_rows(&opened.store);
        let calls = fs.calls();
        fs.fail_at(call, fault);
        let result = work(&opened);
        let is_reached = fs.calls() >= calls + call;
        fs.heal();
        if fault != Fault::Power {
            opened.check().unwrap_or_else(|e| panic!("{fault:?} at {call}: {e}"));
            assert!(all_rows(&opened.store).len() <= before.len());
            work(&opened).unwrap_or_else(|e| panic!("{fault:?} at {call}, repeated: {e}"));
            opened.check().unwrap_or_else(|e| panic!("{fault:?} at {call}, repeated: {e}"));
        }
        for (number, how) in CUTS.into_iter().enumerate() {
            let remaining = fs.power_cut(how, call + number as u64);
            let after = open(StoreOptions { boot: [9; 32], ..options(&remaining) })
                .unwrap_or_else(|e| panic!("{fault:?} at {call}, {how:?}: {e}"));
            after.check().unwrap_or_else(|e| panic!("{fault:?} at {call}, {how:?}: {e}"));
            work(&after).unwrap_or_else(|e| panic!("{fault:?} at {call}, {how:?}: {e}"));
            after.check().unwrap_or_else(|e| panic!("{fault:?} at {call}, {how:?}: {e}"));
        }
        if !is_reached {
            result.unwrap();
            return;
        }
    }
}

const FAULTS: [Fault; 4] = [Fault::Io, Fault::Full, Fault::Short, Fault::Power];

fn with_dead_bytes() -> MemoryFs {
    let (fs, opened) = fresh();
    (0..8).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    opened.erase(2).unwrap();
    opened.put(20).unwrap();
    opened.store.checkpoint().unwrap();
    fs
}

#[test]
fn interrupted_rewrite_loses_no_blob() {
    for fault in FAULTS {
        fail_at_every_call(&with_dead_bytes, fault, &|opened| {
            opened.blobs.rewrite_packs(&opened.store, 0)?;
            assert_eq!(opened.blobs.orphan_packs(&opened.store).unwrap(), Vec::<u32>::new());
            Ok(())
        });
    }
}

#[test]
fn interrupted_move_of_old_files_loses_no_blob() {
    for fault in FAULTS {
        fail_at_every_call(&old_folder, fault, &|opened| {
            opened.blobs.turn_over(&opened.store, &|| true).map(drop)
        });
    }
}

#[test]
fn interrupted_removal_leaves_a_sound_index() {
    for fault in FAULTS {
        fail_at_every_call(&with_dead_bytes, fault, &|opened| {
            opened.erase(4)?;
            opened.blobs.collect(&opened.store)?;
            opened.store.checkpoint()?;
            assert_eq!(opened.read(4), Err(StoreError::NoBlob));
            Ok(())
        });
    }
}

mod breaks {
    //! Seeded breaks: each skipped or misplaced step of a rewrite must be found.

    use super::*;
    use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

    /// Cuts the power after every call of a rewrite; true if a blob was lost.
    fn loses_a_blob(
        hook: impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static,
        rewrite: &dyn Fn(&Opened),
    ) -> bool {
        let fs = with_dead_bytes();
        let opened = open(options_on(&fs, Arc::new(HookedFs::new(fs.clone(), hook)))).unwrap();
        let before = fs.calls();
        fs.record();
        rewrite(&opened);
        let calls = usize::try_from(fs.calls() - before).unwrap();
        (0..calls).any(|call| {
            CUTS.into_iter().any(|how| {
                let remaining = fs.power_cut_before(call, how, call as u64).unwrap();
                let opened = open(StoreOptions { boot: [9; 32], ..options(&remaining) }).unwrap();
                opened.check().is_err()
            })
        })
    }

    fn rewrite(opened: &Opened) {
        opened.blobs.rewrite_packs(&opened.store, 0).unwrap();
    }

    fn skip(calls: FsCall) -> impl Fn(FsCall, &Path) -> Action + Send + Sync + 'static {
        move |call, path| {
            let is_pack = path.to_str().unwrap().contains("packs");
            if call == calls && is_pack { Action::Skip } else { Action::Proceed }
        }
    }

    #[test]
    fn whole_rewrite_loses_nothing() {
        assert!(!loses_a_blob(|_, _| Action::Proceed, &rewrite));
    }

    #[test]
    fn missing_sync_of_a_rewritten_pack_is_detected() {
        assert!(loses_a_blob(skip(FsCall::Sync), &rewrite));
    }

    #[test]
    fn missing_folder_sync_of_a_rewritten_pack_is_detected() {
        assert!(loses_a_blob(skip(FsCall::SyncFolder), &rewrite));
    }

    #[test]
    fn unlink_before_the_places_moved_is_detected() {
        assert!(loses_a_blob(|_, _| Action::Proceed, &|opened| {
            opened.blobs.remove_pack(0).unwrap();
            opened.delete(0).unwrap();
        }));
    }
}
