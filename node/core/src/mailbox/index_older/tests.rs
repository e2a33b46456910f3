use super::*;
use crate::mailbox::expunge::delete_rows;
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::read::{MessageId, messages};
use crate::mailbox::tests::filled;
use crate::mailbox::{
    FlagChange, Message, check, copy_messages, details, folder, folder_named, initialise,
    store_flags, summaries, values, view,
};
use crate::store::{BlobId, Scan};
use crate::testing::TestNode;

/// A message's row as the first version wrote it.
#[derive(Encode, Decode)]
#[cbor(map)]
struct FirstMessageRow {
    #[n(0)]
    modseq: u64,
    #[n(1)]
    flags: Flags,
    #[n(2)]
    internal_date: Timestamp,
    #[n(3)]
    saved: Timestamp,
    #[n(4)]
    size: u64,
    #[n(5)]
    blob: BlobId,
    #[n(6)]
    id: MessageId,
    #[n(7)]
    delivery: Option<IdempotencyKey>,
}

impl Record for FirstMessageRow {
    const TABLE: Table = MessageRow::TABLE;
    const VERSION: u8 = 1;
}

/// Gives a folder the rows that the first version wrote.
async fn make_older(alice: &TestNode, id: FolderId) {
    let listed = summaries(alice, id, None, usize::MAX).unwrap();
    for batch in listed.chunks(100) {
        let batch = batch.to_vec();
        let write = alice.store.commit(move |tx| {
            for (message, summary) in &batch {
                write_older(tx, message, summary)?;
            }
            Ok::<_, StoreError>(())
        });
        write.await.unwrap();
    }
    let delete = alice.store.commit(move |tx| {
        while delete_rows::<page::PageRow>(tx, id)? > 0 {}
        while delete_rows::<page::PageChangeRow>(tx, id)? > 0 {}
        while delete_rows::<details::ChunkRow>(tx, id)? > 0 {}
        while delete_rows::<columns::ChunkRow>(tx, id)? > 0 {}
        let mut folder = load(tx, id)?.unwrap();
        (folder.is_paged, folder.keyword_counts) = (false, Vec::new());
        save(tx, &folder)?;
        let mut numbers = row::get::<NumbersRow>(tx, NUMBERS)?.unwrap();
        (numbers.is_indexed, numbers.has_thread_members) = (false, false);
        row::put(tx, NUMBERS, &numbers)
    });
    delete.await.unwrap();
}

fn write_older(tx: &mut Tx<'_>, message: &Message, summary: &Summary) -> Result<(), StoreError> {
    let key = key(message.folder, message.uid);
    let now = row::get::<MessageRow>(tx, &key)?.unwrap();
    thread_members::remove(tx, message.folder, message.uid, &now);
    let older = FirstMessageRow {
        modseq: message.modseq,
        flags: message.flags.clone(),
        internal_date: message.internal_date,
        saved: now.saved,
        size: message.size,
        blob: now.blob,
        id: now.id,
        delivery: now.delivery,
    };
    row::put_referring(tx, &key, &older, &[now.blob])?;
    row::put(tx, &key, &OldSummaryRow(summary.clone()))?;
    // Messages of one commit had modseqs of their own; these share one, so one row is enough.
    let change = ChangeRow { uid: message.uid, is_expunged: false, more: Vec::new() };
    row::put(tx, &change::key(message.folder, message.modseq), &change)
}

#[tokio::test]
async fn messages_of_the_first_version_are_indexed() {
    let (alice, inbox) = filled(150).await;
    let work = Flags { bits: Flags::SEEN, keywords: vec!["Work".into()] };
    store_flags(&alice, inbox, &[3, 140], FlagChange::Add(work), None).await.unwrap();
    let before = summaries(&alice, inbox, None, usize::MAX).unwrap();
    make_older(&alice, inbox).await;
    // As on a disk that can't be written.
    assert_eq!(summaries(&alice, inbox, None, usize::MAX).unwrap(), before);
    assert_eq!(summaries(&alice, inbox, Some(100), 2).unwrap(), before[51..53]);
    assert_eq!(messages(&alice, inbox, 2, 9, 3).unwrap().len(), 3);
    assert_eq!(view(&alice, inbox).unwrap().uids.len(), 150);
    initialise(&alice).await.unwrap();
    // The dates of Date fields are read with the details.
    assert_eq!(summaries(&alice, inbox, None, usize::MAX).unwrap(), before);
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
    assert!(values(&alice, inbox, Column::Envelope, 1, 150).unwrap().get(1).is_none());
    // A folder is usable before it is indexed: messages arrive, are copied and expunged.
    let archive = folder_named(&alice, "Archive").unwrap().unwrap().id;
    copy_messages(&alice, inbox, &[1, 100], archive).await.unwrap();
    assert!(values(&alice, archive, Column::Envelope, 1, 2).unwrap().get(2).is_some());
    let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(&alice, inbox, &[149, 150], deleted, None).await.unwrap();
    assert_eq!(crate::mailbox::expunge(&alice, inbox, None).await.unwrap(), [149, 150]);
    index_older_messages(&alice).await.unwrap();
    for column in Column::ALL {
        let values = values(&alice, inbox, column, 1, 150).unwrap();
        assert!((1..149).all(|uid| values.get(uid).is_some()), "{column:?}");
    }
    assert_eq!(summaries(&alice, inbox, None, usize::MAX).unwrap()[..], before[2..]);
    let left = row::scan::<OldSummaryRow>(&alice.store, &Scan::prefix(&inbox.key(), 10)).unwrap();
    assert!(left.is_empty());
    let changes = change::after(&alice.store, inbox, 0, 1000).unwrap();
    assert!(changes.iter().all(|(_, change)| change.is_expunged));
    assert_eq!(folder(&alice, inbox).unwrap().unwrap().keyword_counts, [2]);
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
    let listed = crate::mailbox::threads(&alice, inbox, None, 1000).unwrap();
    assert_eq!(listed.threads.len(), 148);
    // Complete: the next start has nothing to do.
    index_older_messages(&alice).await.unwrap();
}
