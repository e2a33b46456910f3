//! Tests of blobs with damage, failing disks, power cuts and concurrent collections.

use super::*;
use crate::blobs::file::Form;
use crate::fs::{Fault, PowerCut};
use crate::testing::hooked_fs::{Action, FsCall, HookedFs};

/// Power cuts with their seeds.
const CUTS: [(PowerCut, u64); 4] =
    [(PowerCut::Nothing, 0), (PowerCut::Prefix, 1), (PowerCut::Subset, 2), (PowerCut::Subset, 3)];

const FORMS: [Form; 2] = [Form::Plain, Form::Sealed];

fn path_of(blobs: &Blobs, id: &BlobId, form: Form) -> PathBuf {
    blobs.path(&blobs.name(id, form))
}

/// Stores a large blob; in plain form as an earlier version did.
fn put_as(blobs: &Blobs, bytes: &[u8], form: Form) -> BlobId {
    match form {
        Form::Plain => blobs.write_old_file(bytes, true).unwrap(),
        Form::Sealed => blobs.put(bytes).unwrap().id,
    }
}

/// A stored blob of three chunks, the last one short.
fn stored(form: Form) -> (MemoryFs, BlobId, PathBuf) {
    let (fs, blobs) = fresh();
    let id = put_as(&blobs, &content(140_000, 1), form);
    let path = path_of(&blobs, &id, form);
    (fs, id, path)
}

fn is_corrupt<T: fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { table, .. }) if table == DAMAGE_TABLE)
}

#[test]
fn flipped_bit_in_a_blob_is_detected() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        let len = fs.open(&path).unwrap().len().unwrap();
        let head = (0..90).step_by(3);
        let spread = (0..len).step_by(9777);
        for at in
            head.chain(spread).chain([65_536, 65_616, 65_617, 65_633, len - 17, len - 16, len - 1])
        {
            fs.damage(&path, at, 1 << (at % 8)).unwrap();
            let blobs = open_in(&fs);
            assert!(is_corrupt(&read(&blobs, &id)), "{form:?} byte {at}");
            let mut buf = vec![0; 140_000];
            let in_ranges = blobs.open(&id).and_then(|reader| {
                let mut offset = 0;
                while offset < reader.len() {
                    offset += reader.read_at(offset, &mut buf)? as u64;
                }
                Ok(())
            });
            assert!(is_corrupt(&in_ranges), "{form:?} byte {at}");
            assert!(is_corrupt(&blobs.open(&id).and_then(|reader| reader.verify())));
            // A row that refers to the damaged blob can still be changed.
            assert!(blobs.pin(&id).is_ok());
            fs.damage(&path, at, 1 << (at % 8)).unwrap();
        }
        assert!(read(&open_in(&fs), &id).is_ok());
    }
}

#[test]
fn truncated_or_extended_blob_is_refused() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        let file = fs.edit(&path).unwrap();
        let intact = fs::read(&fs, &path, 1 << 20).unwrap();
        let chunk = 65_552;
        for len in [
            0,
            1,
            88,
            89,
            90,
            89 + chunk - 1,
            89 + chunk,
            89 + chunk + 1,
            89 + 2 * chunk,
            intact.len() - 1,
            intact.len() + 1,
        ] {
            file.set_len(len as u64).unwrap();
            assert!(is_corrupt(&read(&open_in(&fs), &id)), "{form:?} {len}");
            file.set_len(0).unwrap();
            file.write_all_at(&intact, 0).unwrap();
        }
        assert!(read(&open_in(&fs), &id).is_ok());
    }
}

#[test]
fn swapped_blob_chunks_are_detected() {
    let (fs, id, path) = stored(Form::Sealed);
    let intact = fs::read(&fs, &path, 1 << 20).unwrap();
    let (chunk, head) = (65_552, 89);
    let mut swapped = intact.clone();
    swapped[head..head + chunk].copy_from_slice(&intact[head + chunk..head + 2 * chunk]);
    swapped[head + chunk..head + 2 * chunk].copy_from_slice(&intact[head..head + chunk]);
    fs::replace(&fs, &path, &swapped).unwrap();
    assert!(is_corrupt(&read(&open_in(&fs), &id)));
}

#[test]
fn blob_file_under_another_name_is_detected() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        let blobs = open_in(&fs);
        let other = put_as(&blobs, &content(140_000, 2), form);
        let bytes = fs::read(&fs, &path_of(&blobs, &other, form), 1 << 20).unwrap();
        fs::replace(&fs, &path, &bytes).unwrap();
        assert!(is_corrupt(&read(&open_in(&fs), &id)));
    }
}

#[test]
fn damaged_blob_is_stored_again() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        fs.damage(&path, 70_000, 4).unwrap();
        let blobs = open_in(&fs);
        blobs.put(&content(140_000, 1)).unwrap();
        assert_eq!(read(&blobs, &id).unwrap(), content(140_000, 1));
        assert_eq!(read(&open_in(&fs), &id).unwrap(), content(140_000, 1));
    }
}

#[test]
fn temporary_blob_files_are_removed_at_start() {
    let (fs, blobs) = fresh();
    let mut writer = blobs.writer(u64::MAX).unwrap();
    writer.write(&content(200_000, 1)).unwrap();
    std::mem::forget(writer);
    assert_eq!(temporary_files(&fs), 1);
    let reopened = open_in(&fs);
    assert_eq!((temporary_files(&fs), files(&reopened)), (0, 0));
}

/// Every call fails once, in each way: an acknowledged blob is intact after any power cut, a failed
/// write leaves no temporary file.
#[test]
fn large_blob_is_stored_intact_or_not_at_all() {
    for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::Power] {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let bytes = content(131_200, 1);
            fs.fail_at(n, fault);
            let before = fs.calls();
            let put = blobs.put(&bytes);
            let fault_not_reached = fs.calls() < before + n;
            fs.heal();
            if fault != Fault::Power {
                assert_eq!(temporary_files(&fs), 0, "{fault:?} at {n}");
            }
            if let (Err(error), Fault::Full) = (&put, fault) {
                assert_eq!(*error, StoreError::Full);
            }
            let second = if fault == Fault::Power { put } else { blobs.put(&bytes) };
            let acknowledged = second.is_ok();
            assert!(
                acknowledged || fault == Fault::Power,
                "the second attempt succeeds: {second:?}"
            );
            for (cut, seed) in CUTS {
                let result = read(&open_in(&fs.power_cut(cut, seed)), &id_of(&bytes));
                match result {
                    Ok(content) => assert_eq!(content, bytes),
                    Err(error) => {
                        assert!(!acknowledged, "{fault:?} at {n}, {cut:?}: {error}")
                    }
                }
            }
            if fault_not_reached {
                break;
            }
        }
    }
}

/// A process may leave a file that is visible but not durable, and a sync after one that failed
/// writes nothing: an equal content does not count as stored before a row refers to it.
#[test]
fn visible_blob_file_does_not_count_as_stored() {
    for n in 1..16 {
        let (fs, blobs) = fresh();
        let bytes = content(140_000, 1);
        fs.fail_at(n, Fault::Io);
        let _ = blobs.put(&bytes);
        fs.heal();
        let restarted = open_in(&fs);
        restarted.put(&bytes).unwrap();
        let stored = read(&open_in(&fs.power_cut(PowerCut::Nothing, 1)), &id_of(&bytes));
        assert_eq!(stored, Ok(bytes), "failed at {n}");
    }
}

#[test]
fn failed_flush_loses_no_small_blob() {
    for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::Power] {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let contents: Vec<Vec<u8>> =
                [0, 10, 5000].into_iter().map(|len| content(len, 1)).collect();
            for bytes in &contents {
                let pinned = blobs.put(bytes).unwrap();
                log(&blobs, &pinned.id);
            }
            let before = fs.calls();
            fs.fail_at(n, fault);
            let flushed = flush_logged(&blobs);
            let fault_not_reached = fs.calls() < before + n;
            for bytes in &contents {
                if fault != Fault::Power || blobs.state().small.contains_key(&id_of(bytes)) {
                    assert_eq!(&read(&blobs, &id_of(bytes)).unwrap(), bytes);
                }
            }
            fs.heal();
            for (cut, seed) in CUTS {
                let remaining = fs.power_cut(cut, seed);
                let reopened = open_in(&remaining);
                if flushed.is_err() {
                    // The log still holds them, so a replay registers them again.
                    for bytes in &contents {
                        let bytes = bytes.as_slice();
                        reopened.logged(SmallBlob { id: id_of(bytes), bytes: bytes.into() });
                    }
                    flush_logged(&reopened).unwrap();
                }
                let last = open_in(&remaining.power_cut(PowerCut::Nothing, 1));
                for bytes in &contents {
                    assert_eq!(
                        &read(&last, &id_of(bytes)).unwrap(),
                        bytes,
                        "{fault:?} at {n}, {cut:?} {seed}"
                    );
                }
            }
            if fault_not_reached {
                break;
            }
        }
    }
}

/// Stores a large blob without one kind of sync and cuts the power; true if the blob was lost.
fn loses_without(skipped: impl Fn(FsCall, &Path) -> bool + Send + Sync + 'static) -> bool {
    let fs = MemoryFs::new();
    let hook = move |call, path: &Path| match skipped(call, path) {
        true => Action::Skip,
        false => Action::Proceed,
    };
    let id = open_on(HookedFs::new(fs.clone(), hook)).put(&content(140_000, 1)).unwrap().id;
    let after = open_in(&fs.power_cut(PowerCut::Nothing, 0));
    read(&after, &id).is_err()
}

#[test]
fn each_missing_sync_of_a_large_blob_is_detected() {
    assert!(!loses_without(|_, _| false));
    assert!(loses_without(|call, _| call == FsCall::Sync));
    // The names in `/`, `/blobs`, `/blobs/ab` and `/blobs/ab/cd`.
    for depth in 1..=4 {
        let is_skipped = move |call, path: &Path| {
            call == FsCall::SyncFolder && path.components().count() == depth
        };
        assert!(loses_without(is_skipped), "{depth}");
    }
}

#[test]
fn unlinked_file_stays_removed_after_a_power_cut() {
    let (fs, blobs) = fresh();
    let put = |seed| blobs.put(&content(140_000, seed)).unwrap();
    let (unlinked, pinned) = (put(1).id, put(2));
    assert_eq!(blobs.remove_files(&unlinked), Ok(Some(1)));
    assert_eq!(blobs.remove_files(&pinned.id), Ok(None));
    let after = open_in(&fs.power_cut(PowerCut::Nothing, 1));
    assert_eq!(read(&after, &unlinked), Err(StoreError::NoBlob));
    assert!(read(&after, &pinned.id).is_ok());
}

#[test]
fn content_put_during_its_removal_is_stored_again() {
    for is_large in [false, true] {
        let (_, blobs) = fresh();
        let bytes = content(if is_large { 140_000 } else { 100 }, 1);
        let id = blobs.put(&bytes).map(|pinned| log(&blobs, &pinned.id)).map(|()| id_of(&bytes));
        let id = id.unwrap();
        assert!(blobs.doom(&id));
        assert_eq!(blobs.pin(&id).unwrap_err(), StoreError::NoBlob);
        let again = blobs.put(&bytes).unwrap();
        blobs.undoom(&[id], &[id]);
        assert!(!blobs.doom(&id), "it is pinned");
        assert_eq!(blobs.remove_files(&id), Ok(None));
        assert_eq!(read(&blobs, &again.id).unwrap(), bytes);
        assert_eq!(blobs.unlogged(&id).is_some(), !is_large, "the next change logs it again");
    }
}

#[test]
fn concurrent_collections_lose_no_referenced_blob() {
    let (_, blobs) = fresh();
    let rows: Mutex<HashSet<BlobId>> = Mutex::default();
    let contents: Vec<Vec<u8>> = (0..6).map(|seed| content(131_073, seed)).collect();
    std::thread::scope(|threads| {
        for start in 0..3 {
            let (blobs, rows, contents) = (&blobs, &rows, &contents);
            threads.spawn(move || {
                for round in 0..12 {
                    let bytes = &contents[(start + round) % contents.len()];
                    let pinned = blobs.put(bytes).unwrap();
                    if round % 3 == 0 {
                        rows.lock().unwrap().remove(&pinned.id);
                    } else {
                        rows.lock().unwrap().insert(pinned.id);
                    }
                    assert!(read(blobs, &pinned.id).is_ok(), "a pinned blob was collected");
                }
            });
        }
        threads.spawn(|| {
            for _ in 0..20 {
                let collection = blobs.collection();
                let live: Vec<BlobId> = rows.lock().unwrap().iter().copied().collect();
                sweep_during(collection, &blobs, &live);
            }
        });
    });
    for id in rows.lock().unwrap().iter() {
        assert!(read(&blobs, id).is_ok(), "a referenced blob was collected");
    }
}

#[test]
fn failed_write_back_is_reported_and_blobs_written_again() {
    let (fs, blobs) = fresh();
    let pinned = blobs.put(b"small").unwrap();
    log(&blobs, &pinned.id);
    fs.lose_writes();
    assert!(blobs.spill_logged().is_err());
    assert_eq!((blobs.spill_logged().unwrap().len(), blobs.unflushed_len()), (1, 0));
}
