//! Blobs that go from one form to the other.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::fs::{Fault, PowerCut};
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

const LENS: [usize; 6] = [0, 10, 65_536, SMALL_LEN_MAX, SMALL_LEN_MAX + 1, 200_000];

/// As a node does it: stored as well, taken along, the other removed.
fn turn(blobs: &Blobs, id: &BlobId, form: AtRest) -> Result<bool, StoreError> {
    let stored = blobs.store_as(id, form)?;
    log(blobs, id);
    drop(stored);
    blobs.collection().keep_only(id, form)
}

fn lies(blobs: &Blobs, id: &BlobId) -> Vec<AtRest> {
    FORMS.into_iter().filter(|form| blobs.is_stored_as(id, *form).unwrap()).collect()
}

#[test]
fn a_blob_goes_from_one_form_to_the_other_and_back_filed_or_not() {
    for (len, filed) in LENS.into_iter().flat_map(|len| [(len, false), (len, true)]) {
        let (fs, blobs) = fresh();
        let bytes = content(len, 1);
        let id = blobs
            .put(&bytes, AtRest::Sealed)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        for form in [AtRest::Plain, AtRest::Sealed, AtRest::Plain, AtRest::Plain] {
            if filed {
                blobs.flush_logged().unwrap();
            }
            assert!(turn(&blobs, &id, form).unwrap());
            assert_eq!(
                (lies(&blobs, &id), read(&blobs, &id)),
                (vec![form], Ok(bytes.clone())),
                "{len} {filed}"
            );
        }
        blobs.flush_logged().unwrap();
        let restarted = open_in(&fs.power_cut(PowerCut::Nothing, 1));
        assert_eq!(
            (lies(&restarted, &id), read(&restarted, &id)),
            (vec![AtRest::Plain], Ok(bytes))
        );
        assert_eq!(files(&restarted), 1);
    }
}

#[test]
fn a_log_that_is_read_again_ends_in_the_form_that_was_asked_for_last() {
    let (_, blobs) = fresh();
    let pinned = blobs.put(b"a view", AtRest::Sealed).unwrap();
    let id = pinned.id;
    let mut groups = vec![blobs.unlogged(&id).unwrap()];
    log(&blobs, &id);
    // It lies there sealed still, or again, and travels all the same.
    for form in [AtRest::Plain, AtRest::Sealed] {
        blobs.flush_logged().unwrap();
        let stored = blobs.store_as(&id, form).unwrap();
        groups.push(blobs.unlogged(&id).unwrap());
        log(&blobs, &id);
        drop(stored);
    }
    let (_, rebuilt) = fresh();
    groups.into_iter().for_each(|group| rebuilt.logged(group));
    rebuilt.flush_logged().unwrap();
    assert_eq!(lies(&rebuilt, &id), [AtRest::Sealed]);
}

#[test]
fn what_somebody_has_pinned_or_what_is_not_there_in_the_other_form_is_not_removed() {
    for len in [10, 200_000] {
        let (fs, blobs) = fresh();
        let id = blobs
            .put(&content(len, 1), AtRest::Plain)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        blobs.flush_logged().unwrap();
        assert!(!blobs.collection().keep_only(&id, AtRest::Sealed).unwrap(), "it is nowhere else");
        drop(blobs.store_as(&id, AtRest::Sealed).map(|stored| (log(&blobs, &id), stored)).unwrap());
        let collection = blobs.collection();
        // Somebody lays it open meanwhile, and counts on what lies there.
        let open = blobs.put(&content(len, 1), AtRest::Plain).unwrap();
        assert!(!collection.keep_only(&id, AtRest::Sealed).unwrap());
        drop((open, collection));
        blobs.flush_logged().unwrap();
        fs.damage(&blobs.path(&blobs.name(&id, AtRest::Sealed)), 95, 1).unwrap();
        assert!(
            !blobs.collection().keep_only(&id, AtRest::Sealed).unwrap(),
            "the sealed copy is damaged"
        );
        assert_eq!(read(&blobs, &id), Ok(content(len, 1)));
    }
}

#[test]
fn whatever_the_disk_does_a_blob_is_found_and_one_that_was_sealed_is_not_in_the_clear() {
    for (fault, form) in [Fault::Io, Fault::Full, Fault::Short, Fault::Power]
        .into_iter()
        .flat_map(|fault| FORMS.map(|form| (fault, form)))
    {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let bytes = content(140_000, 1);
            let id = blobs.put(&bytes, form.other()).unwrap().id;
            let before = fs.calls();
            fs.fail_at(n, fault);
            let turned = turn(&blobs, &id, form);
            let unharmed = fs.calls() < before + n;
            fs.heal();
            for (cut, seed) in [
                (PowerCut::Nothing, 0),
                (PowerCut::Prefix, 1),
                (PowerCut::Subset, 2),
                (PowerCut::Subset, 3),
            ] {
                let left = open_in(&fs.power_cut(cut, seed));
                assert_eq!(
                    read(&left, &id).as_ref(),
                    Ok(&bytes),
                    "{fault:?} at {n}, {cut:?} {seed}"
                );
                if turned == Ok(true) {
                    assert_eq!(lies(&left, &id), [form], "{fault:?} at {n}, {cut:?} {seed}");
                }
            }
            if unharmed {
                assert_eq!(turned, Ok(true));
                break;
            }
        }
    }
}

#[test]
fn who_looks_while_a_blob_turns_finds_it() {
    for len in [100, 200_000] {
        let (fs, blobs) = fresh();
        let bytes = content(len, 1);
        let id = blobs
            .put(&bytes, AtRest::Sealed)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        blobs.flush_logged().unwrap();
        let sealed = blobs.path(&blobs.name(&id, AtRest::Sealed));
        let turning = AtomicBool::new(true);
        // It was not found in the clear, and before it is looked for sealed it lies in the clear
        // alone.
        let reader = open_over(HookedFs::new(fs, move |what, path| {
            if what == FsCall::Open && path == sealed && turning.swap(false, Ordering::Relaxed) {
                assert!(turn(&blobs, &id, AtRest::Plain).unwrap());
                blobs.flush_logged().unwrap();
            }
            Action::Proceed
        }));
        assert_eq!(read(&reader, &id), Ok(bytes));
    }
}
