use std::os::unix::fs::MetadataExt;

use freehold_core::clock::Timestamp;
use freehold_core::mailbox::{
    Delivery, FlagChange, Flags, IdempotencyKey, create_folder, deliver, expunge, folder_named,
    store_flags,
};
use freehold_core::testing::TestNode;

use super::*;

/// 9 September 2001, 01:46:40 and a half.
const DATE: Timestamp = Timestamp(1_000_000_000_500);

async fn add(node: &Node, name: &str, text: &str, flags: Flags) {
    let delivery = Delivery {
        folder: folder_named(node, name).unwrap().unwrap().id,
        blob: node.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(node),
        internal_date: DATE,
        flags,
    };
    deliver(node, delivery).await.unwrap();
}

async fn alice() -> TestNode {
    let alice = TestNode::new("alice").await;
    create_folder(&alice, "Lists/v1.0 ä").await.unwrap();
    let flags = Flags {
        bits: Flags::SEEN | Flags::FLAGGED,
        keywords: vec!["$Forwarded".into(), "work".into()],
    };
    let text = "Subject: a\r\n\r\nFrom me\r\n>From you\r\nend";
    add(&alice, "INBOX", text, flags).await;
    add(&alice, "INBOX", "Subject: b\n\r\nmixed", Flags::default()).await;
    add(&alice, "Lists/v1.0 ä", "Subject: c\r\n\r\n", Flags::of(Flags::ANSWERED)).await;
    alice
}

fn run(node: &Node, format: Format, dir: &Path) -> Result<ExportReport> {
    export(node, format, dir, &|_, _| (), &Stop::default())
}

/// The names of the files in a folder, in order.
fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn maildir_has_flags_keywords_and_dates() {
    let (alice, parent) = (alice().await, tempfile::tempdir().unwrap());
    let dir = parent.path().join("new/mail");
    let report = run(&alice, Format::Maildir, &dir).unwrap();
    assert_eq!((report.folders, report.messages, report.left_out.count), (7, 3, 0));
    let [one, two]: [String; 2] = names(&dir.join("cur")).try_into().unwrap();
    assert!(one.starts_with("1000000000.M500000V"), "{one}");
    assert!(one.ends_with("U1.freehold,S=33,W=37:2,FPSab"), "{one}");
    assert!(two.ends_with(",S=18,W=18:2,"), "{two}");
    let path = dir.join("cur").join(&one);
    assert_eq!(std::fs::read(&path).unwrap(), b"Subject: a\n\nFrom me\n>From you\nend");
    let metadata = path.metadata().unwrap();
    assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1_000_000_000, 500_000_000));
    let keywords = std::fs::read_to_string(dir.join("dovecot-keywords")).unwrap();
    assert_eq!(keywords, "0 $Forwarded\n1 work\n");
    let list = dir.join(".Lists.v1&AC4-0 &AOQ-");
    assert!(names(&list.join("cur"))[0].ends_with(":2,R"));
    assert_eq!(names(&list), ["cur", "maildirfolder", "new", "tmp"]);
}

#[tokio::test]
async fn mbox_is_quoted_and_has_status_fields() {
    let (alice, parent) = (alice().await, tempfile::tempdir().unwrap());
    run(&alice, Format::Mbox, parent.path()).unwrap();
    let text = std::fs::read_to_string(parent.path().join("INBOX")).unwrap();
    let expected = "From mboxrd@freehold Sun Sep  9 01:46:40 2001\nSubject: a\n\
        X-IMAPbase: 1777636800 0000000000 $Forwarded work\nStatus: RO\n\
        X-Status: F\nX-Keywords: $Forwarded work\n\n>From me\n>>From you\nend\n\n\
        From mboxrd@freehold Sun Sep  9 01:46:40 2001\nSubject: b\nStatus: O\nX-Status: \n\
        X-Keywords: \n\nmixed\n\n";
    assert_eq!(text, expected);
    assert_eq!(names(&parent.path().join("Lists.sbd")), ["v1.0 ä"]);
}

#[tokio::test]
async fn foreign_folder_is_never_written_to() {
    let (alice, parent) = (alice().await, tempfile::tempdir().unwrap());
    let refused = |format| {
        let error = run(&alice, format, parent.path()).unwrap_err();
        assert!(matches!(error, FilesError::Target(_)), "{error}");
    };
    std::fs::write(parent.path().join("a"), "").unwrap();
    refused(Format::Maildir);
    std::fs::remove_file(parent.path().join("a")).unwrap();
    run(&alice, Format::Maildir, parent.path()).unwrap();
    refused(Format::Maildir);
    let mut manifest = Manifest::read(parent.path()).unwrap();
    manifest.finished = false;
    manifest.write(parent.path()).unwrap();
    refused(Format::Mbox);
    let bob = TestNode::new("bob").await;
    assert!(run(&bob, Format::Maildir, parent.path()).is_err());
}

#[tokio::test]
async fn interrupted_export_goes_on() {
    let (alice, parent) = (alice().await, tempfile::tempdir().unwrap());
    let dir = parent.path();
    let stop = Stop::default();
    let interrupt = |done: u64, _| {
        if done == 2 {
            stop.raise();
        }
    };
    export(&alice, Format::Maildir, dir, &interrupt, &stop).unwrap_err();
    assert_eq!(names(&dir.join("cur")).len(), 2);
    // Meanwhile one message is read, and the other is expunged.
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
    for (uid, bit) in [(1, Flags::ANSWERED), (2, Flags::DELETED)] {
        let add = FlagChange::Add(Flags::of(bit));
        store_flags(&alice, inbox, &[uid], add, None).await.unwrap();
    }
    expunge(&alice, inbox, None).await.unwrap();
    assert_eq!(run(&alice, Format::Maildir, dir).unwrap().messages, 2);
    let names = names(&dir.join("cur"));
    assert!(names.len() == 1 && names[0].ends_with(":2,FPRSab"), "{names:?}");
    assert!(Manifest::read(dir).unwrap().finished);
}

#[tokio::test]
async fn two_exports_do_not_share_a_folder() {
    let (alice, parent) = (alice().await, tempfile::tempdir().unwrap());
    let locked = File::open(parent.path()).unwrap();
    flock(&locked, FlockOperation::NonBlockingLockExclusive).unwrap();
    let error = run(&alice, Format::Mbox, parent.path()).unwrap_err();
    assert!(matches!(error, FilesError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn keywords_beyond_26_have_a_file() {
    let (alice, parent) = (TestNode::new("alice").await, tempfile::tempdir().unwrap());
    let keywords = (0..30).map(|n| format!("k{n}")).collect();
    add(&alice, "INBOX", "Subject: a\r\n\r\n", Flags { bits: 0, keywords }).await;
    run(&alice, Format::Maildir, parent.path()).unwrap();
    let others = std::fs::read_to_string(parent.path().join("freehold-keywords")).unwrap();
    assert!(others.ends_with("U1.freehold k26 k27 k28 k29\n"), "{others}");
}
