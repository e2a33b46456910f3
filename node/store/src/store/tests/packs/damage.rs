//! Tests of rewriting damaged packs.

use super::*;
use crate::blobs::Place;

/// The blobs 0 to 9 in pack 0, 20 and 21 in pack 1; one of each pack is erased.
fn two_packs() -> (MemoryFs, Opened) {
    let (fs, opened) = fresh();
    (0..10).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    opened.blobs.close_pack(0);
    (20..22).for_each(|n| opened.put(n).unwrap());
    opened.store.checkpoint().unwrap();
    [0, 20].into_iter().for_each(|n| opened.erase(n).unwrap());
    (fs, opened)
}

/// The blobs of pack 0, in its order, and their places.
fn entries(opened: &Opened) -> Vec<(u8, Place)> {
    let mut entries = Vec::new();
    let end = opened.blobs.pack_len(0).unwrap().unwrap().try_into().unwrap();
    let is_intact = opened.blobs.each_entry(0, end, |entry| {
        entries.push(((0..10).find(|n| entry.id == id(*n)).unwrap(), entry.place));
        Ok(())
    });
    assert_eq!(is_intact, Ok(true));
    entries
}

/// Rewrites the packs: pack 0 stays with the blobs `lost`, and pack 1 does not.
fn rewrite_without(opened: &Opened, lost: &[u8]) {
    let rewrite = || opened.blobs.rewrite_packs(&opened.store, 0);
    assert!(matches!(rewrite(), Err(StoreError::Unavailable(_))));
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [0, 2]);
    for n in (1..10).chain([21]) {
        assert_eq!(opened.read(n).is_err(), lost.contains(&n), "{n}");
    }
    assert!(rewrite().is_err(), "it stays due");
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [0, 2]);
    // When its damaged entries are dead, the pack is removed.
    lost.iter().for_each(|n| opened.erase(*n).unwrap());
    rewrite().unwrap();
    assert!(!opened.blobs.pack_numbers().unwrap().contains(&0));
    opened.check().unwrap();
}

#[test]
fn damaged_entry_keeps_no_other_entry_in_its_pack() {
    let (fs, opened) = two_packs();
    let (n, place) = entries(&opened).into_iter().filter(|(n, _)| *n != 0).nth(3).unwrap();
    fs.damage(&opened.blobs.pack_path(0), u64::from(place.offset) + 20, 1).unwrap();
    rewrite_without(&opened, &[n]);
}

#[test]
fn entries_after_a_damaged_head_stay_readable() {
    let (fs, opened) = two_packs();
    let (n, place) = entries(&opened).into_iter().filter(|(n, _)| *n != 0).nth(3).unwrap();
    fs.damage(&opened.blobs.pack_path(0), place.offset.into(), 4).unwrap();
    let rewritten = opened.blobs.rewrite_packs(&opened.store, 0);
    assert!(matches!(rewritten, Err(StoreError::Unavailable(_))));
    (1..10).for_each(|other| assert_eq!(opened.read(other).is_err(), other == n));
    opened.erase(n).unwrap();
    assert!(opened.blobs.rewrite_packs(&opened.store, 0).is_err());
    (1..10).filter(|other| *other != n).for_each(|other| opened.erase(other).unwrap());
    assert_eq!(opened.blobs.pack_numbers().unwrap(), [2]);
    opened.check().unwrap();
}

#[test]
fn truncated_pack_is_rewritten() {
    let (fs, opened) = two_packs();
    let entries = entries(&opened);
    let mut lost = entries[7..].iter().map(|(n, _)| *n).filter(|n| *n != 0).collect::<Vec<_>>();
    lost.sort_unstable();
    let file = fs.edit(&opened.blobs.pack_path(0)).unwrap();
    file.set_len(u64::from(entries[7].1.offset) + 10).unwrap();
    rewrite_without(&opened, &lost);
}

#[test]
fn dead_entry_is_not_read() {
    let (fs, opened) = two_packs();
    let (_, place) = entries(&opened).into_iter().find(|(n, _)| *n == 0).unwrap();
    fs.damage(&opened.blobs.pack_path(0), u64::from(place.end()) - 1, 1).unwrap();
    assert_eq!(opened.blobs.rewrite_packs(&opened.store, 0).unwrap().packs, 2);
    opened.check().unwrap();
}

#[test]
fn missing_pack_has_no_dead_bytes() {
    let (fs, opened) = two_packs();
    fs.remove(&opened.blobs.pack_path(0)).unwrap();
    assert_eq!(opened.blobs.rewrite_packs(&opened.store, 0).unwrap().packs, 1);
}
