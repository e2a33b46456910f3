use super::*;
use crate::mailbox::{
    Delivery, Flags, IdempotencyKey, changes_since, content, deliver, folder, folder_named,
    message, summary,
};
use crate::testing::TestNode;

async fn filled(count: u32) -> (TestNode, FolderId, FolderId) {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
    let archive = folder_named(&alice, "Archive").unwrap().unwrap().id;
    for n in 1..=count {
        let blob = alice.blobs.put(format!("Subject: {n}\r\n\r\n").as_bytes()).unwrap();
        let id = IdempotencyKey::of(&[&n.to_be_bytes()]);
        let flags = Flags { bits: Flags::FLAGGED, keywords: vec!["Work".into()] };
        deliver(
            &alice,
            Delivery { folder: inbox, blob, id, internal_date: alice.clock.now(), flags },
        )
        .await
        .unwrap();
    }
    alice.clock.advance(5000);
    (alice, inbox, archive)
}

#[tokio::test]
async fn copied_message_keeps_id_flags_and_date() {
    let (alice, inbox, archive) = filled(250).await;
    let uids: Vec<u32> = (1..=250).collect();
    let pairs = copy_messages(&alice, inbox, &uids, archive).await.unwrap();
    assert_eq!((pairs.len(), pairs[249]), (250, (250, 250)));
    let (old, new) = (
        message(&alice, inbox, 3).unwrap().unwrap(),
        message(&alice, archive, 3).unwrap().unwrap(),
    );
    assert_eq!((&old.flags, old.internal_date), (&new.flags, new.internal_date));
    let [old, new] = [old, new].map(|message| content(&alice, &message).unwrap().unwrap());
    assert_eq!((old.id, old.blob, old.thread), (new.id, new.blob, new.thread));
    assert!(new.saved > old.saved && new.thread.is_some());
    assert_eq!(summary(&alice, archive, 3).unwrap().unwrap().subject, "3");
    assert_eq!(copy_messages(&alice, inbox, &[900], archive).await.unwrap(), []);
    // A copy into the source folder is one more message.
    assert_eq!(copy_messages(&alice, inbox, &[1], inbox).await.unwrap(), [(1, 251)]);
}

#[tokio::test]
async fn moved_message_vanishes_from_its_source_folder() {
    let (alice, inbox, archive) = filled(3).await;
    let since = folder(&alice, inbox).unwrap().unwrap().highest_modseq;
    assert_eq!(move_messages(&alice, inbox, &[3, 1], archive).await.unwrap(), [(1, 1), (3, 2)]);
    assert_eq!(changes_since(&alice, inbox, since).unwrap().vanished, [1, 3]);
    let left = folder(&alice, inbox).unwrap().unwrap();
    assert_eq!((left.total, folder(&alice, archive).unwrap().unwrap().total), (1, 2));
    // Its idempotency key still finds it in the other folder.
    let blob = alice.blobs.put(b"Subject: 3\r\n\r\n").unwrap();
    let id = IdempotencyKey::of(&[&3u32.to_be_bytes()]);
    let again = Delivery {
        folder: inbox,
        blob,
        id,
        internal_date: alice.clock.now(),
        flags: Flags::default(),
    };
    let found = deliver(&alice, again).await.unwrap();
    assert_eq!((found.folder, found.uid), (archive, 2));
    // A move within its folder gives it the highest UID.
    assert_eq!(move_messages(&alice, inbox, &[2], inbox).await.unwrap(), [(2, 4)]);
}

#[tokio::test]
async fn missing_message_prevents_copy_and_move() {
    let (alice, inbox, archive) = filled(130).await;
    move_messages(&alice, inbox, &[2], inbox).await.unwrap();
    // The messages are in several pages, and each page has a commit of its own.
    for uids in [&[1, 2, 130][..], &[2], &[1, 900]] {
        for missing in [
            copy_named(&alice, inbox, uids, archive, Missing::Refuse).await,
            move_named(&alice, inbox, uids, archive, Missing::Refuse).await,
        ] {
            assert_eq!(missing, Err(TransferError::Expunged));
        }
    }
    let total = |id| folder(&alice, id).unwrap().unwrap().total;
    assert_eq!((total(inbox), total(archive)), (130, 0));
    let copied = copy_named(&alice, inbox, &[1, 130], archive, Missing::Refuse).await.unwrap();
    let moved = move_named(&alice, inbox, &[1, 130], archive, Missing::Refuse).await.unwrap();
    assert_eq!((copied.len(), moved.len()), (2, 2));
}

#[tokio::test]
async fn missing_source_and_target_folders_are_distinguished() {
    let (alice, inbox, _) = filled(1).await;
    let nowhere = FolderId(99);
    for uids in [&[1][..], &[]] {
        assert_eq!(copy_messages(&alice, inbox, uids, nowhere).await, Err(TransferError::NoTarget));
        assert_eq!(copy_messages(&alice, nowhere, uids, inbox).await, Err(TransferError::NoSource));
        assert_eq!(move_messages(&alice, inbox, uids, nowhere).await, Err(TransferError::NoTarget));
        assert_eq!(move_messages(&alice, nowhere, uids, inbox).await, Err(TransferError::NoSource));
    }
}

#[tokio::test]
async fn pages_of_the_longest_details_are_copied_and_moved() {
    let alice = TestNode::new("alice").await;
    let folder = |name: &str| folder_named(&alice, name).unwrap().unwrap().id;
    let (inbox, archive, trash) = (folder("INBOX"), folder("Archive"), folder("Trash"));
    // Random texts: compression gains little.
    let random = || data_encoding::BASE64URL_NOPAD.encode(&alice.random.array::<150>());
    for n in 0..130 {
        let to: Vec<String> = (0..4).map(|_| format!("{} <a@b.example>", random())).collect();
        let subject = [random(), random(), random()].concat();
        let text = format!("Subject: {n} {subject}\r\nTo: {}\r\n\r\n", to.join(", "));
        let blob = alice.blobs.put(text.as_bytes()).unwrap();
        let (id, internal_date) = (IdempotencyKey::new(&alice), alice.clock.now());
        let delivery = Delivery { folder: inbox, blob, id, internal_date, flags: Flags::default() };
        deliver(&alice, delivery).await.unwrap();
    }
    let uids: Vec<u32> = (1..=130).collect();
    assert_eq!(copy_messages(&alice, inbox, &uids, archive).await.unwrap().len(), 130);
    let some: Vec<u32> = (1..=130).step_by(2).collect();
    assert_eq!(move_messages(&alice, inbox, &some, archive).await.unwrap().len(), 65);
    for uid in 131..=195 {
        move_messages(&alice, archive, &[uid], trash).await.unwrap();
    }
    assert_eq!(move_messages(&alice, archive, &uids, trash).await.unwrap().len(), 130);
    assert!(summary(&alice, trash, 195).unwrap().unwrap().subject.starts_with("129 "));
}
