use std::fs::{create_dir_all, write};
use std::os::unix::ffi::OsStrExt;

use freehold_core::clock::Timestamp;
use freehold_core::fs::Fault;
use freehold_core::mailbox::{
    Delivery, Flags, IdempotencyKey, body, create_folder, deliver, folder_named, folders, messages,
};
use freehold_core::testing::TestNode;
use rustix::fs::{CWD, Mode, mkfifoat};

use super::*;
use crate::files::{FilesError, export};

const FROM: &str = "From a@b Tue May  4 12:00:00 2021\n";

fn options(format: Format, path: &Path) -> ImportOptions {
    ImportOptions { format, path: path.into(), into: None, is_mboxrd: false, restores: false }
}

async fn run(node: &Node, options: ImportOptions) -> Result<ImportReport> {
    import(node.clone(), options, Box::new(|_, _, _| ()), Stop::default()).await
}

async fn import_ok(node: &Node, format: Format, path: &Path) -> ImportReport {
    let report = run(node, options(format, path)).await.unwrap();
    assert_eq!(report.left_out.named, Vec::<String>::new());
    report
}

/// A message with its text: UID order, bits, keywords, date in milliseconds.
type Listed = (String, u8, Vec<String>, u64);

fn listed(node: &Node, name: &str) -> Vec<Listed> {
    let Some(folder) = folder_named(node, name).unwrap() else { return Vec::new() };
    let messages = messages(node, folder.id, 1, u32::MAX, 10_000).unwrap();
    let with_text = |message: freehold_core::mailbox::Message| {
        let text = body(node, &message).unwrap().read_all(usize::MAX).unwrap();
        let mut keywords = message.flags.keywords.clone();
        keywords.sort();
        let date = message.internal_date.0;
        (String::from_utf8_lossy(&text).into_owned(), message.flags.bits, keywords, date)
    };
    messages.into_iter().map(with_text).collect()
}

fn texts(node: &Node, name: &str) -> Vec<String> {
    listed(node, name).into_iter().map(|message| message.0).collect()
}

fn all(node: &Node) -> Vec<(String, Vec<Listed>)> {
    let names = folders(node).unwrap().into_iter().map(|folder| folder.name);
    names.map(|name| (name.clone(), listed(node, &name))).collect()
}

fn maildir(dir: &Path) {
    ["cur", "new", "tmp"].iter().for_each(|part| create_dir_all(dir.join(part)).unwrap());
}

/// Messages that are hard to keep, with dates in whole seconds for mbox.
async fn alice() -> TestNode {
    let alice = TestNode::new("alice").await;
    for name in ["Spam", "A.b/C & d/..e", &"ä.".repeat(66), "Empty", "INBOX/x"] {
        create_folder(&alice, name).await.unwrap();
    }
    let texts = [
        "Subject: a\r\n\r\nFrom me\r\n>From you\r\n>>From\r\n\r\n\r\n",
        "Status: RO\r\nX-Status: F\r\nX-UID: 3\r\nX-IMAPbase: 1 2\r\n\r\nStatus: x\r\n",
        "no header\r\nat all\r\n",
        "\r\nbody alone\r\n",
        "Subject: only a header\r\n",
        "A: b\r\n\r\nFrom a@b Tue May  4 12:00:00 2021\r\nC: d\r\n\r\n\0\r\n",
    ];
    for (at, text) in texts.iter().enumerate() {
        for (of, folder) in folders(&alice).unwrap().into_iter().enumerate() {
            if folder.name == "Empty" {
                continue;
            }
            let mut keywords = vec!["$Forwarded".to_owned()];
            keywords.extend((0..35).filter(|n| n % 7 == at).map(|n| format!("k{n}")));
            let delivery = Delivery {
                folder: folder.id,
                blob: alice.blobs.put(text.as_bytes()).unwrap(),
                id: IdempotencyKey::new(&alice),
                internal_date: Timestamp((at as u64 + of as u64 * 3) * 1_000_000_007_000),
                flags: Flags { bits: (at * 5 % 32) as u8, keywords },
            };
            deliver(&alice, delivery).await.unwrap();
        }
    }
    alice
}

#[tokio::test]
async fn exported_mail_is_the_same_after_an_import() {
    let alice = alice().await;
    for format in [Format::Maildir, Format::Mbox] {
        let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
        export(&alice, format, parent.path(), &|_, _| (), &Stop::default()).unwrap();
        let report = import_ok(&bob, format, parent.path()).await;
        assert_eq!((report.outcome.stored, report.outcome.present), (60, 0));
        assert_eq!(all(&alice), all(&bob), "{format:?}");
        let again = import_ok(&bob, format, parent.path()).await;
        assert_eq!((again.outcome.stored, again.outcome.present), (0, 60));
        let back = import_ok(&alice, format, parent.path()).await;
        assert_eq!((back.outcome.stored, back.outcome.present), (0, 60));
    }
}

#[tokio::test]
async fn maildir_keeps_bare_line_feeds_and_long_dates() {
    let (alice, bob) = (TestNode::new("alice").await, TestNode::new("bob").await);
    for (at, text) in ["A: b\n\nc\r\n", "A: b\n\nlf\n", "A: b\r\n\r\n\r\r\n"].iter().enumerate() {
        let delivery = Delivery {
            folder: folder_named(&alice, "INBOX").unwrap().unwrap().id,
            blob: alice.blobs.put(text.as_bytes()).unwrap(),
            id: IdempotencyKey::new(&alice),
            internal_date: Timestamp([1, 253_402_300_799_999, 1_500_000_000_123][at]),
            flags: Flags::default(),
        };
        deliver(&alice, delivery).await.unwrap();
    }
    let parent = tempfile::tempdir().unwrap();
    export(&alice, Format::Maildir, parent.path(), &|_, _| (), &Stop::default()).unwrap();
    import_ok(&bob, Format::Maildir, parent.path()).await;
    let sorted = |node: &Node| {
        let mut found = listed(node, "INBOX");
        found.sort_by_key(|message| message.3);
        found
    };
    assert_eq!(sorted(&alice), sorted(&bob));
}

#[tokio::test]
async fn foreign_maildir_is_imported_with_its_folders() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let dir = parent.path();
    for below in
        ["", ".Gesendete Objekte", ".A.B&AOQ-", "Plain/Sub", "Box.sbd/In", ".K.directory/L"]
    {
        maildir(&dir.join(below));
    }
    write(dir.join("dovecot-keywords"), "0 $Label1\n2 work\nx y\n99 z\n").unwrap();
    write(dir.join("cur/1600000000.x:2,FSac"), "A: 1\n\nx").unwrap();
    write(dir.join("new/1500000000.x"), "A: 2\n\n").unwrap();
    write(dir.join(".Gesendete Objekte/cur/1.x:2,RP"), "A: 3\r\n\r\n").unwrap();
    write(dir.join(".A.B&AOQ-/cur/1.x"), "A: 4\n\n").unwrap();
    let report = import_ok(&bob, Format::Maildir, dir).await;
    assert_eq!(report.outcome.stored, 4);
    let keywords = vec!["$Label1".to_owned(), "work".to_owned()];
    let bits = Flags::SEEN | Flags::FLAGGED;
    let inbox = [
        ("A: 2\r\n\r\n".to_owned(), 0, vec![], 1_500_000_000_000),
        ("A: 1\r\n\r\nx".to_owned(), bits, keywords, 1_600_000_000_000),
    ];
    assert_eq!(listed(&bob, "INBOX"), inbox);
    let sent = &listed(&bob, "Sent")[0];
    assert_eq!((sent.1, &sent.2[..]), (Flags::ANSWERED, &["$Forwarded".to_owned()][..]));
    assert_eq!(texts(&bob, "A/Bä"), ["A: 4\r\n\r\n"]);
    for name in ["Plain/Sub", "Box/In", "K/L"] {
        assert!(folder_named(&bob, name).unwrap().is_some(), "{name}");
    }
    assert_eq!(folder_named(&bob, "INBOX").unwrap().unwrap().recent, 0);
    let into = ImportOptions { into: Some("Old".into()), ..options(Format::Maildir, dir) };
    run(&bob, into).await.unwrap();
    assert_eq!((texts(&bob, "Old").len(), texts(&bob, "Old/Gesendete Objekte").len()), (2, 1));
}

#[tokio::test]
async fn packed_maildir_files_are_unpacked_or_named() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let dir = parent.path();
    maildir(dir);
    let packed = |text: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut out, text).unwrap();
        out.finish().unwrap()
    };
    write(dir.join("cur/1.gz:2,S"), packed(b"Subject: packed\n\nx\n")).unwrap();
    let mut bomb = packed(b"Subject: bomb\n\n");
    let zeros = packed(&vec![0; 16 * 1024 * 1024]);
    (0..40).for_each(|_| bomb.extend_from_slice(&zeros));
    write(dir.join("cur/2.bomb:2,S"), bomb).unwrap();
    write(dir.join("cur/3.cut:2,S"), &packed(b"Subject: cut\n\n")[..12]).unwrap();
    write(dir.join("cur/4.zstd:2,S"), b"(\xb5/\xfd\x04\0").unwrap();
    write(dir.join("cur/5.bzip2:2,S"), b"BZh91AY&SY..").unwrap();
    write(dir.join("cur/6.crypt:2,S"), b"CRYPTED\x03\x07\x02").unwrap();
    let report = run(&bob, options(Format::Maildir, dir)).await.unwrap();
    assert_eq!(texts(&bob, "INBOX"), ["Subject: packed\r\n\r\nx\r\n"]);
    let named = report.left_out.named.join("\n");
    for name in ["2.bomb", "3.cut", "4.zstd", "5.bzip2", "6.crypt"] {
        assert!(named.contains(name), "{name}: {named}");
    }
}

#[tokio::test]
async fn hostile_maildir_is_named_and_never_followed() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let (dir, outside) = (parent.path().join("mail"), parent.path().join("outside"));
    maildir(&dir);
    maildir(&outside);
    write(outside.join("cur/secret"), "A: secret\n\n").unwrap();
    let cur = dir.join("cur");
    mkfifoat(CWD, cur.join("fifo"), Mode::RUSR).unwrap();
    std::os::unix::fs::symlink(outside.join("cur/secret"), cur.join("link")).unwrap();
    std::os::unix::fs::symlink(&outside, dir.join(".Link")).unwrap();
    create_dir_all(cur.join("folder")).unwrap();
    write(cur.join("empty"), "").unwrap();
    let long = std::fs::File::create(cur.join("long")).unwrap();
    long.set_len(MESSAGE_LEN_MAX + 1).unwrap();
    write(cur.join(std::ffi::OsStr::from_bytes(b"1.\xff\xfe:2,S")), "A: 1\n\n").unwrap();
    maildir(&dir.join(std::ffi::OsStr::from_bytes(b".\xe4")));
    for below in ["...", "..a..b", ".%*", ".a\u{7}b", &format!(".{}", "x".repeat(240))] {
        maildir(&dir.join(below));
        write(dir.join(below).join("cur/1.x"), format!("A: {below}\n\n")).unwrap();
    }
    let report = run(&bob, options(Format::Maildir, &dir)).await.unwrap();
    assert_eq!(report.outcome.stored, 6);
    let named = report.left_out.named.join("\n");
    for name in [".Link", "fifo", "link", "folder", "empty", "long"] {
        assert!(named.contains(&format!("{name}: ")), "{name} {named}");
    }
    assert_eq!(report.left_out.count, 6);
    let names: Vec<String> = folders(&bob).unwrap().into_iter().map(|folder| folder.name).collect();
    assert_eq!(names[6..10], ["_", "__", "a/b", "a_b"]);
    assert!(names.contains(&"ä".to_owned()), "{names:?}");
}

#[tokio::test]
async fn gmail_labels_become_folders_and_flags() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let file = parent.path().join("All mail Including Spam and Trash.mbox");
    let message = |at: u32, labels: &str| {
        format!(
            "From 1698@xxx Tue May 04 12:00:00 +0000 2021\r\nX-GM-THRID: {at}\r\n\
             X-Gmail-Labels: {labels}\r\nSubject: {at}\r\n\r\ntext\r\n\r\n"
        )
    };
    let content = message(1, "Inbox,Starred,Work/Rust") + &message(2, "Spam,Unread");
    write(
        &file,
        content + &message(3, "Archived,Important") + &message(4, "=?UTF-8?Q?Gr=C3=BC=C3=9Fe?="),
    )
    .unwrap();
    assert_eq!(import_ok(&bob, Format::Mbox, &file).await.outcome.stored, 5);
    let text = |at: u32| format!("Subject: {at}\r\n\r\ntext\r\n");
    let bits = Flags::SEEN | Flags::FLAGGED;
    assert_eq!(listed(&bob, "INBOX"), [(text(1), bits, vec![], 1_620_129_600_000)]);
    assert_eq!(texts(&bob, "Work/Rust"), [text(1)]);
    assert_eq!(listed(&bob, "Junk"), [(text(2), 0, vec![], 1_620_129_600_000)]);
    assert_eq!((texts(&bob, "Archive"), texts(&bob, "Grüße")), (vec![text(3)], vec![text(4)]));
    assert_eq!(folders(&bob).unwrap().len(), 8);
}

#[tokio::test]
async fn mboxes_of_thunderbird_and_apple_mail_are_found() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let dir = parent.path();
    create_dir_all(dir.join("Sent.sbd")).unwrap();
    create_dir_all(dir.join("Apple.mbox")).unwrap();
    write(dir.join("Inbox"), format!("{FROM}A: 1\n\n\n")).unwrap();
    write(dir.join("Inbox.msf"), "index").unwrap();
    write(dir.join("Sent"), format!("From - \nX-Mozilla-Status: 0009\nA: 2\n\n\n{FROM}A: 3\n\n"))
        .unwrap();
    write(dir.join("Sent.sbd/2020"), format!("{FROM}A: 4\n\n\n")).unwrap();
    write(dir.join("Apple.mbox/mbox"), format!("{FROM}A: 5\n\n\n")).unwrap();
    write(dir.join("notes"), "no mail").unwrap();
    write(dir.join("Nothing"), "").unwrap();
    mkfifoat(CWD, dir.join("fifo"), Mode::RUSR).unwrap();
    let report = run(&bob, options(Format::Mbox, dir)).await.unwrap();
    let counts = (report.outcome.stored, report.deleted_in_source, report.ignored.count);
    assert_eq!((counts, report.left_out.count), ((4, 1, 1), 1), "{report:?}");
    assert_eq!(
        (texts(&bob, "INBOX"), texts(&bob, "Sent/2020")),
        (vec!["A: 1\r\n\r\n".into()], vec!["A: 4\r\n\r\n".into()])
    );
    assert_eq!(texts(&bob, "Apple").len(), 1);
    assert!(folder_named(&bob, "Nothing").unwrap().is_some());
}

#[tokio::test]
async fn mail_from_both_formats_is_imported_once() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let file = parent.path().join("INBOX");
    write(&file, format!("{FROM}A: 1\nStatus: RO\n\nx\n\n{FROM}A: 1\n\nx\n\n")).unwrap();
    let report = import_ok(&bob, Format::Mbox, &file).await;
    assert_eq!((report.outcome.stored, report.outcome.present), (1, 1));
    let dir = parent.path().join("mail");
    maildir(&dir);
    write(dir.join("cur/1.x:2,S"), "A: 1\n\nx\n").unwrap();
    assert_eq!(import_ok(&bob, Format::Maildir, &dir).await.outcome.present, 1);
}

#[tokio::test]
async fn source_without_mail_is_an_error() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let file = parent.path().join("a");
    write(&file, "Subject: no mbox\n\n").unwrap();
    for (format, path, is_read) in [
        (Format::Mbox, file.as_path(), true),
        (Format::Maildir, &file, false),
        (Format::Maildir, parent.path(), true),
        (Format::Mbox, &parent.path().join("none"), false),
    ] {
        let error = run(&bob, options(format, path)).await.unwrap_err();
        let is_right = match error {
            FilesError::NoMail(_) => is_read,
            FilesError::Source(_) => !is_read,
            _ => false,
        };
        assert!(is_right, "{format:?} {path:?} {error}");
    }
}

#[tokio::test]
async fn interrupted_import_goes_on() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let file = parent.path().join("INBOX");
    let content: String = (0..200).map(|n| format!("{FROM}A: {n}\n\ntext\n\n")).collect();
    write(&file, content).unwrap();
    let stop = Stop::default();
    let (raised, calls) = (stop.clone(), std::sync::atomic::AtomicU64::new(0));
    let interrupt = move |_: &'static str, _, _| {
        if calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 99 {
            raised.raise();
        }
    };
    let options = options(Format::Mbox, &file);
    let error = import(bob.clone(), options.clone(), Box::new(interrupt), stop).await.unwrap_err();
    assert!(error.to_string().contains("100 messages were imported"), "{error}");
    let report = run(&bob, options).await.unwrap();
    assert_eq!((report.outcome.stored, report.outcome.present), (100, 100));
    let uids_in_order: Vec<String> = (0..200).map(|n| format!("A: {n}\r\n\r\ntext\r\n")).collect();
    assert_eq!(texts(&bob, "INBOX"), uids_in_order);
}

#[tokio::test]
async fn full_disk_stops_the_import_cleanly() {
    let (bob, parent) = (TestNode::new("bob").await, tempfile::tempdir().unwrap());
    let file = parent.path().join("INBOX");
    let content: String = (0..100).map(|n| format!("{FROM}A: {n}\n\ntext\n\n")).collect();
    write(&file, content).unwrap();
    (2..=100_000).for_each(|call| bob.disk().fail_at(call, Fault::Full));
    let error = run(&bob, options(Format::Mbox, &file)).await.unwrap_err();
    assert!(matches!(error, FilesError::Partly { .. }), "{error}");
    assert!(error.to_string().ends_with("; free some space and run the command again"), "{error}");
    bob.disk().heal();
    let report = import_ok(&bob, Format::Mbox, &file).await;
    assert_eq!(report.outcome.stored + report.outcome.present, 100);
    assert_eq!(texts(&bob, "INBOX").len(), 100);
}
