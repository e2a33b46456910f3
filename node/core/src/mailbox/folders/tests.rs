use super::*;
use crate::mailbox::change::ChangeRow;
use crate::mailbox::delete_folder::{DeletedFolderRow, delete_folder};
use crate::mailbox::{Delivery, Flags, IdempotencyKey, deliver, initialise, messages};
use crate::testing::TestNode;

#[tokio::test]
async fn special_folders_exist_and_keep_their_names() {
    let alice = TestNode::new("alice").await;
    initialise(&alice).await.unwrap();
    let all = folders(&alice).unwrap();
    let names: Vec<(&str, &str)> = all.iter().map(|f| (f.name.as_str(), f.title())).collect();
    assert_eq!(
        names,
        [
            ("INBOX", "Inbox"),
            ("Drafts", "Drafts"),
            ("Sent", "Sent"),
            ("Archive", "Kept"),
            ("Junk", "Junk"),
            ("Trash", "Bin")
        ]
    );
    let inbox = folder_named(&alice, "inBox").unwrap().unwrap();
    assert_eq!(rename_folder(&alice, inbox.id, "Post").await, Err(FolderError::Special));
    assert_eq!(delete_folder(&alice, inbox.id).await, Err(FolderError::Special));
    assert_eq!(create_folder(&alice, "Inbox").await, Err(FolderError::Exists));
}

#[tokio::test]
async fn recreated_folder_has_a_higher_uidvalidity() {
    let alice = TestNode::new("alice").await;
    let first = create_folder(&alice, "Lists/rust/").await.unwrap();
    assert_eq!(first.name, "Lists/rust");
    delete_folder(&alice, first.id).await.unwrap();
    let second = create_folder(&alice, "Lists/rust").await.unwrap();
    assert!(second.uid_validity > first.uid_validity && second.id > first.id);
    for bad in ["", " a", "a\n", "a*", "a%b", "a/b/c/d/e/f/g/h/i/j/k", &"x".repeat(201)] {
        assert_eq!(create_folder(&alice, bad).await, Err(FolderError::BadName), "{bad:?}");
    }
    assert_eq!(create_folder(&alice, "INBOX/kin").await.unwrap().name, "INBOX/kin");
    assert_eq!(create_folder(&alice, "inbox/kin").await, Err(FolderError::Exists));
}

#[tokio::test]
async fn folder_level_that_breaks_programs_is_refused() {
    let alice = TestNode::new("alice").await;
    let kept = create_folder(&alice, ".a/b../...").await.unwrap();
    for bad in [
        ".",
        "..",
        "./",
        "../x",
        "x/..",
        "x/./y",
        "../../etc/x",
        "/",
        "/x",
        "x//y",
        "x//",
        "a\0",
        "a\u{7f}",
        "a\u{85}",
        "a/ b",
    ] {
        assert_eq!(create_folder(&alice, bad).await, Err(FolderError::BadName), "{bad:?}");
        let renamed = rename_folder(&alice, kept.id, bad).await;
        assert_eq!(renamed, Err(FolderError::BadName), "{bad:?}");
    }
    assert_eq!(folder(&alice, kept.id).unwrap().unwrap().name, ".a/b../...");
}

#[tokio::test]
async fn renamed_folder_keeps_children_and_uidvalidity() {
    let alice = TestNode::new("alice").await;
    let top = create_folder(&alice, "a").await.unwrap();
    let child = create_folder(&alice, "a/b").await.unwrap();
    let sibling = create_folder(&alice, "ab").await.unwrap();
    rename_folder(&alice, top.id, "c").await.unwrap();
    let name = |id| folder(&alice, id).unwrap().unwrap().name;
    assert_eq!([name(top.id), name(child.id), name(sibling.id)], ["c", "c/b", "ab"]);
    assert_eq!(rename_folder(&alice, top.id, "c/d").await, Err(FolderError::BadName));
    assert_eq!(rename_folder(&alice, top.id, "ab").await, Err(FolderError::Exists));
    assert_eq!(rename_folder(&alice, FolderId(999), "x").await, Err(FolderError::NoSuchFolder));
    let renamed = folder(&alice, child.id).unwrap().unwrap();
    assert_eq!((renamed.uid_validity, renamed.uid_next), (child.uid_validity, child.uid_next));
}

#[tokio::test]
async fn interrupted_folder_deletion_resumes_at_the_next_start() {
    let alice = TestNode::new("alice").await;
    let deleted = create_folder(&alice, "deleted").await.unwrap();
    for n in 0..250u32 {
        let blob = alice.blobs.put(format!("Subject: {n}\r\n\r\n").as_bytes()).unwrap();
        let id = IdempotencyKey::new(&alice);
        let delivery = Delivery {
            folder: deleted.id,
            blob,
            id,
            internal_date: alice.clock.now(),
            flags: Flags::default(),
        };
        deliver(&alice, delivery).await.unwrap();
    }
    // The state after a stop between the first commit and the next.
    let id = deleted.id;
    let cut = alice.store.commit(move |tx| {
        row::delete::<Folder>(tx, &id.key());
        row::put(tx, &id.key(), &DeletedFolderRow {})
    });
    cut.await.unwrap();
    initialise(&alice).await.unwrap();
    assert_eq!(messages(&alice, deleted.id, 0, u32::MAX, 10).unwrap(), []);
    assert_eq!(
        row::scan::<DeletedFolderRow>(&alice.store, &Scan::prefix(&[], 10)).unwrap().len(),
        0
    );
    assert_eq!(alice.store.scan(ChangeRow::TABLE, &Scan::prefix(&id.key(), 10)).unwrap().len(), 0);
    assert_eq!(delete_folder(&alice, id).await, Err(FolderError::NoSuchFolder));
}
