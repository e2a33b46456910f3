use super::*;
use crate::mailbox::queue::{due, item, next_due};
use crate::mailbox::{Submission, SubmitError, body, folder_named, messages, submit, summaries};
use crate::testing::TestNode;

fn submission(node: &Node, from: &str, recipients: &[&str]) -> Submission {
    let text = b"From: alice@alice.example\r\nTo: bob@bob.example\r\nSubject: The hill\r\n\r\nShall we?\r\n";
    Submission {
        id: IdempotencyKey::new(node),
        from: from.into(),
        recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
        blob: node.blobs.put(text).unwrap(),
        copy_to_sent: true,
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
    assert_eq!((listed.len(), listed[0].1.subject.as_str()), (1, "Not delivered"));
    let text =
        String::from_utf8(body(&alice, &listed[0].0).unwrap().read_all(100_000).unwrap()).unwrap();
    for part in [
        "report-type=delivery-status",
        "Final-Recipient: rfc822; bob@bob.example",
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
