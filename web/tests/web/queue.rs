//! The page of messages that wait to be sent.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::mailbox::queue::SendLimits;
use freehold_core::mailbox::{self, Outcome, SpecialUse, queue};
use freehold_core::mta_sts::Mode;
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

fn with_undo(undo_ms: u64) -> MailEndpoints {
    MailEndpoints {
        host: None,
        imaps: 1,
        smtps: 2,
        is_loopback_only: true,
        message_len_max: 1 << 25,
        trusted_roots: String::new(),
        domains: vec!["b.example".into()],
        limits: SendLimits::NONE,
        undo_ms,
        mta_sts: Mode::Testing,
    }
}

#[tokio::test]
async fn sent_message_is_taken_back_and_sent_again() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner_with_mail(&alice, with_undo(10_000)).await;
    let fields = [
        ("to", "Bob <bob@b.example>, dora@b.example"),
        ("cc", "eve@b.example"),
        ("subject", "The hill"),
        ("text", "Shall we?\r\nAt four."),
    ];
    let sent = owner.post("/home/mail/write", &fields).await.header("location").to_owned();
    let list = owner.get(&sent).await;
    let undo = list.one("#undo").attr("action").to_owned();
    let form = owner.post(&undo, &[]).await.header("location").to_owned();
    assert!(queue::queued(&alice, 9).unwrap().is_empty());
    let page = owner.get(&form).await;
    assert_eq!(page.field("to"), "bob@b.example, dora@b.example");
    assert_eq!(
        (page.field("cc").as_str(), page.field("subject").as_str()),
        ("eve@b.example", "The hill")
    );
    assert!(page.one("textarea").text().contains("At four."));
    let drafts = mailbox::special_folder(&alice, SpecialUse::Drafts).unwrap().unwrap();
    assert_eq!(drafts.total, 1);
    // The draft's page leads to the form as well.
    let draft = format!("/home/mail/{}/1", drafts.id.0);
    assert!(
        owner.get(&draft).await.has(&format!("a[href='/home/mail/write?draft={}.1']", drafts.id.0))
    );
    let place = page.field("draft");
    let again = [("to", "bob@b.example"), ("text", "Shall we not?"), ("draft", place.as_str())];
    let sent = owner.post("/home/mail/write", &again).await.header("location").to_owned();
    let drafts = mailbox::special_folder(&alice, SpecialUse::Drafts).unwrap().unwrap();
    assert_eq!((drafts.total, queue::queued(&alice, 9).unwrap().len()), (0, 1));
    // Too late.
    let undo = owner.get(&sent).await.one("#undo").attr("action").to_owned();
    alice.clock.advance(9_500);
    assert!(!owner.get(&sent).await.has("#undo"));
    assert_eq!(owner.post(&undo, &[]).await.location(), PAGE);
    assert_eq!(queue::queued(&alice, 9).unwrap().len(), 1);
}

#[tokio::test]
async fn message_for_later_waits_until_its_time() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner_with_mail(&alice, with_undo(0)).await;
    for wrong in ["tomorrow", "1999-12-31T23:59", "9999-01-01T00:00"] {
        let fields = [("to", "bob@b.example"), ("text", "x"), ("later", wrong)];
        owner.post("/home/mail/write", &fields).await.fault("later");
    }
    let now = jiff::Timestamp::from_millisecond(alice.clock.now().0 as i64).unwrap();
    let later = now + std::time::Duration::from_secs(3 * 24 * 60 * 60);
    let typed = later.strftime("%Y-%m-%dT%H:%M").to_string();
    let fields = [("to", "bob@b.example"), ("text", "x"), ("later", typed.as_str())];
    assert_eq!(owner.post("/home/mail/write", &fields).await.location(), PAGE);
    let due = mailbox::next_due(&alice).unwrap().unwrap();
    assert!((later.as_millisecond() as u64).abs_diff(due.0) < 60_000, "{due:?}");
    let page = owner.get(PAGE).await;
    assert!(page.has("[data-state='scheduled']"));
    let id = page.one("[data-queued]").attr("data-queued").to_owned();
    owner.post(&format!("{PAGE}/{id}/retry"), &[]).await.location();
    assert_eq!(mailbox::next_due(&alice).unwrap(), Some(alice.clock.now()));
}

#[tokio::test]
async fn message_over_the_cap_waits_for_the_owners_word() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mail = MailEndpoints {
        host: None,
        imaps: 1,
        smtps: 2,
        is_loopback_only: true,
        message_len_max: 1 << 25,
        trusted_roots: String::new(),
        domains: vec!["b.example".into()],
        limits: SendLimits { recipients: 1, new_recipients: 1 },
        undo_ms: 0,
        mta_sts: Mode::Testing,
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

/// Submits a message to `count` recipients, held if `is_held`.
async fn queue_up(node: &TestNode, number: usize, count: usize, is_held: bool) {
    let recipient = |at: usize| format!("r{at}.{number}@b.example").into();
    let limits = SendLimits { recipients: 1, new_recipients: 1 };
    let submission = mailbox::Submission {
        id: mailbox::IdempotencyKey::new(node),
        from: "alice@alice.example".into(),
        recipients: (0..count).map(recipient).collect(),
        blob: node.blobs.put(format!("Subject: q{number}\r\n\r\nx\r\n").as_bytes()).unwrap(),
        copy_to_sent: true,
        request: queue::ReportRequest::default(),
        limits: if is_held { limits } else { SendLimits::NONE },
        not_before: None,
    };
    mailbox::submit(node, submission).await.unwrap();
    node.clock.advance(1);
}

#[tokio::test]
async fn long_queue_is_shown_in_pages() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    queue_up(&alice, 0, 120, false).await;
    for number in 1..60 {
        queue_up(&alice, number, 1, false).await;
    }
    let page = owner.get(PAGE).await;
    assert_eq!(page.all("[data-queued]").len(), 50);
    // Of many recipients some are named.
    assert_eq!(page.one("[data-more]").attr("data-more"), "100");
    assert_eq!(page.all("[data-state]").len(), 20 + 49);
    let whole = owner.get(page.one("[data-more] a").attr("href")).await;
    assert_eq!((whole.all("[data-state]").len(), whole.has("[data-more]")), (120, false));
    let next = page.one("a[rel='next']").attr("href").to_owned();
    let page = owner.get(&next).await;
    assert_eq!((page.all("[data-queued]").len(), page.has("a[rel='next']")), (10, false));
    // A button leads back to the page.
    let last = page.all("[data-queued]")[9].attr("data-queued").to_owned();
    let action = format!("{PAGE}/{last}/drop");
    let place =
        page.all(&format!("[action='{action}'] [name='after']"))[0].attr("value").to_owned();
    let dropped = owner.post(&action, &[("after", &place)]).await;
    assert_eq!(dropped.location(), next);
    assert_eq!(owner.get(&next).await.all("[data-queued]").len(), 9);
    for (path, status) in [
        (format!("{PAGE}?after=x"), 200),
        (format!("{PAGE}?after={}.{}", u64::MAX, "f".repeat(32)), 200),
        (format!("{PAGE}/x"), 404),
        (format!("{PAGE}/{}", "0".repeat(32)), 404),
    ] {
        assert_eq!(owner.get(&path).await.status.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn held_messages_are_released_or_dropped_together() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let mut owner = Browser::owner(&alice).await;
    let held = format!("{PAGE}/held");
    for (action, left) in [("drop", 1), ("send", 3)] {
        for number in 0..2 {
            queue_up(&alice, number, 2, true).await;
        }
        let waiting = queue::held(&alice, 9).unwrap().len();
        assert_eq!(waiting, 2);
        if action == "drop" {
            queue_up(&alice, 9, 1, false).await;
        }
        assert!(owner.get(PAGE).await.has("#all-held"));
        assert_eq!(owner.post(&held, &[("action", "x")]).await.status.as_u16(), 400);
        owner.post(&held, &[("action", action)]).await.location();
        assert_eq!(queue::held(&alice, 9).unwrap().len(), 0);
        assert_eq!(queue::queued(&alice, 9).unwrap().len(), left, "{action}");
        assert!(!owner.get(PAGE).await.has("#all-held"));
    }
    owner.post(&held, &[("action", "send")]).await.location();
}
