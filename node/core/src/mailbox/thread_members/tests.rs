use super::*;
use crate::mailbox::tests::filled;
use crate::mailbox::{check_rows, content, delete_folder, index_older_messages, threads};

#[tokio::test]
async fn messages_of_earlier_versions_join_their_threads() {
    let (alice, inbox) = filled(3).await;
    let thread = content(&alice, &crate::mailbox::message(&alice, inbox, 2).unwrap().unwrap())
        .unwrap()
        .and_then(|content| content.thread)
        .unwrap();
    let forget = alice.store.commit(move |tx| {
        for (found, _) in row::scan::<MemberRow>(tx, &Scan::prefix(&[], 10))? {
            row::delete::<MemberRow>(tx, &found);
        }
        let mut numbers = row::get::<NumbersRow>(tx, NUMBERS)?.unwrap();
        numbers.has_thread_members = false;
        row::put(tx, NUMBERS, &numbers)
    });
    forget.await.unwrap();
    assert_eq!(thread_messages(&alice, thread, 9).unwrap(), []);
    // Until then each message is a row.
    assert_eq!(threads(&alice, inbox, None, 9).unwrap().threads.len(), 3);
    index_older_messages(&alice).await.unwrap();
    assert_eq!(thread_messages(&alice, thread, 9).unwrap(), [(inbox, 2)]);
    assert_eq!(check_rows(&alice).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn member_without_its_message_is_reported() {
    let (alice, inbox) = filled(1).await;
    let thread = ThreadId([7; 16]);
    let add = |uid| row::key(&[&thread.0, &inbox.key(), &u32::to_be_bytes(uid)]);
    let stray = add(9);
    let put = stray.clone();
    alice.store.commit(move |tx| row::put(tx, &put, &MemberRow {})).await.unwrap();
    assert_eq!(check_rows(&alice).unwrap().len(), 2);
    let delete = move |tx: &mut Tx<'_>| {
        row::delete::<MemberRow>(tx, &stray);
        Ok::<_, StoreError>(())
    };
    alice.store.commit(delete).await.unwrap();
}

#[tokio::test]
async fn deleted_folder_leaves_no_members() {
    let (alice, inbox) = filled(2).await;
    let folder = crate::mailbox::create_folder(&alice, "old").await.unwrap().id;
    crate::mailbox::copy_messages(&alice, inbox, &[1, 2], folder).await.unwrap();
    delete_folder(&alice, folder).await.unwrap();
    let found = row::scan::<MemberRow>(&alice.store, &Scan::prefix(&[], 10)).unwrap();
    assert_eq!(found.len(), 2);
}
