//! Tests of the files of blobs that packs hold: left by an interrupted move.

use super::*;

/// An old folder in which two rows refer to each blob.
fn shared_blobs() -> (MemoryFs, Opened) {
    let fs = old_folder();
    let opened = open(options(&fs)).unwrap();
    for n in 0..4 {
        let referring = move |tx: &mut Tx<'_>| tx.put_referring(U, &[n], b"", &[id(n)]);
        opened.store.commit_blocking(referring).unwrap();
    }
    (fs, opened)
}

#[test]
fn blob_with_two_references_is_moved_once() {
    let (fs, opened) = shared_blobs();
    assert_eq!(opened.blobs.turn_over(&opened.store, &|| true), Ok(5));
    let mut entries = Vec::new();
    let each = opened.blobs.each_entry(0, u32::MAX, |entry| {
        entries.push(entry.id);
        Ok(())
    });
    each.unwrap();
    assert_eq!((entries.len(), small_files(&fs)), (4, 1));
    opened.check().unwrap();
}

#[test]
fn file_of_a_packed_blob_is_reported_and_removed() {
    let (fs, opened) = shared_blobs();
    opened.blobs.turn_over(&opened.store, &|| true).unwrap();
    opened.blobs.write_old_file(&content(1), false).unwrap();
    assert_eq!(opened.blobs.orphan_paths(&opened.store).unwrap().len(), 1);
    assert_eq!(opened.blobs.collect(&opened.store).unwrap().files, 1);
    assert_eq!(small_files(&fs), 1);
    opened.check().unwrap();
}

#[test]
fn next_move_removes_the_files_of_an_interrupted_one() {
    use crate::fs::{Fault, PowerCut};
    let (mut call, mut left) = (1, 0);
    loop {
        let (fs, opened) = shared_blobs();
        let calls = fs.calls();
        fs.fail_at(call, Fault::Power);
        let _ = opened.blobs.turn_over(&opened.store, &|| true);
        if fs.calls() < calls + call {
            break;
        }
        drop(opened);
        let remaining = fs.power_cut(PowerCut::Nothing, call);
        let opened = open(StoreOptions { boot: [9; 32], ..options(&remaining) }).unwrap();
        left += usize::from(small_files(&remaining) > 1);
        opened.blobs.turn_over(&opened.store, &|| true).unwrap();
        // The plain file of a large blob that has a sealed one is left to the next collection.
        let mut orphans = opened.blobs.orphan_paths(&opened.store).unwrap();
        orphans.retain(|path| {
            let len = remaining.open(path).unwrap().len().unwrap();
            path.starts_with("/data/blobs") && len < 100_000
        });
        assert_eq!(orphans, Vec::<PathBuf>::new(), "cut at {call}");
        opened.check().unwrap();
        call += 1;
    }
    assert!(left > 0);
}

/// The sync of the sealed file's name fails, and the next one succeeds without writing the name.
#[test]
fn plain_file_outlives_a_sealed_one_not_durable() {
    use crate::fs::{Fault, PowerCut};
    for call in 1.. {
        let (fs, opened) = shared_blobs();
        let calls = fs.calls();
        fs.fail_at(call, Fault::Io);
        let _ = opened.blobs.turn_over(&opened.store, &|| true);
        if fs.calls() < calls + call {
            break;
        }
        let restarted = fs.crash();
        drop(opened);
        let opened = open(options(&restarted)).unwrap();
        opened.blobs.collect(&opened.store).unwrap();
        if call.is_multiple_of(2) {
            opened.blobs.turn_over(&opened.store, &|| true).unwrap();
        }
        let remaining = restarted.power_cut(PowerCut::Nothing, call);
        let opened = open(StoreOptions { boot: [9; 32], ..options(&remaining) }).unwrap();
        opened.check().unwrap_or_else(|e| panic!("failed at call {call}: {e}"));
    }
}

#[test]
fn plain_file_beside_a_sealed_one_is_removed() {
    let (fs, opened) = shared_blobs();
    opened.blobs.turn_over(&opened.store, &|| true).unwrap();
    opened.blobs.write_old_file(&[7; 140_000], true).unwrap();
    assert_eq!(small_files(&fs), 2);
    assert_eq!(opened.blobs.orphan_paths(&opened.store).unwrap().len(), 1);
    assert_eq!(opened.blobs.collect(&opened.store).unwrap().files, 1);
    assert_eq!(small_files(&fs), 1);
    assert_eq!(opened.blobs.orphan_paths(&opened.store).unwrap(), Vec::<PathBuf>::new());
    opened.check().unwrap();
}
