//! Damage, failing disks, power cuts, and writers against the collector.

use super::*;
use crate::fs::{Fault, PowerCut};

/// The ways a power cut goes, with a seed each.
const CUTS: [(PowerCut, u64); 4] =
    [(PowerCut::Nothing, 0), (PowerCut::Prefix, 1), (PowerCut::Subset, 2), (PowerCut::Subset, 3)];

fn path_of(blobs: &Blobs, id: &BlobId, form: AtRest) -> PathBuf {
    blobs.path(&blobs.name(id, form))
}

/// A blob of three chunks, the last of them short, in its file.
fn stored(form: AtRest) -> (MemoryFs, BlobId, PathBuf) {
    let (fs, blobs) = fresh();
    let id = blobs.put(&content(140_000, 1), form).unwrap().id;
    let path = path_of(&blobs, &id, form);
    (fs, id, path)
}

fn is_corrupt<T: fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Corrupt { table, .. }) if table == DAMAGE_TABLE)
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_and_never_served() {
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
            let piecemeal = blobs.open(&id).and_then(|reader| {
                let mut offset = 0;
                while offset < reader.len() {
                    offset += reader.read_at(offset, &mut buf)? as u64;
                }
                Ok(())
            });
            assert!(is_corrupt(&piecemeal), "{form:?} byte {at}");
            assert!(is_corrupt(&blobs.open(&id).and_then(|reader| reader.verify())));
            // A row that refers to it can still be changed.
            assert!(blobs.pin(&id).is_ok());
            fs.damage(&path, at, 1 << (at % 8)).unwrap();
        }
        assert!(read(&open_in(&fs), &id).is_ok());
    }
}

#[test]
fn a_cut_or_grown_file_is_noticed() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        let file = fs.edit(&path).unwrap();
        let whole = fs::read(&fs, &path, 1 << 20).unwrap();
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
            whole.len() - 1,
            whole.len() + 1,
        ] {
            file.set_len(len as u64).unwrap();
            assert!(is_corrupt(&read(&open_in(&fs), &id)), "{form:?} {len}");
            file.set_len(0).unwrap();
            file.write_all_at(&whole, 0).unwrap();
        }
        assert!(read(&open_in(&fs), &id).is_ok());
    }
}

#[test]
fn chunks_in_each_others_place_are_noticed() {
    let (fs, id, path) = stored(AtRest::Sealed);
    let whole = fs::read(&fs, &path, 1 << 20).unwrap();
    let (chunk, head) = (65_552, 89);
    let mut swapped = whole.clone();
    swapped[head..head + chunk].copy_from_slice(&whole[head + chunk..head + 2 * chunk]);
    swapped[head + chunk..head + 2 * chunk].copy_from_slice(&whole[head..head + chunk]);
    fs::replace(&fs, &path, &swapped).unwrap();
    assert!(is_corrupt(&read(&open_in(&fs), &id)));
}

#[test]
fn another_blobs_file_under_this_name_is_noticed() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        let blobs = open_in(&fs);
        let other = blobs.put(&content(140_000, 2), form).unwrap().id;
        let bytes = fs::read(&fs, &path_of(&blobs, &other, form), 1 << 20).unwrap();
        fs::replace(&fs, &path, &bytes).unwrap();
        assert!(is_corrupt(&read(&open_in(&fs), &id)));
    }
}

#[test]
fn a_damaged_copy_does_not_count_as_stored() {
    for form in FORMS {
        let (fs, id, path) = stored(form);
        fs.damage(&path, 70_000, 4).unwrap();
        let blobs = open_in(&fs);
        blobs.put(&content(140_000, 1), form).unwrap();
        assert_eq!(read(&blobs, &id).unwrap(), content(140_000, 1));
        assert_eq!(read(&open_in(&fs), &id).unwrap(), content(140_000, 1));
    }
}

#[test]
fn what_an_interrupted_write_left_is_removed_at_the_next_start() {
    let (fs, blobs) = fresh();
    let mut writer = blobs.writer(AtRest::Sealed, u64::MAX).unwrap();
    writer.write(&content(200_000, 1)).unwrap();
    std::mem::forget(writer);
    assert_eq!(temporary_files(&fs), 1);
    let again = open_in(&fs);
    assert_eq!((temporary_files(&fs), files(&again)), (0, 0));
}

/// Every call fails once, in each way: what was acknowledged is whole after any power cut, what was
/// not leaves no litter.
#[test]
fn a_large_blob_is_stored_whole_or_not_at_all() {
    for (form, fault) in FORMS
        .into_iter()
        .flat_map(|form| [Fault::Io, Fault::Full, Fault::Short, Fault::Power].map(|f| (form, f)))
    {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let bytes = content(131_200, 1);
            fs.fail_at(n, fault);
            let before = fs.calls();
            let put = blobs.put(&bytes, form);
            let unharmed = fs.calls() < before + n;
            fs.heal();
            if fault != Fault::Power {
                assert_eq!(temporary_files(&fs), 0, "{fault:?} at {n}");
            }
            if let (Err(error), Fault::Full) = (&put, fault) {
                assert_eq!(*error, StoreError::Full);
            }
            let again = if fault == Fault::Power { put } else { blobs.put(&bytes, form) };
            let acknowledged = again.is_ok();
            assert!(acknowledged || fault == Fault::Power, "a second try works: {again:?}");
            for (cut, seed) in CUTS {
                let found = read(&open_in(&fs.power_cut(cut, seed)), &id_of(&bytes));
                match found {
                    Ok(found) => assert_eq!(found, bytes),
                    Err(error) => {
                        assert!(!acknowledged, "{form:?} {fault:?} at {n}, {cut:?}: {error}")
                    }
                }
            }
            if unharmed {
                break;
            }
        }
    }
}

/// A file left by a killed process is visible and yet not durable: counting on it must make it so.
#[test]
fn a_copy_found_is_made_durable_before_it_counts() {
    for n in 1..16 {
        let (fs, blobs) = fresh();
        let bytes = content(140_000, 1);
        fs.fail_at(n, Fault::Io);
        let _ = blobs.put(&bytes, AtRest::Sealed);
        fs.heal();
        let restarted = open_in(&fs);
        restarted.put(&bytes, AtRest::Sealed).unwrap();
        let found = read(&open_in(&fs.power_cut(PowerCut::Nothing, 1)), &id_of(&bytes));
        assert_eq!(found, Ok(bytes), "failed at {n}");
    }
}

#[test]
fn small_blobs_stay_readable_and_refileable_whatever_filing_meets() {
    for fault in [Fault::Io, Fault::Full, Fault::Short, Fault::Power] {
        for n in 1.. {
            let (fs, blobs) = fresh();
            let contents: Vec<Vec<u8>> =
                [0, 10, 5000].into_iter().map(|len| content(len, 1)).collect();
            for (number, bytes) in contents.iter().enumerate() {
                let form = FORMS[number % 2];
                let pinned = blobs.put(bytes, form).unwrap();
                log(&blobs, &pinned.id);
            }
            let before = fs.calls();
            fs.fail_at(n, fault);
            let filed = blobs.flush_logged();
            let unharmed = fs.calls() < before + n;
            for bytes in &contents {
                if fault != Fault::Power || blobs.state().small.contains_key(&id_of(bytes)) {
                    assert_eq!(&read(&blobs, &id_of(bytes)).unwrap(), bytes);
                }
            }
            fs.heal();
            for (cut, seed) in CUTS {
                let left = fs.power_cut(cut, seed);
                let again = open_in(&left);
                if filed.is_err() {
                    // The log still has them, and they come again in the replay.
                    for (number, bytes) in contents.iter().enumerate() {
                        again.logged(SmallBlob {
                            id: id_of(bytes),
                            form: FORMS[number % 2],
                            bytes: bytes.as_slice().into(),
                        });
                    }
                    again.flush_logged().unwrap();
                }
                let last = open_in(&left.power_cut(PowerCut::Nothing, 1));
                for bytes in &contents {
                    assert_eq!(
                        &read(&last, &id_of(bytes)).unwrap(),
                        bytes,
                        "{fault:?} at {n}, {cut:?} {seed}"
                    );
                }
            }
            if unharmed {
                break;
            }
        }
    }
}

#[test]
fn a_blob_unlinked_now_is_gone_for_good() {
    let (fs, blobs) = fresh();
    let put = |seed| blobs.put(&content(140_000, seed), AtRest::Plain).unwrap();
    let (gone, shared, pinned) = (put(1).id, put(2).id, put(3));
    let small = blobs.put(b"small", AtRest::Sealed).unwrap().id;
    blobs.logged(SmallBlob { id: small, form: AtRest::Sealed, bytes: b"small"[..].into() });
    let all = [gone, shared, pinned.id, small];
    let collected = blobs.collection().unlink(&all, &HashSet::from([shared])).unwrap();
    assert_eq!(collected, Collected { files: 1, small: 1, pinned: HashSet::from([pinned.id]) });
    let after = open_in(&fs.power_cut(PowerCut::Nothing, 1));
    assert_eq!(read(&after, &gone), Err(StoreError::NoBlob));
    assert_eq!(read(&after, &small), Err(StoreError::NoBlob));
    assert!(read(&after, &shared).is_ok() && read(&after, &pinned.id).is_ok());
}

#[test]
fn collectors_and_writers_at_once_lose_nothing_that_is_referred_to() {
    let (_, blobs) = fresh();
    let rows: Mutex<HashSet<BlobId>> = Mutex::default();
    let contents: Vec<Vec<u8>> = (0..6).map(|seed| content(131_073, seed)).collect();
    std::thread::scope(|threads| {
        for start in 0..3 {
            let (blobs, rows, contents) = (&blobs, &rows, &contents);
            threads.spawn(move || {
                for turn in 0..12 {
                    let bytes = &contents[(start + turn) % contents.len()];
                    let pinned = blobs.put(bytes, AtRest::Sealed).unwrap();
                    if turn % 3 == 0 {
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
                let live = rows.lock().unwrap().clone();
                collection.sweep(&live).unwrap();
            }
        });
    });
    for id in rows.lock().unwrap().iter() {
        assert!(read(&blobs, id).is_ok(), "a referred blob was collected");
    }
}

#[test]
fn a_write_back_that_failed_before_the_sync_is_told_and_all_is_filed_anew() {
    let (fs, blobs) = fresh();
    let pinned = blobs.put(b"small", AtRest::Sealed).unwrap();
    log(&blobs, &pinned.id);
    fs.lose_writes();
    assert!(blobs.flush_logged().is_err());
    assert_eq!((blobs.flush_logged().unwrap(), blobs.unfiled_len()), (1, 0));
}
