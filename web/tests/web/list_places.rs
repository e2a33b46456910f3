//! The way back from a letter to its list, and letters that were moved while their page was open.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::node::Node;
use freehold_core::testing::TestNode;

use crate::browser::Browser;
use crate::mailbox::deliver;

fn id(node: &Node, special: SpecialUse) -> u32 {
    mailbox::special_folder(node, special).unwrap().unwrap().id.0
}

async fn letters(node: &Node, count: usize) {
    for number in 0..count {
        deliver(node, format!("From: a@x.example\r\nSubject: s{number}\r\n\r\nwords\r\n")).await;
    }
}

#[tokio::test]
async fn letter_of_a_later_page_leads_back() {
    let alice = TestNode::new("alice").await;
    letters(&alice, 70).await;
    let inbox = id(&alice, SpecialUse::Inbox);
    let mut owner = Browser::owner(&alice).await;
    let first = owner.get("/home/mail").await;
    let second = first.one("a[rel='next']").attr("href").to_owned();
    let list = owner.get(&second).await;
    let row = list.all(".messages a")[3].attr("href").to_owned();
    let page = owner.get(&row).await;
    let back = page.one(".back a").attr("href").to_owned();
    let (address, anchor) = back.split_once('#').unwrap();
    assert_eq!(address, second);
    let list = owner.get(address).await;
    assert_eq!(list.one(&format!("#{anchor}")).attr("href"), row);
    // Moves, their undo, and marks lead there as well.
    let (path, query) = row.split_once('?').unwrap();
    let inputs = page.all(&format!("form[action='{path}/move'] input"));
    // The first of the forms keeps the letter.
    let fields: Vec<(&str, &str)> =
        inputs.iter().take(3).map(|field| (field.attr("name"), field.attr("value"))).collect();
    assert_eq!(fields[0], ("to", "archive"));
    let moved = owner.post(&format!("{path}/move"), &fields).await.header("location").to_owned();
    assert!(moved.starts_with(&second) && moved.contains("&moved="), "{moved}");
    let list = owner.get(&moved).await;
    let undo = list.one("#undo").attr("action").to_owned();
    let before = query.split_once('=').unwrap().1.to_owned();
    assert_eq!(list.one("#undo [name='before']").attr("value"), before);
    let to = inbox.to_string();
    let undone = owner.post(&undo, &[("to", &to), ("before", &before)]).await;
    assert!(undone.header("location").starts_with(&second));
    let rest = owner.get(&second).await;
    let path = rest.all(".messages a")[0].attr("href").split_once('?').unwrap().0.to_owned();
    let marked = owner.post(&format!("{path}/unread"), &[("before", &before)]).await;
    assert!(marked.header("location").starts_with(&second));
    let letter = format!("{inbox}.40");
    let fields =
        [("folder", to.as_str()), ("before", &before), ("letter", &letter), ("action", "read")];
    let chosen = owner.post("/home/mail/chosen", &fields).await;
    assert!(chosen.header("location").starts_with(&second));
    // The first page has the plain addresses.
    let list = owner.get("/home/mail").await;
    assert_eq!(list.all(".messages a")[1].attr("href"), format!("/home/mail/{inbox}/70"));
    assert_eq!(owner.get(&format!("/home/mail/{inbox}/69?before=x")).await.status.as_u16(), 400);
}

#[tokio::test]
async fn letter_that_was_moved_meanwhile_is_named() {
    let alice = TestNode::new("alice").await;
    letters(&alice, 2).await;
    let (inbox, bin) = (id(&alice, SpecialUse::Inbox), id(&alice, SpecialUse::Trash));
    let mut owner = Browser::owner(&alice).await;
    let page = owner.get(&format!("/home/mail/{inbox}/1")).await;
    let path = format!("/home/mail/{inbox}/1/move");
    let name = page.all(&format!("[action='{path}'] [name='letter']"))[0].attr("value").to_owned();
    let first = owner.post(&path, &[("to", "trash"), ("letter", &name)]).await;
    // A second press finds the letter where it is to be.
    let second = owner.post(&path, &[("to", "trash"), ("letter", &name)]).await;
    assert_eq!(first.header("location"), second.header("location"));
    assert!(owner.get(second.header("location")).await.has("#undo"));
    let stale = owner.post(&path, &[("to", "junk"), ("letter", &name)]).await;
    assert!(stale.header("location").ends_with("?done=gone-to-bin"));
    // In a folder of one's own it is shown there.
    let boat = mailbox::create_folder(&alice, "Boat").await.unwrap().id;
    mailbox::move_messages(&alice, mailbox::FolderId(bin), &[1], boat).await.unwrap();
    let stale = owner.post(&path, &[("to", "junk"), ("letter", &name)]).await;
    assert_eq!(stale.header("location"), format!("/home/mail/{}/1?done=gone-elsewhere", boat.0));
    mailbox::delete_for_good(&alice, boat, &[1]).await.unwrap();
    for name in [name.as_str(), "", "x.y", ".", &"0".repeat(9_000)] {
        let stale = owner.post(&path, &[("to", "junk"), ("letter", name)]).await;
        assert!(stale.header("location").ends_with("?done=gone"), "{name}");
    }
    // Several at once.
    let fields = [("folder", "1"), ("letter", &format!("{inbox}.1,77")), ("action", "read")];
    let chosen = owner.post("/home/mail/chosen", &fields).await;
    assert!(chosen.header("location").ends_with("?done=letters-gone"));
}
