use freehold_core::mailbox::QueueId;
use freehold_core::mailbox::queue::{ReportRequest, SendLimits, mark_offered, queued};
use freehold_core::mailbox::{IdempotencyKey, Submission, submit};
use freehold_core::testing::TestNode;

use super::*;

const BOB: &str = "bob@bob.example";
const START: Timestamp = Timestamp(1_000_000);

/// A recipient at a friend's domain; with `is_offered`, one whose node may have the message.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn recipient(is_offered: bool) -> Recipient {
    let (alice, bob) = TestNode::pair().await;
    bob.write_profile(&alice, BOB).await;
    let submission = Submission {
        id: IdempotencyKey::new(&alice),
        from: "alice@alice.example".into(),
        recipients: vec![BOB.to_owned().into()],
        blob: alice.blobs.put(b"From: alice@alice.example\r\n\r\n").unwrap(),
        copy_to_sent: false,
        request: ReportRequest::default(),
        limits: SendLimits::NONE,
        not_before: None,
    };
    let id: QueueId = submit(&alice, submission).await.unwrap();
    if is_offered {
        mark_offered(&alice, id, vec![BOB.to_owned()]).await.unwrap();
    }
    let alice = alice.allowing_queued_mail();
    queued(&alice, 1).unwrap().remove(0).recipients.remove(0)
}

fn facts(after_ms: u64, is_reached: bool) -> Facts {
    let domains = if is_reached { vec!["bob.example".to_owned()] } else { Vec::new() };
    let now = START.plus_millis(after_ms);
    Facts { is_local: false, outbound: Outbound::None, domains, created: START, now }
}

fn is_by_smtp(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::BySmtp(_)))
}

#[tokio::test]
async fn unreached_node_is_replaced_by_smtp_after_minutes() {
    let fresh = recipient(false).await;
    assert_eq!(facts(GRACE_MS - 1, true).unreached(&fresh), None);
    assert!(is_by_smtp(facts(GRACE_MS, true).unreached(&fresh)));
    // Without SMTP it is waited for, two days long.
    for after in [GRACE_MS, TRIED_MS - 1] {
        let outcome = facts(after, false).unreached(&fresh);
        assert!(matches!(outcome, Some(Outcome::Later { .. })), "{outcome:?}");
    }
    let outcome = facts(TRIED_MS, false).unreached(&fresh);
    assert!(matches!(outcome, Some(Outcome::Failed(_))), "{outcome:?}");
}

#[tokio::test]
async fn offered_message_waits_longer_for_its_node() {
    let offered = recipient(true).await;
    assert_eq!(facts(PATIENCE_MS - 1, true).unreached(&offered), None);
    assert!(is_by_smtp(facts(PATIENCE_MS, true).unreached(&offered)));
    let soon = facts(GRACE_MS, true).broken(&offered, "reset");
    assert!(matches!(soon, Outcome::Later { .. }), "{soon:?}");
    assert!(is_by_smtp(Some(facts(PATIENCE_MS, true).broken(&offered, "reset"))));
}

#[tokio::test]
async fn refused_spoof_does_not_go_by_smtp() {
    let to = recipient(false).await;
    let refused = |refusal| facts(0, true).answered(&to, &Answer::Refused(refusal));
    for refusal in [Refusal::Spoofed, Refusal::ByRule, Refusal::TooLarge, Refusal::BadHeader] {
        assert!(matches!(refused(refusal), Some(Outcome::Failed(_))), "{refusal:?}");
    }
    for refusal in [Refusal::NotFriends, Refusal::Unconfirmed, Refusal::NoSuchRecipient] {
        assert!(is_by_smtp(refused(refusal)), "{refusal:?}");
    }
    assert!(is_by_smtp(facts(0, true).answered(&to, &Answer::Unsupported)));
    let unknown = Answer::Accepted { unknown: vec![BOB.to_owned()] };
    assert!(is_by_smtp(facts(0, true).answered(&to, &unknown)));
    let failed = facts(0, false).answered(&to, &unknown);
    assert!(matches!(failed, Some(Outcome::Failed(_))), "{failed:?}");
    let later = facts(0, true).answered(&to, &Answer::Later(60));
    assert!(matches!(later, Some(Outcome::Later { .. })), "{later:?}");
}
