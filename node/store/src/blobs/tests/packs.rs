//! Tests of packs: damage, failed writes, power cuts.

use super::*;
use crate::blobs::PackRow;
use crate::fs::PowerCut;

fn packed(blobs: &Blobs, contents: &[&[u8]]) -> Vec<(BlobId, Place)> {
    let contents: Vec<_> =
        contents.iter().map(|bytes| (id_of(bytes), Arc::<[u8]>::from(*bytes))).collect();
    let places = blobs.write_to_packs(&contents).unwrap();
    find_places(blobs);
    places
}

#[test]
fn damaged_or_missing_pack_damages_its_blobs() {
    let (fs, blobs) = fresh();
    let places = packed(&blobs, &[b"one", b"two"]);
    let path = blobs.pack_path(0);
    let is_damaged = |id: &BlobId| matches!(read(&blobs, id), Err(StoreError::Corrupt { .. }));
    for (id, place) in &places {
        for at in place.offset..place.end() {
            fs.damage(&path, at.into(), 1 << (at % 8)).unwrap();
            assert!(is_damaged(id), "byte {at}");
            assert!(blobs.pin(id).is_ok(), "a row that refers to it can still be changed");
            fs.damage(&path, at.into(), 1 << (at % 8)).unwrap();
        }
    }
    let [one, two] = [places[0].0, places[1].0];
    assert_eq!(blobs.read_place(&one, places[0].1).unwrap(), b"one");
    assert!(blobs.read_place(&one, places[1].1).is_err(), "the place of another blob");
    blobs.remove_pack(0).unwrap();
    assert!(is_damaged(&one) && is_damaged(&two));
}

#[test]
fn damaged_packed_blob_is_stored_again() {
    let (fs, blobs) = fresh();
    let (id, place) = packed(&blobs, &[b"a message"])[0];
    drop(blobs.put(b"a message").unwrap());
    assert_eq!(blobs.unlogged(&id), None, "an intact copy exists");
    fs.damage(&blobs.pack_path(0), u64::from(place.end()) - 1, 1).unwrap();
    let _pinned = blobs.put(b"a message").unwrap();
    assert!(blobs.unlogged(&id).is_some());
    assert_eq!(read(&blobs, &id).unwrap(), b"a message");
}

#[test]
fn pack_is_closed_at_its_greatest_length() {
    let (_, blobs) = fresh();
    let contents: Vec<(BlobId, Arc<[u8]>)> = (0..300)
        .map(|seed| content(SMALL_LEN_MAX, seed))
        .map(|bytes| (id_of(&bytes), bytes.into()))
        .collect();
    let places = blobs.write_to_packs(&contents).unwrap();
    assert_eq!(blobs.pack_numbers().unwrap(), [0, 1]);
    for (number, end) in
        [(0, places.iter().rfind(|(_, place)| place.pack == 0)), (1, places.last())]
            .map(|(number, place)| (number, place.unwrap().1.end()))
    {
        assert!(end <= crate::blobs::packs::PACK_LEN_MAX);
        assert_eq!(blobs.pack_len(number), Ok(Some(end.into())));
    }
    assert!(
        places
            .iter()
            .zip(&contents)
            .all(|((id, place), (_, bytes))| { *blobs.read_place(id, *place).unwrap() == **bytes })
    );
}

/// A file system whose sync fails must not be trusted with the same pack again.
#[test]
fn pack_is_not_written_again_after_an_error() {
    let (fs, blobs) = fresh();
    packed(&blobs, &[b"one"]);
    let calls = fs.calls();
    packed(&blobs, &[b"two"]);
    let calls = fs.calls() - calls;
    for call in 1..=calls {
        let (fs, blobs) = fresh();
        packed(&blobs, &[b"one"]);
        fs.fail_at(call, crate::fs::Fault::Io);
        let two: [(BlobId, Arc<[u8]>); 1] = [(id_of(b"two"), b"two"[..].into())];
        if blobs.write_to_packs(&two).is_ok() {
            continue;
        }
        let (id, place) = blobs.write_to_packs(&two).unwrap()[0];
        assert_eq!(place.pack, 1, "failed at call {call}");
        let after = open_in(&fs.power_cut(PowerCut::Nothing, 1));
        assert_eq!(after.read_place(&id, place).unwrap(), b"two");
    }
}

struct Newest(u32, PackRow);

impl PlaceRows for Newest {
    fn place(&self, _: &BlobId) -> Result<Option<Place>, StoreError> {
        Ok(None)
    }

    fn is_known(&self, _: &BlobId) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn newest_pack(&self) -> Result<Option<(u32, PackRow)>, StoreError> {
        Ok(Some((self.0, self.1)))
    }
}

#[test]
fn start_continues_the_newest_pack_without_its_torn_tail() {
    let (fs, blobs) = fresh();
    let places = packed(&blobs, &[b"placed", b"never placed"]);
    let end = places[0].1.end();
    let row = PackRow { end, live: places[0].1.len };
    let again = open_in(&fs);
    again.set_place_rows(Arc::new(Newest(0, row)));
    let third: [(BlobId, Arc<[u8]>); 1] = [(id_of(b"third"), b"third"[..].into())];
    let (id, place) = again.write_to_packs(&third).unwrap()[0];
    assert_eq!((place.pack, place.offset), (0, end));
    assert_eq!(again.pack_len(0), Ok(Some(place.end().into())));
    assert_eq!(again.read_place(&id, place).unwrap(), b"third");
    assert_eq!(again.read_place(&places[0].0, places[0].1).unwrap(), b"placed");

    // A file that is shorter than its row says is damaged, and is not written.
    let short = open_in(&fs);
    short.set_place_rows(Arc::new(Newest(0, PackRow { end: 5000, live: 5000 })));
    assert_eq!(short.write_to_packs(&third).unwrap()[0].1.pack, 1);
    // Nor is a pack that a pack without a row follows.
    let orphan = open_in(&fs);
    orphan.set_place_rows(Arc::new(Newest(0, row)));
    assert_eq!(orphan.write_to_packs(&third).unwrap()[0].1.pack, 2);
}
