//! Tests of blobs; damage, faults and concurrency are in `tests/hostile.rs`.

use proptest::prelude::*;

use super::*;
use crate::fs::MemoryFs;
use crate::space::Margins;
use crate::vault::{Unlock, Vault};

mod hostile;
mod packs;

const EDGES: [usize; 12] =
    [0, 1, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 196_608, 196_609, 262_144, 400_000];

fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Random::seeded(seed).fill(&mut bytes);
    bytes
}

fn id_of(bytes: &[u8]) -> BlobId {
    BlobId(*blake3::hash(bytes).as_bytes())
}

/// Opens the blobs in `fs`, always under the same keys.
fn open_in(fs: &MemoryFs) -> Blobs {
    open_on(fs.clone())
}

fn open_on(fs: impl Fs + 'static) -> Blobs {
    let vault_fs: Arc<dyn Fs> = Arc::new(MemoryFs::new());
    let vault = Vault::create(
        vault_fs,
        Path::new("/"),
        &Unlock::KeyFile("/key".into()),
        &Random::seeded(1),
    )
    .unwrap();
    let shared: Arc<dyn Fs> = Arc::new(fs);
    let space = FreeSpace::new(
        shared.clone(),
        Path::new("/"),
        Margins { watermark: 1 << 20, ..Margins::NONE },
    );
    let blobs = Blobs::new(shared, Path::new("/"), vault.keys(), Random::seeded(2), space).unwrap();
    find_places(&blobs);
    blobs
}

/// The places of all intact entries of the packs, in the place of rows.
struct FoundPlaces(HashMap<BlobId, Place>);

impl PlaceRows for FoundPlaces {
    fn place(&self, id: &BlobId) -> Result<Option<Place>, StoreError> {
        Ok(self.0.get(id).copied())
    }

    fn is_known(&self, id: &BlobId) -> Result<bool, StoreError> {
        Ok(self.0.contains_key(id))
    }

    fn newest_pack(&self) -> Result<Option<(u32, PackRow)>, StoreError> {
        Ok(None)
    }
}

fn find_places(blobs: &Blobs) {
    let mut places = HashMap::new();
    for number in blobs.pack_numbers().unwrap_or_default() {
        // The pack may end with a torn entry.
        let _ = blobs.each_entry(number, u32::MAX, |entry| {
            places.insert(entry.id, entry.place);
            Ok(())
        });
    }
    blobs.set_place_rows(Arc::new(FoundPlaces(places)));
}

/// Writes the logged small blobs to a pack, as a checkpoint does; returns their number.
fn flush_logged(blobs: &Blobs) -> Result<usize, StoreError> {
    let written = blobs.write_to_packs(&blobs.awaiting_place())?;
    find_places(blobs);
    written.iter().for_each(|(id, _)| blobs.placed(id));
    Ok(written.len())
}

/// Removes the blobs that are not in `live`, as the store does; returns their numbers in files and
/// in memory.
fn sweep(blobs: &Blobs, live: &[BlobId]) -> (u64, u64) {
    sweep_during(blobs.collection(), blobs, live)
}

fn sweep_during(collection: Collection, blobs: &Blobs, live: &[BlobId]) -> (u64, u64) {
    let mut files = blobs.all_files().unwrap();
    live.iter().for_each(|id| files.keep(blobs, id));
    let small: Vec<BlobId> = blobs
        .awaiting_place()
        .into_iter()
        .map(|(id, _)| id)
        .filter(|id| !live.contains(id) && blobs.doom(id))
        .collect();
    let removed = blobs.undoom(&small, &small);
    (collection.sweep(files).unwrap(), removed)
}

fn fresh() -> (MemoryFs, Blobs) {
    let fs = MemoryFs::new();
    (fs.clone(), open_in(&fs))
}

/// Writes a small blob to the log, as the committer does.
fn log(blobs: &Blobs, id: &BlobId) {
    if let Some(small) = blobs.unlogged(id) {
        blobs.logged(small);
    }
}

fn read(blobs: &Blobs, id: &BlobId) -> Result<Vec<u8>, StoreError> {
    blobs.open(id)?.read_all(usize::MAX)
}

fn files(blobs: &Blobs) -> usize {
    let mut files = 0;
    blobs
        .each_file(|_| {
            files += 1;
            Ok(())
        })
        .unwrap();
    files
}

fn temporary_files(fs: &MemoryFs) -> usize {
    fs.list(Path::new("/blobs/new")).unwrap().len()
}

#[test]
fn blob_round_trips_at_every_length() {
    let (fs, blobs) = fresh();
    for (seed, len) in EDGES.into_iter().enumerate() {
        let bytes = content(len, seed as u64);
        let pinned = blobs.put(&bytes).unwrap();
        assert_eq!((pinned.id, pinned.len), (id_of(&bytes), len as u64));
        assert_eq!(read(&blobs, &pinned.id).unwrap(), bytes, "{len}");
        log(&blobs, &pinned.id);
    }
    flush_logged(&blobs).unwrap();
    let reopened = open_in(&fs);
    for (seed, len) in EDGES.into_iter().enumerate() {
        let bytes = content(len, seed as u64);
        let reader = reopened.open(&id_of(&bytes)).unwrap();
        assert_eq!(reader.len(), len as u64);
        assert_eq!(reader.read_all(len).unwrap(), bytes, "{len}");
        assert!(len == 0 || reader.read_all(len - 1).is_err());
        assert_eq!(reopened.pin(&id_of(&bytes)).unwrap().len, len as u64);
    }
    assert_eq!(temporary_files(&fs), 0);
    assert_eq!(files(&reopened), EDGES.iter().filter(|len| **len > SMALL_LEN_MAX).count());
}

#[test]
fn sealed_blob_reveals_neither_content_nor_id_on_disk() {
    let (_, blobs) = fresh();
    let bytes = b"the quick brown fox ".repeat(20_000);
    let pinned = blobs.put(&bytes).unwrap();
    let stored =
        fs::read(&*blobs.0.fs, &blobs.path(&blobs.name(&pinned.id, file::Form::Sealed)), 1 << 20)
            .unwrap();
    assert!(!stored.windows(9).any(|part| part == b"the quick"));
    let name = blobs.name(&pinned.id, file::Form::Sealed).hex();
    assert!(!name.contains(&data_encoding::HEXLOWER.encode(&pinned.id.0[..4])));
}

#[test]
fn plain_file_of_an_earlier_version_is_sealed() {
    for len in [0, 100, 70_000, 200_000] {
        let (fs, blobs) = fresh();
        let bytes = content(len, 1);
        let id = blobs.write_old_file(&bytes, true).unwrap();
        assert_eq!(read(&open_in(&fs), &id).unwrap(), bytes);
        let is_small = len <= SMALL_LEN_MAX;
        let old = if is_small { OldFile::Small } else { OldFile::Plain };
        assert_eq!(blobs.old_file(&id), Ok(Some(old)));
        if !is_small {
            assert!(blobs.seal_plain(&id).unwrap());
            assert_eq!((files(&blobs), blobs.old_file(&id)), (1, Ok(None)));
            assert_eq!(read(&open_in(&fs), &id).unwrap(), bytes);
        }
    }
}

#[test]
fn equal_contents_share_one_blob_file() {
    let (_, blobs) = fresh();
    let bytes = content(200_000, 1);
    let (one, two) = (blobs.put(&bytes).unwrap(), blobs.put(&bytes).unwrap());
    assert_eq!(one.id, two.id);
    assert_eq!(files(&blobs), 1);
    let small = content(100, 2);
    let pinned = blobs.put(&small).unwrap();
    log(&blobs, &pinned.id);
    flush_logged(&blobs).unwrap();
    let second = blobs.put(&small).unwrap();
    assert_eq!(
        blobs.unlogged(&second.id),
        None,
        "it is stored already and need not be logged again"
    );
    assert_eq!(files(&blobs), 1);
}

#[test]
fn oversized_blob_is_refused_and_leaves_no_file() {
    let (fs, blobs) = fresh();
    let mut writer = blobs.writer(300_000).unwrap();
    writer.write(&content(300_000, 1)).unwrap();
    assert_eq!(temporary_files(&fs), 1);
    let refused = writer.write(b"x");
    assert_eq!(refused, Err(StoreError::TooLarge { what: "blob", len: 300_001, len_max: 300_000 }));
    drop(writer);
    assert_eq!((temporary_files(&fs), files(&blobs)), (0, 0));
}

#[test]
fn unlogged_small_blob_is_dropped_with_its_last_pin() {
    let (_, blobs) = fresh();
    let pinned = blobs.put(b"hello").unwrap();
    let (id, second) = (pinned.id, pinned.clone());
    drop(pinned);
    assert_eq!(read(&blobs, &id).unwrap(), b"hello");
    drop(second);
    assert_eq!(read(&blobs, &id), Err(StoreError::NoBlob));
    assert!(matches!(blobs.pin(&id), Err(StoreError::NoBlob)));

    let pinned = blobs.put(b"hello").unwrap();
    log(&blobs, &id);
    drop(pinned);
    assert_eq!(blobs.pin(&id).unwrap().len, 5);
    assert_eq!(files(&blobs), 0);
    assert_eq!((blobs.unflushed_len(), flush_logged(&blobs)), (5, Ok(1)));
    assert_eq!((files(&blobs), blobs.unflushed_len()), (0, 0));
    assert_eq!(read(&blobs, &id).unwrap(), b"hello");
}

#[test]
fn unreferenced_replayed_blob_is_not_flushed() {
    let (_, blobs) = fresh();
    for bytes in [&b"kept"[..], b"dropped"] {
        blobs.logged(SmallBlob { id: id_of(bytes), bytes: bytes.into() });
    }
    blobs.retain_unflushed(|id| Ok(*id == id_of(b"kept"))).unwrap();
    assert_eq!(flush_logged(&blobs), Ok(1));
    assert_eq!(read(&blobs, &id_of(b"dropped")), Err(StoreError::NoBlob));
}

#[test]
fn blob_writes_are_refused_under_the_watermark() {
    let (fs, blobs) = fresh();
    let pinned = blobs.put(&content(200_000, 1)).unwrap();
    fs.set_free(100);
    assert_eq!(blobs.put(b"small").unwrap_err(), StoreError::Full);
    assert_eq!(blobs.put(&content(200_000, 2)).unwrap_err(), StoreError::Full);
    assert!(read(&blobs, &pinned.id).is_ok());
    fs.set_free(1 << 30);
    assert!(blobs.put(&content(200_000, 2)).is_ok());
}

#[test]
fn collection_removes_unreferenced_unpinned_blobs() {
    let (_, blobs) = fresh();
    let put = |seed| blobs.put(&content(200_000, seed)).unwrap();
    let (live, dead, pinned) = (put(1).id, put(2).id, put(3));
    let small = blobs.put(b"small and dead").unwrap().id;
    blobs.logged(SmallBlob { id: small, bytes: b"small and dead"[..].into() });
    assert_eq!(sweep(&blobs, &[live]), (1, 1));
    assert!(read(&blobs, &live).is_ok());
    assert!(read(&blobs, &pinned.id).is_ok());
    assert_eq!(read(&blobs, &dead), Err(StoreError::NoBlob));
    assert_eq!(read(&blobs, &small), Err(StoreError::NoBlob));
    let unpinned = pinned.id;
    drop(pinned);
    assert_eq!(sweep(&blobs, &[live]), (1, 0));
    assert_eq!(read(&blobs, &unpinned), Err(StoreError::NoBlob));
}

#[test]
fn blob_pinned_during_a_collection_is_kept() {
    let (_, blobs) = fresh();
    let bytes = content(200_000, 1);
    let id = blobs.put(&bytes).unwrap().id;
    let collection = blobs.collection();
    // After the rows were read the same content is stored again, a row refers to it, and the pin is
    // dropped.
    drop(blobs.put(&bytes).unwrap());
    assert_eq!(sweep_during(collection, &blobs, &[]), (0, 0));
    assert_eq!(read(&blobs, &id).unwrap(), bytes);
}

#[test]
fn open_blob_reader_outlives_the_file() {
    let (_, blobs) = fresh();
    let bytes = content(200_000, 1);
    let id = blobs.put(&bytes).unwrap().id;
    let reader = blobs.open(&id).unwrap();
    assert_eq!(sweep(&blobs, &[]), (1, 0));
    assert_eq!(reader.read_all(1 << 20).unwrap(), bytes);
}

#[test]
fn foreign_files_are_reported_and_not_removed() {
    let (fs, blobs) = fresh();
    let id = blobs.put(&content(200_000, 1)).unwrap().id;
    for folder in ["/blobs/zz", "/blobs/zz/00"] {
        fs.create_folder(Path::new(folder)).unwrap();
    }
    for foreign in ["/blobs/README", "/blobs/zz/00/note", "/blobs/zz/file"] {
        fs.create(Path::new(foreign)).unwrap();
    }
    let mut found = blobs.all_files().unwrap();
    found.keep(&blobs, &id);
    assert_eq!(blobs.collection().orphan_paths(found).len(), 3);
    assert_eq!(sweep(&blobs, &[id]), (0, 0));
    assert!(fs.exists(Path::new("/blobs/README")).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn blob_written_in_pieces_is_read_in_ranges(
        len in prop_oneof![0usize..300_000, prop::sample::select(EDGES.to_vec())],
        pieces in prop::collection::vec(1usize..150_000, 1..6),
        ranges in prop::collection::vec((0u64..310_000, 0usize..150_000), 1..6),
    ) {
        let (_, blobs) = fresh();
        let bytes = content(len, 7);
        let mut writer = blobs.writer(len as u64).unwrap();
        let mut rest = &bytes[..];
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            writer.write(now).unwrap();
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        let pinned = writer.finish().unwrap();
        log(&blobs, &pinned.id);
        for _ in 0..2 {
            let reader = blobs.open(&pinned.id).unwrap();
            for (offset, wanted) in &ranges {
                let mut buf = vec![0; *wanted];
                let read = reader.read_at(*offset, &mut buf).unwrap();
                let expected = bytes.get(usize::try_from(*offset).unwrap()..).unwrap_or_default();
                prop_assert!(read > 0 || expected.is_empty() || *wanted == 0);
                prop_assert_eq!(&buf[..read], &expected[..read]);
            }
            flush_logged(&blobs).unwrap();
        }
    }
}
