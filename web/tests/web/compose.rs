//! Writing a message: recipients as people type them, and the checks before it is sent.

use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mailbox::{self, SpecialUse};
use freehold_core::mta_sts::Mode;
use freehold_core::testing::TestNode;
use freehold_web::MailEndpoints;

use crate::browser::Browser;
use crate::mailbox::deliver;

#[tokio::test]
async fn names_and_friends_are_understood_as_recipients() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let fields = [("to", "\"Doe, Bob\" <bob@b.example>"), ("text", "Dear Bob")];
    let sent = owner.post("/home/mail/write", &fields).await.location();
    let original = owner.get(&format!("{sent}/1/original")).await.text();
    assert!(original.contains("\"Doe, Bob\" <bob@b.example>"), "{original}");
    let seen = owner.post("/home/mail/write", &[("to", "Nobody Known"), ("text", "x")]).await;
    assert!(seen.fault("to").contains("Nobody Known"));
}

#[tokio::test]
async fn empty_message_is_sent_only_when_meant() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let seen = owner.post("/home/mail/write", &[("to", "bob@b.example"), ("text", " ")]).await;
    seen.fault("text");
    assert_eq!(seen.one("[name='empty']").value(), "1");
    let meant = [("to", "bob@b.example"), ("empty", "1")];
    owner.post("/home/mail/write", &meant).await.location();
}

#[tokio::test]
async fn refused_message_opens_at_the_field() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let long = "x".repeat(901);
    for (name, form) in [
        ("to", [("to", "Nobody Known"), ("subject", ""), ("text", "x")]),
        ("subject", [("to", "bob@b.example"), ("subject", &long), ("text", "x")]),
        ("text", [("to", "bob@b.example"), ("subject", ""), ("text", " ")]),
    ] {
        let refused = owner.post("/home/mail/write", &form).await;
        refused.fault(name);
        assert_eq!(refused.one("[autofocus]").attr("name"), name);
    }
    assert!(!owner.get("/home/mail/write").await.has("[autofocus]"));
}

#[tokio::test]
async fn unreachable_domain_is_said_before_sending() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mail = MailEndpoints {
        host: None,
        imaps: 1,
        smtps: 2,
        is_loopback_only: true,
        message_len_max: 1 << 25,
        trusted_roots: String::new(),
        domains: vec!["bob.example".into()],
        limits: SendLimits::NONE,
        undo_ms: 0,
        mta_sts: Mode::Testing,
    };
    let mut owner = Browser::owner_with_mail(&alice, mail).await;
    assert!(owner.get("/home/mail/write").await.one("#to-hint").text().contains("bob.example"));
    let world = [("to", "a@world.example"), ("text", "x")];
    let seen = owner.post("/home/mail/write", &world).await;
    assert!(seen.fault("to").contains("a@world.example"));
    let near = [("to", "bob@BOB.example, alice@alice.example"), ("text", "x")];
    owner.post("/home/mail/write", &near).await.location();
}

#[tokio::test]
async fn link_from_another_site_marks_no_message_as_read() {
    let alice = TestNode::new("alice").await;
    let mut owner = Browser::owner(&alice).await;
    let place = deliver(&alice, "Subject: Tide\r\n\r\ntext\r\n").await;
    let unseen = || mailbox::special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().unseen;
    let path = format!("/home/mail/{place}");
    let request = owner.request("GET", &path).header("sec-fetch-site", "cross-site");
    owner.send(request.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(unseen(), 1);
    owner.get(&path).await;
    assert_eq!(unseen(), 0);
}

#[tokio::test]
async fn move_is_reported_and_undone() {
    let alice = TestNode::new("alice").await;
    let place = deliver(&alice, b"Subject: The survey\r\n\r\nSee you.\r\n").await;
    let inbox = place.split_once('/').unwrap().0;
    let mut owner = Browser::owner(&alice).await;
    let moved = owner.post(&format!("/home/mail/{place}/move"), &[("to", "trash")]).await;
    let list = owner.get(moved.header("location")).await;
    assert!(list.has("#done[role='status']"));
    let undo = list.one("#undo").attr("action").to_owned();
    let undone = owner.post(&undo, &[("to", inbox)]).await;
    let list = owner.get(undone.header("location")).await;
    assert!(list.has("#done") && !list.has("#undo"));
    assert!(list.text().contains("The survey"));
    // A link that names a message which is not there offers nothing.
    for name in ["1.99", "99.1", "1", "x.y", "1.1.1", "-1.1"] {
        let list = owner.get(&format!("/home/mail?moved={name}")).await;
        assert_eq!(list.status.as_u16(), 200, "{name}");
        assert!(!list.has("#undo"), "{name}");
    }
    let again = owner.post(&undo, &[("to", inbox)]).await;
    assert!(!again.header("location").contains("done="), "nothing was moved");
}
