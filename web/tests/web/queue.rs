//! The page of messages that wait to be sent.

use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mailbox::{self, Outcome, SpecialUse, queue};
use freehold_core::testing::TestNode;
use freehold_web::MailEndpoints;

use crate::browser::Browser;

const PAGE: &str = "/home/mail/queue";

/// Sends a message by the form, and lets one try for it fail.
async fn delayed(node: &TestNode, owner: &mut Browser) {
    let fields = [("to", "bob@b.example"), ("subject", "The <hill>"), ("text", "Shall we?")];
    owner.post("/home/mail/write", &fields).await.location();
    let item = queue::queued(node, 1).unwrap().remove(0);
    let at = node.clock.now().plus_millis(600_000);
    let later = Outcome::Later { at, reply: "451 <later>".to_owned() };
    let outcomes = vec![("bob@b.example".to_owned(), later)];
    mailbox::record_outcomes(node, item.id, outcomes).await.unwrap();
}

#[tokio::test]
async fn waiting_message_is_tried_when_asked() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    assert!(owner.get(PAGE).await.has("#empty-queue"));
    assert!(!owner.get("/home/mail").await.has("#queue-link"));
    delayed(&alice, &mut owner).await;
    assert!(owner.get("/home/mail").await.one("#queue-link").text().contains('1'));
    let page = owner.get(PAGE).await;
    assert!(page.text().contains("The &#60;hill&#62;"), "{}", page.text());
    assert!(page.one("[data-state='waiting']").text().contains("“451 <later>”"));
    let id = page.one("[data-queued]").attr("data-queued").to_owned();
    owner.post(&format!("{PAGE}/{id}/retry"), &[]).await.location();
    assert!(owner.get(PAGE).await.has("[data-state='trying']"));
    assert_eq!(mailbox::next_due(&alice).unwrap(), Some(alice.clock.now()));
}

#[tokio::test]
async fn dropped_message_keeps_its_marked_copy() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    delayed(&alice, &mut owner).await;
    let id = owner.get(PAGE).await.one("[data-queued]").attr("data-queued").to_owned();
    let done = owner.post(&format!("{PAGE}/{id}/drop"), &[]).await.location();
    assert!(owner.get(&done).await.has("#empty-queue"));
    let sent = mailbox::special_folder(&alice, SpecialUse::Sent).unwrap().unwrap();
    assert!(owner.get(&format!("/home/mail/{}", sent.id.0)).await.has("[data-failed]"));
    // The same form once more, and one of no message, change nothing.
    owner.post(&format!("{PAGE}/{id}/drop"), &[]).await.location();
    owner.post(&format!("{PAGE}/{id}/retry"), &[]).await.location();
    assert_eq!(owner.post(&format!("{PAGE}/x/retry"), &[]).await.status.as_u16(), 404);
}

#[tokio::test]
async fn message_over_the_cap_waits_for_the_owners_word() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mail = MailEndpoints {
        host: None,
        imaps: 1,
        smtps: 2,
        is_loopback_only: true,
        domains: vec!["b.example".into()],
        limits: SendLimits { recipients: 1, new_recipients: 1 },
    };
    let mut owner = Browser::owner_with_mail(&alice, mail).await;
    let to_two = [("to", "bob@b.example, dora@b.example"), ("text", "Shall we?")];
    let done = owner.post("/home/mail/write", &to_two).await.location();
    assert!(done.starts_with(PAGE), "{done}");
    let page = owner.get(&done).await;
    assert!(page.has("[data-notice='held']"));
    assert_eq!(page.all("[data-state='held']").len(), 2);
    let id = page.one("[data-queued]").attr("data-queued").to_owned();
    owner.post(&format!("{PAGE}/{id}/retry"), &[]).await.location();
    let page = owner.get(PAGE).await;
    assert!(!page.has("[data-notice='held']"));
    assert_eq!(page.all("[data-state='new']").len(), 2);
}
