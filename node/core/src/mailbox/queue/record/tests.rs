use super::*;
use crate::mailbox::queue::{
    NOT_DELIVERED, NewRecipient, Notify, ReportRequest, SendLimits, due, item, next_due,
};
use crate::mailbox::{Submission, SubmitError, body, folder_named, messages, submit, summaries};
use crate::testing::TestNode;

fn submission(node: &Node, from: &str, recipients: &[&str]) -> Submission {
    let text = b"From: alice@alice.example\r\nTo: bob@bob.example\r\nSubject: The hill\r\n\r\n\
        Shall we?\r\n";
    Submission {
        id: IdempotencyKey::new(node),
        from: from.into(),
        recipients: recipients.iter().map(|r| (*r).to_owned().into()).collect(),
        blob: node.blobs.put(text).unwrap(),
        copy_to_sent: true,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    }
}

async fn queued(node: &Node, recipients: &[&str]) -> QueueId {
    submit(node, submission(node, "alice@alice.example", recipients)).await.unwrap()
}

fn outcome(address: &str, outcome: Outcome) -> (String, Outcome) {
    (address.to_owned(), outcome)
}

#[tokio::test]
async fn submission_stays_queued_until_every_recipient_is_delivered() {
    let alice = TestNode::new("alice").await;
    assert_eq!(next_due(&alice).unwrap(), None);
    let id = queued(&alice, &["bob@bob.example", "bob@BOB.example", "carol@carol.example"]).await;
    let found = due(&alice, alice.clock.now(), 10).unwrap();
    assert_eq!((found.len(), found[0].id, found[0].recipients.len()), (1, id, 2));
    let sent = folder_named(&alice, "Sent").unwrap().unwrap();
    assert_eq!((sent.total, sent.unseen), (1, 0));

    let later = alice.clock.now().plus_millis(60_000);
    let outcomes = vec![
        outcome("bob@bob.example", Outcome::Delivered("250 ok".into())),
        outcome("carol@carol.example", Outcome::Later { at: later, reply: "451 later".into() }),
    ];
    record_outcomes(&alice, id, outcomes).await.unwrap();
    assert_eq!(due(&alice, alice.clock.now(), 10).unwrap(), []);
    assert_eq!(next_due(&alice).unwrap(), Some(later));
    alice.clock.advance(60_000);
    let again = &due(&alice, alice.clock.now(), 10).unwrap()[0];
    let states: Vec<RecipientState> = again.recipients.iter().map(|r| r.state).collect();
    assert_eq!(states, [RecipientState::Delivered, RecipientState::Waiting]);
    assert_eq!(
        (again.recipients[1].attempts, again.recipients[1].last_reply.as_str()),
        (1, "451 later")
    );
    record_outcomes(
        &alice,
        id,
        vec![outcome("carol@carol.example", Outcome::Delivered(String::new()))],
    )
    .await
    .unwrap();
    assert_eq!((item(&alice, id).unwrap(), next_due(&alice).unwrap()), (None, None));
    assert_eq!(record_outcomes(&alice, id, Vec::new()).await, Err(RecordError::NoSuchItem));
    assert_eq!(folder_named(&alice, "INBOX").unwrap().unwrap().total, 0);
}

#[tokio::test]
async fn failed_recipient_gets_one_dsn() {
    let alice = TestNode::new("alice").await;
    let id = queued(&alice, &["bob@bob.example", "carol@carol.example"]).await;
    let refused = "550 5.1.1 no such user\r\nSubject: injected";
    let failed = vec![outcome("bob@bob.example", Outcome::Failed(refused.into()))];
    record_outcomes(&alice, id, failed.clone()).await.unwrap();
    record_outcomes(&alice, id, failed).await.unwrap();
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap();
    let listed = summaries(&alice, inbox.id, None, 10).unwrap();
    assert_eq!((listed.len(), listed[0].1.subject.as_str()), (1, "Not delivered: The hill"));
    let text =
        String::from_utf8(body(&alice, &listed[0].0).unwrap().read_all(100_000).unwrap()).unwrap();
    let sent = folder_named(&alice, "Sent").unwrap().unwrap();
    let copy = &messages(&alice, sent.id, 1, 1, 1).unwrap()[0];
    assert!(copy.flags.has_keyword(NOT_DELIVERED));
    assert!(text.starts_with("Return-Path: <>\r\nFrom: "), "{text}");
    for part in [
        "report-type=delivery-status",
        "Final-Recipient: rfc822; bob@bob.example",
        "Diagnostic-Code: smtp; 550 5.1.1 no such user",
        "text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n",
        "Status: 5.1.1",
        "Subject: The hill",
        "To: <alice@alice.example>",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        !text.contains("\nSubject: injected")
            && !text.contains("Shall we?")
            && !text.contains("carol@")
    );
    assert!(text.split("\r\n").all(|line| !line.contains(['\r', '\n']) && line.len() < 998));
    record_outcomes(
        &alice,
        id,
        vec![outcome("carol@carol.example", Outcome::Delivered(String::new()))],
    )
    .await
    .unwrap();
    assert_eq!(messages(&alice, inbox.id, 0, u32::MAX, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn failed_dsn_gets_no_dsn() {
    let alice = TestNode::new("alice").await;
    let report = submission(&alice, "", &["bob@bob.example"]);
    let id = submit(&alice, Submission { copy_to_sent: false, ..report }).await.unwrap();
    record_outcomes(&alice, id, vec![outcome("bob@bob.example", Outcome::Failed("550 no".into()))])
        .await
        .unwrap();
    assert_eq!(item(&alice, id).unwrap(), None);
    assert_eq!(folder_named(&alice, "INBOX").unwrap().unwrap().total, 0);
}

#[tokio::test]
async fn submission_with_invalid_recipients_is_refused() {
    let alice = TestNode::new("alice").await;
    assert_eq!(
        submit(&alice, submission(&alice, "alice@alice.example", &[])).await,
        Err(SubmitError::NoRecipient)
    );
    for bad in [
        "bob",
        "@bob.example",
        "bob@",
        "a@b\r\nRCPT TO:<x@y>",
        "<a@b>",
        &format!("{}@b", "a".repeat(400)),
    ] {
        let refused = submit(
            &alice,
            submission(&alice, "alice@alice.example", &["carol@carol.example", bad]),
        )
        .await;
        assert_eq!(refused, Err(SubmitError::BadAddress), "{bad:?}");
    }
    assert_eq!(
        submit(&alice, submission(&alice, "no address", &["b@b.example"])).await,
        Err(SubmitError::BadAddress)
    );
    let many: Vec<String> = (0..501).map(|n| format!("u{n}@b.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        submit(&alice, submission(&alice, "a@a.example", &many)).await,
        Err(SubmitError::TooManyRecipients(501))
    );
    assert_eq!(folder_named(&alice, "Sent").unwrap().unwrap().total, 0);
    let most = submit(&alice, submission(&alice, "a@a.example", &many[..500])).await.unwrap();
    let outcomes = many.iter().map(|r| outcome(r, Outcome::Delivered(String::new()))).collect();
    record_outcomes(&alice, most, outcomes).await.unwrap();
    assert_eq!(next_due(&alice).unwrap(), None);
}

#[tokio::test]
async fn repeated_submission_is_queued_once_even_after_delivery() {
    let alice = TestNode::new("alice").await;
    let id = IdempotencyKey::of(&[b"a form", b"its words"]);
    let twice =
        || Submission { id, ..submission(&alice, "alice@alice.example", &["bob@bob.example"]) };
    let first = submit(&alice, twice()).await.unwrap();
    assert_eq!(submit(&alice, twice()).await, Ok(first));
    assert_eq!(due(&alice, alice.clock.now(), 10).unwrap().len(), 1);
    record_outcomes(
        &alice,
        first,
        vec![outcome("bob@bob.example", Outcome::Delivered("250 ok".into()))],
    )
    .await
    .unwrap();
    assert_eq!(submit(&alice, twice()).await, Ok(first));
    assert_eq!(next_due(&alice).unwrap(), None);
    assert_eq!(folder_named(&alice, "Sent").unwrap().unwrap().total, 1);
}

/// A submission whose recipients want these reports.
async fn queued_with(node: &Node, wanted: &[(&str, Notify)], request: ReportRequest) -> QueueId {
    let recipients = wanted.iter().map(|(address, notify)| NewRecipient {
        address: (*address).to_owned(),
        notify: Some(*notify),
        original: Some(format!("rfc822;first+2B{address}")),
    });
    let submission = Submission {
        recipients: recipients.collect(),
        request,
        ..submission(node, "alice@alice.example", &[])
    };
    submit(node, submission).await.unwrap()
}

/// The reports in the inbox.
fn reports(node: &Node) -> Vec<String> {
    let inbox = folder_named(node, "INBOX").unwrap().unwrap();
    let text = |message| body(node, &message).unwrap().read_all(100_000).unwrap();
    let messages = messages(node, inbox.id, 0, u32::MAX, 10).unwrap();
    messages.into_iter().map(|message| String::from_utf8(text(message)).unwrap()).collect()
}

const SUCCESS: Notify = Notify { success: true, failure: false, delay: false };
const FAILURE: Notify = Notify { success: false, failure: true, delay: false };

#[tokio::test]
async fn dsn_is_sent_only_where_notify_asks() {
    let alice = TestNode::new("alice").await;
    let wanted = [
        ("never@bob.example", Notify::NEVER),
        ("gone@bob.example", SUCCESS),
        ("here@bob.example", SUCCESS),
        ("far@bob.example", SUCCESS),
        ("reporting@bob.example", SUCCESS),
        ("quiet@bob.example", FAILURE),
    ];
    let request = ReportRequest { envelope_id: Some("QQ 7".into()), ..ReportRequest::default() };
    let id = queued_with(&alice, &wanted, request).await;
    let outcomes = vec![
        outcome("never@bob.example", Outcome::Failed("550 5.1.1 no".into())),
        outcome("gone@bob.example", Outcome::Failed("550 5.1.1 no".into())),
        outcome("here@bob.example", Outcome::Delivered("250 2.1.5 ok".into())),
        outcome("far@bob.example", Outcome::Relayed("250 ok".into())),
        outcome("reporting@bob.example", Outcome::PassedOn("250 ok".into())),
        outcome("quiet@bob.example", Outcome::Relayed("250 ok".into())),
    ];
    record_outcomes(&alice, id, outcomes).await.unwrap();
    let reports = reports(&alice);
    assert_eq!(reports.len(), 1);
    let report = &reports[0];
    for part in [
        "Original-Envelope-Id: QQ 7\r\n",
        "Original-Recipient: rfc822; first+here@bob.example\r\n",
        "Final-Recipient: rfc822; here@bob.example\r\nAction: delivered\r\nStatus: 2.1.5\r\n",
        "Final-Recipient: rfc822; far@bob.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n",
    ] {
        assert!(report.contains(part), "{part} in {report}");
    }
    for other in ["never@", "gone@", "reporting@", "quiet@", "Shall we?"] {
        assert!(!report.contains(&format!("Final-Recipient: rfc822; {other}")), "{other}");
    }
}

#[tokio::test]
async fn dsn_returns_the_message_where_ret_asks() {
    let alice = TestNode::new("alice").await;
    let full = ReportRequest { return_full: true, envelope_id: None };
    let id = queued_with(&alice, &[("bob@bob.example", FAILURE)], full.clone()).await;
    let failed = outcome("bob@bob.example", Outcome::Failed("550 no".into()));
    record_outcomes(&alice, id, vec![failed]).await.unwrap();
    let id = queued_with(&alice, &[("eve@bob.example", SUCCESS)], full).await;
    let relayed = outcome("eve@bob.example", Outcome::Relayed("250 ok".into()));
    record_outcomes(&alice, id, vec![relayed]).await.unwrap();
    let reports = reports(&alice);
    assert!(reports[0].contains("Content-Type: message/rfc822\r\n"), "{}", reports[0]);
    assert!(reports[0].contains("\r\n\r\nShall we?\r\n"), "{}", reports[0]);
    assert!(!reports[1].contains("Shall we?"), "only a failure returns the text");
}

#[tokio::test]
async fn delay_is_reported_once_after_four_hours() {
    let alice = TestNode::new("alice").await.allowing_queued_mail();
    let id = queued(&alice, &["bob@bob.example"]).await;
    for hours in 1..7 {
        alice.clock.advance(3_600_000);
        let at = alice.clock.now().plus_millis(1000);
        let later = Outcome::Later { at, reply: "451 4.4.1 later".into() };
        record_outcomes(&alice, id, vec![outcome("bob@bob.example", later)]).await.unwrap();
        let expected = usize::from(hours > 3);
        assert_eq!(reports(&alice).len(), expected, "after {hours} hours");
    }
    assert!(reports(&alice)[0].contains("Action: delayed\r\nStatus: 4.4.1\r\n"));
}

#[tokio::test]
async fn dsn_about_international_address_is_global() {
    let alice = TestNode::new("alice").await;
    let id = queued(&alice, &["дядя@пример.test"]).await;
    let failed = outcome("дядя@пример.test", Outcome::Failed("550 5.1.1 no".into()));
    record_outcomes(&alice, id, vec![failed]).await.unwrap();
    let report = &reports(&alice)[0];
    assert!(report.contains("Content-Type: message/global-delivery-status\r\n"), "{report}");
    assert!(report.contains("Final-Recipient: utf-8; дядя@пример.test\r\n"), "{report}");
}

#[tokio::test]
async fn diagnostic_code_names_smtp_only_for_smtp_replies() {
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, "bob@bob.example").await;
    let to = ["bob@bob.example", "alice@alice.example", "dan@dan.example"];
    let wanted = to.map(|address| (address, SUCCESS));
    let id = queued_with(&alice, &wanted, ReportRequest::default()).await;
    let by_friend = item(&alice, id).unwrap().unwrap().recipients[0].friend().is_some();
    assert!(by_friend);
    let taken = vec![outcome(to[0], Outcome::Delivered("250 2.0.0 taken by the node".into()))];
    record_friend_outcomes(&alice, id, taken).await.unwrap();
    let rest = vec![
        outcome(to[1], Outcome::Delivered("250 2.0.0 here".into())),
        outcome(to[2], Outcome::Relayed("250 2.0.0 queued".into())),
    ];
    record_outcomes(&alice, id, rest).await.unwrap();
    let all = reports(&alice).concat();
    assert!(all.contains("Diagnostic-Code: x-libp2p; 250 2.0.0 taken by the node\r\n"), "{all}");
    assert!(all.contains("Diagnostic-Code: smtp; 250 2.0.0 queued\r\n"), "{all}");
    assert_eq!(all.matches("Diagnostic-Code").count(), 2, "{all}");
}
