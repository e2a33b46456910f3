//! Several messages at once.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use axum::http::StatusCode;
use freehold_core::mailbox::{self, Flags, Folder, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

fn special(node: &Node, special: SpecialUse) -> Folder {
    mailbox::special_folder(node, special).unwrap().unwrap()
}

/// A node with five messages, of which the first two are a thread; and the inbox's id.
async fn filled() -> (TestNode, String) {
    let alice = TestNode::new("alice").await;
    for number in 0..5 {
        let subject = if number < 2 { "tides".to_owned() } else { format!("s{number}") };
        let text = format!(
            "From: a@x.example\r\nMessage-ID: <{number}@x>\r\nReferences: <0@x>\r\n\
             Subject: {subject}\r\n\r\nwords\r\n"
        );
        deliver(&alice, text).await;
    }
    let inbox = special(&alice, SpecialUse::Inbox).id.0.to_string();
    (alice, inbox)
}

fn flags(node: &Node, folder: &str, bit: u8) -> Vec<u32> {
    let id = mailbox::FolderId(folder.parse().unwrap());
    let all = mailbox::messages(node, id, 1, u32::MAX, 100).unwrap();
    all.iter().filter(|message| message.flags.has(bit)).map(|message| message.uid).collect()
}

#[tokio::test]
async fn chosen_letters_are_marked() {
    let (alice, inbox) = filled().await;
    let mut owner = Browser::owner(&alice).await;
    let (two, three) = (format!("{inbox}.2"), format!("{inbox}.3"));
    let send = |action| {
        vec![("folder", inbox.as_str()), ("letter", &two), ("letter", &three), ("action", action)]
    };
    for (action, bit, marked) in [
        ("read", Flags::SEEN, vec![2, 3]),
        ("unread", Flags::SEEN, vec![]),
        ("flag", Flags::FLAGGED, vec![2, 3]),
        ("unflag", Flags::FLAGGED, vec![]),
    ] {
        let seen = owner.post("/home/mail/chosen", &send(action)).await;
        assert_eq!(seen.location(), format!("/home/mail/{inbox}"));
        assert_eq!(flags(&alice, &inbox, bit), marked, "{action}");
    }
    // The box of a thread means all its messages.
    let fields =
        [("folder", inbox.as_str()), ("letter", &two), ("threads", "1"), ("action", "flag")];
    owner.post("/home/mail/chosen", &fields).await;
    assert_eq!(flags(&alice, &inbox, Flags::FLAGGED), [1, 2]);
    assert!(owner.get("/home/mail").await.has("[data-flagged]"));
}

#[tokio::test]
async fn chosen_letters_are_moved_and_taken_back() {
    let (alice, inbox) = filled().await;
    let mut owner = Browser::owner(&alice).await;
    let list = owner.get("/home/mail").await;
    let boxes = list.all(".messages [name='letter']");
    assert_eq!(boxes.len(), 4);
    let mut fields = vec![("folder", inbox.as_str()), ("threads", "1"), ("action", "trash")];
    fields.extend(boxes.iter().map(|each| ("letter", each.attr("value"))));
    let moved = owner.post("/home/mail/chosen", &fields).await;
    assert_eq!(special(&alice, SpecialUse::Trash).total, 5);
    let list = owner.get(moved.header("location")).await;
    let hidden = list.all("#undo input");
    let mut undo: Vec<(&str, &str)> =
        hidden.iter().map(|input| (input.attr("name"), input.attr("value"))).collect();
    undo.push(("action", "move"));
    let undone = owner.post("/home/mail/chosen", &undo).await;
    assert_eq!(special(&alice, SpecialUse::Inbox).total, 5);
    assert!(!owner.get(undone.header("location")).await.has("#undo"));
    // To a folder of one's own.
    let other = mailbox::create_folder(&alice, "Boat").await.unwrap().id.0.to_string();
    let places = [format!("{inbox}.6"), format!("{inbox}.99")];
    let fields = [
        ("folder", inbox.as_str()),
        ("letter", &places[0]),
        ("letter", &places[1]),
        ("action", "move"),
        ("to", &other),
    ];
    owner.post("/home/mail/chosen", &fields).await;
    assert!(owner.get(&format!("/home/mail/{other}/1")).await.status.is_success());
    let again = owner.post("/home/mail/chosen", &fields).await;
    assert!(again.header("location").contains("done=letters-gone"), "nothing was moved");
}

#[tokio::test]
async fn junk_moves_teach_the_filter() {
    let (alice, inbox) = filled().await;
    let mut owner = Browser::owner(&alice).await;
    let before = mailbox::lessons_learnt(&alice).unwrap();
    let all = format!("{inbox}.1,2,3");
    let fields = [("folder", inbox.as_str()), ("letter", &all), ("action", "junk")];
    owner.post("/home/mail/chosen", &fields).await;
    while mailbox::learn_next(&alice).await.unwrap() {}
    let after = mailbox::lessons_learnt(&alice).unwrap();
    assert_eq!((after.0 - before.0, after.1), (3, before.1));
}

#[tokio::test]
async fn only_bin_and_junk_delete_for_good() {
    let (alice, inbox) = filled().await;
    let mut owner = Browser::owner(&alice).await;
    let one = format!("{inbox}.3");
    let fields = [("folder", inbox.as_str()), ("letter", &one), ("action", "delete")];
    let seen = owner.post("/home/mail/chosen", &fields).await;
    assert_eq!(seen.status, StatusCode::NOT_FOUND);
    assert_eq!(special(&alice, SpecialUse::Inbox).total, 5);
    let fields = [("folder", inbox.as_str()), ("letter", &one), ("action", "trash")];
    owner.post("/home/mail/chosen", &fields).await;
    let bin = special(&alice, SpecialUse::Trash).id.0.to_string();
    let list = owner.get(&format!("/home/mail/{bin}")).await;
    let place = list.one(".messages [name='letter']").attr("value").to_owned();
    let fields = [("folder", bin.as_str()), ("letter", &place), ("action", "delete")];
    owner.post("/home/mail/chosen", &fields).await;
    assert_eq!(special(&alice, SpecialUse::Trash).total, 0);
}

#[tokio::test]
async fn form_that_names_nothing_changes_nothing() {
    let (alice, inbox) = filled().await;
    let mut owner = Browser::owner(&alice).await;
    let many = format!("{inbox}.{}", ["1"; 501].join(","));
    for (letter, action, status) in [
        ("x", "read", 400),
        ("1", "read", 400),
        ("1.x", "read", 400),
        (&many, "read", 400),
        ("1.1", "burn", 400),
        ("1.1", "move", 400),
        ("999.1", "read", 404),
        ("999.1", "trash", 404),
    ] {
        let fields = [("folder", inbox.as_str()), ("letter", letter), ("action", action)];
        let seen = owner.post("/home/mail/chosen", &fields).await;
        assert_eq!(seen.status.as_u16(), status, "{letter} {action}");
    }
    let seen = owner.post("/home/mail/chosen", &[("folder", &inbox), ("action", "read")]).await;
    assert!(seen.header("location").contains("done=nothing-chosen"));
    assert!(flags(&alice, &inbox, Flags::SEEN).is_empty());
    // Back to the results of a search.
    let one = format!("{inbox}.3");
    let fields =
        [("folder", inbox.as_str()), ("letter", &one), ("action", "flag"), ("q", "a b&c=d")];
    let seen = owner.post("/home/mail/chosen", &fields).await;
    assert!(seen.location().starts_with("/home/mail/search?q=a%20b%26c%3Dd&folder="));
}
