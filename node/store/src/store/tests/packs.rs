//! Tests of packs and of the reverse index in a store: rewriting, erasing, old data folders. Faults
//! and power cuts at every call are in `packs/faults.rs`, damaged packs in `packs/damage.rs`.

use super::*;
use crate::fs::PowerCut;

mod damage;
mod faults;
mod old_files;

/// A store with its blobs.
struct Opened {
    store: Store,
    blobs: Blobs,
}

fn open(options: StoreOptions) -> Result<Opened, OpenError> {
    let blobs = options.blobs.clone().unwrap();
    Ok(Opened { store: Store::open(options)?, blobs })
}

fn content(n: u8) -> Vec<u8> {
    [b"blob ", &[n][..]].concat().repeat(20)
}

fn id(n: u8) -> BlobId {
    BlobId(*blake3::hash(&content(n)).as_bytes())
}

impl Opened {
    /// Stores blob `n` under row `n`.
    fn put(&self, n: u8) -> Result<(), StoreError> {
        self.put_in(T, n)
    }

    fn put_in(&self, table: Table, n: u8) -> Result<(), StoreError> {
        let pinned = self.blobs.put(&content(n))?;
        self.store.commit_blocking(move |tx| tx.put_referring(table, &[n], b"", &[pinned.id]))
    }

    fn delete(&self, n: u8) -> Result<(), StoreError> {
        self.store.commit_blocking(move |tx| {
            tx.delete(T, &[n]);
            Ok(())
        })
    }

    /// Deletes row `n` and its blob.
    fn erase(&self, n: u8) -> Result<(), StoreError> {
        self.delete(n)?;
        self.blobs.unlink_now(&self.store, &[id(n)]).map(drop)
    }

    fn read(&self, n: u8) -> Result<Vec<u8>, StoreError> {
        self.blobs.open(&id(n))?.read_all(10_000)
    }

    /// Every blob of a row is readable, and index and packs are sound.
    fn check(&self) -> Result<(), String> {
        for row in all_rows(&self.store).values() {
            for id in &row.blobs {
                let bytes = self.blobs.open(id).and_then(|blob| blob.read_all(1 << 20));
                let bytes = bytes.map_err(|e| format!("a blob is lost: {e}"))?;
                if *blake3::hash(&bytes).as_bytes() != id.0 {
                    return Err("a blob has another content".into());
                }
            }
        }
        self.blobs.turn_over(&self.store, &|| true).map_err(|e| e.to_string())?;
        let problems = self.blobs.check_index(&self.store, &|_| Ok(())).unwrap();
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }
}

fn fresh() -> (MemoryFs, Opened) {
    let fs = MemoryFs::new();
    let opened = open(options(&fs)).unwrap();
    opened.blobs.turn_over(&opened.store, &|| true).unwrap();
    (fs, opened)
}

fn small_files(fs: &MemoryFs) -> usize {
    let mut folders = vec![PathBuf::from("/data/blobs")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs.list(&folder).unwrap() {
            match entry.folder {
                true => folders.push(folder.join(entry.name)),
                false => files += 1,
            }
        }
    }
    files
}

#[test]
fn small_blobs_are_in_one_pack_after_a_checkpoint() {
    let (fs, opened) = fresh();
    (0..30).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.blobs.unflushed_len(), 0);
    assert_eq!((small_files(&fs), opened.blobs.pack_numbers().unwrap()), (0, vec![0]));
    opened.check().unwrap();
    let position = opened.store.position();
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.store.position(), position, "a checkpoint without blobs commits nothing");
    drop(opened);
    let opened = open(options(&fs)).unwrap();
    (0..30).for_each(|n| assert_eq!(opened.read(n).unwrap(), content(n)));
    opened.put(30).unwrap();
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [0], "the next run continues the pack");
    opened.check().unwrap();
}

#[test]
fn place_survives_its_references() {
    let (_, opened) = fresh();
    for n in 0..3 {
        opened.put(n).unwrap();
    }
    opened.store.checkpoint().unwrap();
    // A second reference sorts after the first one, or before it; each may be deleted first.
    opened.put_in(U, 0).unwrap();
    opened.put_in(Table::referring("a"), 1).unwrap();
    opened.check().unwrap();
    opened.delete(0).unwrap();
    opened.delete(1).unwrap();
    opened.check().unwrap();
    assert_eq!(opened.read(0).unwrap(), content(0));
    assert_eq!(opened.read(1).unwrap(), content(1));
    // A row that loses its last reference and gets another one keeps its blob.
    let pinned = opened.blobs.pin(&id(2)).unwrap();
    opened.delete(2).unwrap();
    assert_eq!(opened.blobs.unlink_now(&opened.store, &[id(2)]).unwrap().pinned.len(), 1);
    opened.store.commit_blocking(move |tx| tx.put_referring(T, b"x", b"", &[pinned.id])).unwrap();
    assert_eq!(opened.read(2).unwrap(), content(2));
    opened.check().unwrap();
    assert_eq!(opened.blobs.collect(&opened.store).unwrap(), Default::default());
    opened.check().unwrap();
}

#[test]
fn deletion_reads_the_rows_of_its_blobs_only() {
    let (fs, engines) = (MemoryFs::new(), Engines::default());
    let opened = open(StoreOptions { engine: engines.source(), ..options(&fs) }).unwrap();
    opened.blobs.turn_over(&opened.store, &|| true).unwrap();
    let calls_of_erase = |n: u8| {
        let before = engines.current().calls();
        opened.erase(n).unwrap();
        engines.current().calls() - before
    };
    (0..10).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    let few = calls_of_erase(0);
    (10..200).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    let many = calls_of_erase(100);
    assert!(many <= few + 3, "{few} calls with 10 rows, {many} with 200");
    assert_eq!(opened.read(100), Err(StoreError::NoBlob));
}

#[test]
fn erased_blob_leaves_no_byte_in_any_pack() {
    let (fs, opened) = fresh();
    (0..20).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    (0..5).for_each(|n| opened.erase(n).unwrap());
    let in_packs = |opened: &Opened, n: u8| {
        let mut found = false;
        for number in opened.blobs.pack_numbers().unwrap() {
            let _ = opened.blobs.each_entry(number, u32::MAX, |entry| {
                found |= entry.id == id(n);
                Ok(())
            });
        }
        found
    };
    assert!(in_packs(&opened, 3) && in_packs(&opened, 7));
    assert_eq!(opened.blobs.rewrite_packs(&opened.store, 40).unwrap().packs, 0);
    let rewritten = opened.blobs.rewrite_packs(&opened.store, 0).unwrap();
    assert!(rewritten.packs == 1 && rewritten.freed > 0, "{rewritten:?}");
    assert!(!in_packs(&opened, 3) && in_packs(&opened, 7));
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [1]);
    opened.check().unwrap();
    // More than 40 % are dead; the rest is deleted with its pack.
    (5..15).for_each(|n| opened.erase(n).unwrap());
    assert_eq!(opened.blobs.rewrite_packs(&opened.store, 40).unwrap().packs, 1);
    (15..20).for_each(|n| opened.erase(n).unwrap());
    assert_eq!(opened.blobs.pack_numbers().unwrap(), Vec::<u32>::new());
    let after = fs.crash().power_cut(PowerCut::Nothing, 0);
    assert_eq!(after.list(Path::new("/data/packs")).unwrap(), [], "nor after a power cut");
    opened.put(1).unwrap();
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [3], "a number is never used twice");
    opened.check().unwrap();
    drop(opened);
    open(options(&fs)).unwrap().check().unwrap();
}

#[test]
fn blob_put_again_after_damage_gets_another_place() {
    let (fs, opened) = fresh();
    opened.put(1).unwrap();
    opened.store.checkpoint().unwrap();
    fs.damage(&opened.blobs.pack_path(0), 100, 1).unwrap();
    assert!(matches!(opened.read(1), Err(StoreError::Corrupt { .. })));
    assert!(!opened.blobs.check_index(&opened.store, &|_| Ok(())).unwrap().is_empty());
    opened.put_in(U, 1).unwrap();
    assert_eq!(opened.read(1).unwrap(), content(1));
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.read(1).unwrap(), content(1));
}

/// The blobs of an earlier version, in files; the index does not exist.
fn old_folder() -> MemoryFs {
    let fs = MemoryFs::new();
    let opened = open(options(&fs)).unwrap();
    for n in 0..4 {
        let written = opened.blobs.write_old_file(&content(n), n % 2 == 0).unwrap();
        opened.store.commit_blocking(move |tx| tx.put_referring(T, &[n], b"", &[written])).unwrap();
    }
    let large = vec![7; 140_000];
    let written = opened.blobs.write_old_file(&large, true).unwrap();
    opened.store.commit_blocking(move |tx| tx.put_referring(T, b"large", b"", &[written])).unwrap();
    // Rows of an earlier version have no references.
    opened
        .store
        .commit_blocking(|tx| {
            for (key, _) in tx.scan(references::REFERENCES, &Scan::prefix(b"", 100))? {
                tx.delete(references::REFERENCES, &key);
            }
            Ok::<_, StoreError>(())
        })
        .unwrap();
    drop(opened);
    fs
}

#[test]
fn old_data_folder_is_turned_over_in_steps() {
    let fs = old_folder();
    let opened = open(options(&fs)).unwrap();
    // Deleting works before the index is complete.
    opened.erase(3).unwrap();
    assert_eq!(opened.read(3), Err(StoreError::NoBlob));
    assert_eq!(opened.read(2).unwrap(), content(2));
    assert_eq!(opened.blobs.turn_over(&opened.store, &|| false), Ok(4));
    assert_eq!((small_files(&fs), opened.blobs.pack_numbers().unwrap()), (1, vec![0]));
    (0..4).filter(|n| *n != 3).for_each(|n| assert_eq!(opened.read(n).unwrap(), content(n)));
    assert_eq!(opened.blobs.turn_over(&opened.store, &|| true), Ok(0));
    opened.check().unwrap();
    drop(opened);
    open(options(&fs)).unwrap().check().unwrap();
}

#[test]
fn full_disk_lets_small_blobs_be_deleted() {
    let fs = MemoryFs::new();
    let margins = Margins { watermark: 100_000, reserve: 50_000, ..Margins::NONE };
    let space = FreeSpace::new(Arc::new(fs.clone()), Path::new("/data"), margins);
    let opened = open(StoreOptions { space: Some(space), ..options(&fs) }).unwrap();
    opened.blobs.turn_over(&opened.store, &|| true).unwrap();
    (0..10).for_each(|n| opened.put(n).unwrap());
    fs.set_free(10);
    let is_admitted = |n: u32| {
        let key = n.to_be_bytes();
        opened.store.commit_blocking(move |tx| tx.put(U, &key, &[0; 4096])).is_ok()
    };
    (0..).take_while(|n| is_admitted(*n)).for_each(|_| std::thread::yield_now());
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.blobs.unflushed_len(), 0);
    opened.erase(3).unwrap();
    assert_eq!(opened.read(3), Err(StoreError::NoBlob));
    (4..10).for_each(|n| opened.erase(n).unwrap());
    assert_eq!(opened.blobs.rewrite_packs(&opened.store, 40).unwrap().packs, 1);
    opened.check().unwrap();
}

#[test]
fn index_that_differs_from_the_rows_is_reported() {
    use references::{LOOSE, PACKS, REFERENCES, reference_key};
    type Spoil = fn(&mut Tx<'_>) -> Result<(), StoreError>;
    let spoils: [Spoil; 4] = [
        |tx| {
            tx.delete(REFERENCES, &reference_key(&id(1), "t", &[1]));
            Ok(())
        },
        |tx| tx.put(REFERENCES, &reference_key(&id(1), "u", &[9]), b""),
        |tx| tx.put(LOOSE, &id(1).0, b""),
        |tx| tx.put(PACKS, &0_u32.to_be_bytes(), &[1, 0, 0, 1, 0, 0, 0, 0, 1]),
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let (_, opened) = fresh();
        (0..3).for_each(|n| opened.put(n).unwrap());
        opened.store.checkpoint().unwrap();
        opened.store.commit_blocking(spoil).unwrap();
        assert!(opened.check().is_err(), "{number}");
    }
    let (fs, opened) = fresh();
    opened.put(1).unwrap();
    opened.store.checkpoint().unwrap();
    fs.remove(&opened.blobs.pack_path(0)).unwrap();
    let problems = opened.blobs.check_index(&opened.store, &|_| Ok(())).unwrap();
    assert_eq!(problems, ["pack 0 is missing"]);
}

#[test]
fn pack_removed_during_a_check_is_not_missing() {
    let (_, opened) = fresh();
    for n in 0..2 {
        opened.put(n).unwrap();
        opened.store.checkpoint().unwrap();
        opened.blobs.close_pack(n.into());
    }
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [0, 1]);
    let calls = std::cell::Cell::new(0);
    // The calls are for the rows, for the end of the rows, and for pack 0.
    let erase = |_| {
        calls.set(calls.get() + 1);
        if calls.get() == 3 { opened.erase(1) } else { Ok(()) }
    };
    let problems = opened.blobs.check_index(&opened.store, &erase).unwrap();
    assert_eq!((problems, calls.get()), (Vec::<String>::new(), 4));
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [0]);
}

#[test]
fn foreign_file_among_packs_is_an_orphan() {
    let (fs, opened) = fresh();
    opened.put(1).unwrap();
    opened.store.checkpoint().unwrap();
    assert_eq!(opened.blobs.orphan_paths(&opened.store).unwrap(), Vec::<PathBuf>::new());
    let foreign =
        ["0.pack", "00000001.pack.bak", "notes"].map(|name| format!("/data/packs/{name}"));
    foreign.iter().for_each(|path| drop(fs.create(path.as_ref()).unwrap()));
    let orphans = opened.blobs.orphan_paths(&opened.store).unwrap();
    assert_eq!(orphans, foreign.each_ref().map(PathBuf::from));
    opened.blobs.collect(&opened.store).unwrap();
    assert_eq!(opened.blobs.orphan_paths(&opened.store).unwrap().len(), 3, "they stay");
    opened.check().unwrap();
}

#[test]
fn uncommitted_change_keeps_its_blob_during_collection() {
    let (_, opened) = fresh();
    let pinned = opened.blobs.put(&[7; 200_000]).unwrap();
    let (blobs, id) = (opened.blobs.clone(), pinned.id);
    // The pin is dropped before the change is applied, and files are swept in between.
    let referred = opened.store.commit_blocking(move |tx| {
        tx.put_referring(T, b"row", b"", &[id])?;
        drop(pinned);
        let collection = blobs.collection();
        collection.sweep(blobs.all_files()?)
    });
    assert_eq!(referred, Ok(0));
    opened.check().unwrap();
}
