//! Tests of the change from one encoding at rest to the other.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::fs::{Fault, PowerCut};
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

const LENS: [usize; 6] = [0, 10, 65_536, SMALL_LEN_MAX, SMALL_LEN_MAX + 1, 200_000];

/// Changes the encoding: stores the blob in it, logs it, removes the other copy.
fn change_encoding(blobs: &Blobs, id: &BlobId, at_rest: AtRest) -> Result<bool, StoreError> {
    let pinned = blobs.store_as(id, at_rest)?;
    log(blobs, id);
    drop(pinned);
    blobs.collection().keep_only(id, at_rest)
}

fn encodings(blobs: &Blobs, id: &BlobId) -> Vec<AtRest> {
    ENCODINGS.into_iter().filter(|at_rest| blobs.is_stored_as(id, *at_rest).unwrap()).collect()
}

#[test]
fn blob_changes_encoding_before_and_after_a_flush() {
    for (len, flushed) in LENS.into_iter().flat_map(|len| [(len, false), (len, true)]) {
        let (fs, blobs) = fresh();
        let bytes = content(len, 1);
        let id = blobs
            .put(&bytes, AtRest::Sealed)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        for at_rest in [AtRest::Plain, AtRest::Sealed, AtRest::Plain, AtRest::Plain] {
            if flushed {
                blobs.flush_logged().unwrap();
            }
            assert!(change_encoding(&blobs, &id, at_rest).unwrap());
            assert_eq!(
                (encodings(&blobs, &id), read(&blobs, &id)),
                (vec![at_rest], Ok(bytes.clone())),
                "{len} {flushed}"
            );
        }
        blobs.flush_logged().unwrap();
        let restarted = open_in(&fs.power_cut(PowerCut::Nothing, 1));
        assert_eq!(
            (encodings(&restarted, &id), read(&restarted, &id)),
            (vec![AtRest::Plain], Ok(bytes))
        );
        assert_eq!(files(&restarted), 1);
    }
}

#[test]
fn replay_ends_in_the_last_requested_encoding() {
    let (_, blobs) = fresh();
    let pinned = blobs.put(b"a photo", AtRest::Sealed).unwrap();
    let id = pinned.id;
    let mut groups = vec![blobs.unlogged(&id).unwrap()];
    log(&blobs, &id);
    // The sealed copy exists already, and the blob is logged all the same.
    for at_rest in [AtRest::Plain, AtRest::Sealed] {
        blobs.flush_logged().unwrap();
        let stored = blobs.store_as(&id, at_rest).unwrap();
        groups.push(blobs.unlogged(&id).unwrap());
        log(&blobs, &id);
        drop(stored);
    }
    let (_, rebuilt) = fresh();
    groups.into_iter().for_each(|group| rebuilt.logged(group));
    rebuilt.flush_logged().unwrap();
    assert_eq!(encodings(&rebuilt, &id), [AtRest::Sealed]);
}

#[test]
fn pinned_or_only_blob_copy_is_not_removed() {
    for len in [10, 200_000] {
        let (fs, blobs) = fresh();
        let id = blobs
            .put(&content(len, 1), AtRest::Plain)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        blobs.flush_logged().unwrap();
        assert!(
            !blobs.collection().keep_only(&id, AtRest::Sealed).unwrap(),
            "no other copy exists"
        );
        drop(blobs.store_as(&id, AtRest::Sealed).map(|stored| (log(&blobs, &id), stored)).unwrap());
        let collection = blobs.collection();
        // A concurrent writer stores it as plain, and relies on the existing copy.
        let plain = blobs.put(&content(len, 1), AtRest::Plain).unwrap();
        assert!(!collection.keep_only(&id, AtRest::Sealed).unwrap());
        drop((plain, collection));
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
fn failed_change_of_encoding_loses_no_blob() {
    for (fault, at_rest) in [Fault::Io, Fault::Full, Fault::Short, Fault::Power]
        .into_iter()
        .flat_map(|fault| ENCODINGS.map(|at_rest| (fault, at_rest)))
    {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let bytes = content(140_000, 1);
            let id = blobs.put(&bytes, at_rest.other()).unwrap().id;
            let before = fs.calls();
            fs.fail_at(n, fault);
            let result = change_encoding(&blobs, &id, at_rest);
            let fault_not_reached = fs.calls() < before + n;
            fs.heal();
            for (cut, seed) in [
                (PowerCut::Nothing, 0),
                (PowerCut::Prefix, 1),
                (PowerCut::Subset, 2),
                (PowerCut::Subset, 3),
            ] {
                let remaining = open_in(&fs.power_cut(cut, seed));
                assert_eq!(
                    read(&remaining, &id).as_ref(),
                    Ok(&bytes),
                    "{fault:?} at {n}, {cut:?} {seed}"
                );
                if result == Ok(true) {
                    assert_eq!(
                        encodings(&remaining, &id),
                        [at_rest],
                        "{fault:?} at {n}, {cut:?} {seed}"
                    );
                }
            }
            if fault_not_reached {
                assert_eq!(result, Ok(true));
                break;
            }
        }
    }
}

#[test]
fn blob_is_found_while_its_encoding_changes() {
    for len in [100, 200_000] {
        let (fs, blobs) = fresh();
        let bytes = content(len, 1);
        let id = blobs
            .put(&bytes, AtRest::Sealed)
            .map(|pinned| (log(&blobs, &pinned.id), pinned.id).1)
            .unwrap();
        blobs.flush_logged().unwrap();
        let sealed = blobs.path(&blobs.name(&id, AtRest::Sealed));
        let unchanged = AtomicBool::new(true);
        // Between the look-ups of the plain and of the sealed file the blob becomes plain only.
        let reader = open_on(HookedFs::new(fs, move |call, path| {
            if call == FsCall::Open && path == sealed && unchanged.swap(false, Ordering::Relaxed) {
                assert!(change_encoding(&blobs, &id, AtRest::Plain).unwrap());
                blobs.flush_logged().unwrap();
            }
            Action::Proceed
        }));
        assert_eq!(read(&reader, &id), Ok(bytes));
    }
}
