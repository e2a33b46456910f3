use super::*;
use crate::mailbox::{
    FlagChange, Message, SpecialUse, check, create_folder, expunge, folder, folder_named, messages,
    move_messages, remove_expunged, special_folder, store_flags, tests::filled,
};
use crate::testing::TestNode;

const DATE: Timestamp = Timestamp(1_000_000_000_000);

fn import<'a>(text: &'a str, flags: &Flags) -> Import<'a> {
    Import { text: text.as_bytes(), internal_date: DATE, flags: flags.clone(), restores: false }
}

/// Imports messages in one commit.
async fn import_all(alice: &TestNode, name: &str, imports: Vec<Import<'_>>) -> ImportOutcome {
    let folder = folder_named(alice, name).unwrap().unwrap();
    let (mut new, mut outcome) = (Vec::new(), ImportOutcome::default());
    for import in imports {
        match prepare_import(alice, &folder, import).unwrap() {
            Preparation::New(prepared) => new.push(*prepared),
            Preparation::Present => outcome.present += 1,
            Preparation::Expunged => outcome.expunged += 1,
        }
    }
    let committed = commit_imports(alice, new).await.unwrap();
    ImportOutcome {
        present: outcome.present + committed.present,
        expunged: outcome.expunged + committed.expunged,
        ..committed
    }
}

fn listed(alice: &TestNode, name: &str) -> Vec<Message> {
    let folder = folder_named(alice, name).unwrap().unwrap();
    messages(alice, folder.id, 1, u32::MAX, 1000).unwrap()
}

#[tokio::test]
async fn imported_message_keeps_date_and_flags() {
    let (alice, inbox) = filled(1).await;
    let flags = Flags { bits: Flags::SEEN, keywords: vec!["$Work".into(), "no atom".into()] };
    let outcome = import_all(&alice, "INBOX", vec![import("Subject: a\r\n\r\n", &flags)]).await;
    assert_eq!((outcome.stored, outcome.without_keywords), (1, 1));
    let message = listed(&alice, "INBOX").pop().unwrap();
    assert_eq!((message.internal_date, message.uid), (DATE, 2));
    assert_eq!(message.flags, Flags { bits: Flags::SEEN, keywords: vec!["$Work".into()] });
    assert_eq!(folder(&alice, inbox).unwrap().unwrap().recent, 0);
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn message_is_imported_once_per_folder() {
    let alice = TestNode::new("alice").await;
    create_folder(&alice, "Lists").await.unwrap();
    let none = Flags::default();
    let twice = || vec![import("Subject: a\r\n\r\n", &none), import("Subject: a\r\n\r\n", &none)];
    let outcome = import_all(&alice, "INBOX", twice()).await;
    assert_eq!((outcome.stored, outcome.present), (1, 1));
    assert_eq!(import_all(&alice, "INBOX", twice()).await.present, 2);
    assert_eq!(import_all(&alice, "Lists", twice()).await.stored, 1, "a copy elsewhere");
    // Moved by the owner since.
    let archive = special_folder(&alice, SpecialUse::Archive).unwrap().unwrap().id;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
    move_messages(&alice, inbox, &[1], archive).await.unwrap();
    assert_eq!(import_all(&alice, "INBOX", twice()).await.present, 2);
}

#[tokio::test]
async fn delivered_message_is_not_imported_again() {
    let (alice, _) = filled(2).await;
    let none = Flags::default();
    let outcome = import_all(&alice, "INBOX", vec![import("Subject: 1\r\n\r\n", &none)]).await;
    assert_eq!((outcome.stored, outcome.present), (0, 1));
}

#[tokio::test]
async fn expunged_message_is_imported_again_on_demand() {
    let alice = TestNode::new("alice").await;
    let (text, none) = ("Subject: a\r\n\r\n", Flags::default());
    import_all(&alice, "INBOX", vec![import(text, &none)]).await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
    let delete = FlagChange::Add(Flags::of(Flags::DELETED));
    store_flags(&alice, inbox, &[1], delete, None).await.unwrap();
    expunge(&alice, inbox, None).await.unwrap();
    assert_eq!(import_all(&alice, "INBOX", vec![import(text, &none)]).await.expunged, 1);
    remove_expunged(&alice).await.unwrap();
    assert_eq!(import_all(&alice, "INBOX", vec![import(text, &none)]).await.expunged, 1);
    let restoring = || Import { restores: true, ..import(text, &none) };
    let outcome = import_all(&alice, "INBOX", vec![restoring(), restoring()]).await;
    assert_eq!((outcome.stored, outcome.present), (1, 1));
    assert_eq!(listed(&alice, "INBOX").len(), 1);
}

#[tokio::test]
async fn commit_takes_32_messages_of_any_length() {
    let alice = TestNode::new("alice").await;
    let long = "x@example.org, ".repeat(1000);
    let texts: Vec<String> = (0..200)
        .map(|n| {
            format!(
                "Message-ID: <{n}@x>\r\nReferences: <a{n}@x> <b{n}@x> <c{n}@x>\r\nTo: {long}\r\n\
                 Subject: {long}\r\nCc: {long}\r\n\r\n{long}"
            )
        })
        .collect();
    let flags = Flags { bits: 0, keywords: (0..100).map(|n| format!("k{n}")).collect() };
    for chunk in texts.chunks(32) {
        let imports = chunk.iter().map(|text| import(text, &flags)).collect();
        assert_eq!(import_all(&alice, "INBOX", imports).await.stored, chunk.len() as u64);
    }
    assert_eq!(listed(&alice, "INBOX")[0].flags.keywords.len(), 50);
    assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
}
