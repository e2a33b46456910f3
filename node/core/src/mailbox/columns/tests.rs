use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{FlagChange, Flags, expunge, store_flags, summary};
use crate::testing::fuzz::fuzz;

#[test]
fn packed_block_round_trips() {
    let mut block = Block::default();
    for uid in [3, 4, 900] {
        block.push(uid, format!("value of {uid}").as_bytes());
    }
    block.push(901, b"");
    let values = Values { blocks: vec![Block::unpack(&block.pack()).unwrap()] };
    assert_eq!(values.get(4), Some(&b"value of 4"[..]));
    assert_eq!(values.get(901), Some(&b""[..]));
    assert_eq!([0, 5, 902].map(|uid| values.get(uid)), [None; 3]);
}

#[test]
fn damaged_block_is_refused() {
    let mut block = Block::default();
    block.push(1, b"some text, some text, some text");
    fuzz("mailbox column", &[block.pack()], |input| {
        Block::unpack(input);
    });
}

#[tokio::test]
async fn full_page_is_packed_and_expunged_details_vanish() {
    let (alice, inbox) = filled(130).await;
    let unpacked = details::unpacked(&alice.store, inbox, 0, u32::MAX).unwrap();
    assert_eq!(unpacked.iter().map(|(uid, _)| *uid).collect::<Vec<_>>(), [129, 130]);
    let listed = values(&alice, inbox, Column::Envelope, 60, 129).unwrap();
    assert!((60..=129).all(|uid| listed.get(uid).is_some()));
    assert!(listed.get(131).is_none());
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    let gone: Vec<u32> = (10..=64).chain([130]).collect();
    store_flags(&alice, inbox, &gone, deleted.clone(), None).await.unwrap();
    assert_eq!(expunge(&alice, inbox, None).await.unwrap(), gone);
    for column in Column::ALL {
        let left = values(&alice, inbox, column, 1, u32::MAX).unwrap();
        assert!(gone.iter().all(|uid| left.get(*uid).is_none()), "{column:?}");
        assert!([1, 9, 65, 129].iter().all(|uid| left.get(*uid).is_some()), "{column:?}");
    }
    assert_eq!(summary(&alice, inbox, 9).unwrap().unwrap().subject, "8");
    assert_eq!(summary(&alice, inbox, 10).unwrap(), None);
    // No rows are left of an empty folder.
    let all: Vec<u32> = (1..=130).collect();
    store_flags(&alice, inbox, &all, deleted, None).await.unwrap();
    expunge(&alice, inbox, None).await.unwrap();
    let rows = |table: Table| alice.store.scan(table, &Scan::prefix(&[], 10)).unwrap().len();
    assert_eq!(rows(ChunkRow::TABLE), 0);
    for name in ["mailbox_details", "mailbox_pages", "mailbox_page_changes"] {
        assert_eq!(rows(Table::new(name)), 0, "{name}");
    }
}
