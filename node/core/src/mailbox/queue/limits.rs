//! The caps on what the owner's programs send in a day, so that a stolen password does not make the
//! node a source of junk. A message over them is held in the queue until the owner decides; nothing
//! is lost.

use super::{DueRow, ItemRow, QueueId};
use crate::aliases;
use crate::clock::Timestamp;
use crate::mailbox::senders;
use crate::node::Node;
use crate::row::{self, Rows};
use crate::shares::{self, Allowance, Limit, Share};
use crate::store::{Scan, StoreError, Tx};

/// The caps for a day (in UTC), in recipients of other people's addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// All recipients.
    pub recipients: u64,
    /// Those to whom the owner never wrote before.
    pub new_recipients: u64,
}

impl SendLimits {
    /// No caps.
    pub const NONE: Self = Self { recipients: u64::MAX, new_recipients: u64::MAX };
}

/// The most messages that are held at a time. More are refused: a thief with a password must not
/// fill the disk and the list in which the owner decides.
pub const HELD_MESSAGES_MAX: usize = 200;
/// The most recipients of the messages that are held.
pub const HELD_RECIPIENTS_MAX: usize = 5_000;
/// The most bytes of the messages that are held: 256 MiB.
pub const HELD_LEN_MAX: u64 = 256 * 1024 * 1024;

/// When a held message is due: never.
pub(super) const HELD: Timestamp = Timestamp(u64::MAX);

/// The recipients that a submission counts, with their caps.
pub(super) struct Charges(Vec<(Allowance, u64)>);

impl Charges {
    /// Counts the recipients that are not the owner. It reads rows for each: blocks.
    pub(super) fn of(
        node: &Node,
        limits: SendLimits,
        recipients: &[String],
    ) -> Result<Self, StoreError> {
        if limits == SendLimits::NONE {
            return Ok(Self(Vec::new()));
        }
        let (mut all, mut new) = (0u64, 0u64);
        for address in recipients {
            if !aliases::owns(node, address)? {
                all = all.saturating_add(1);
                new = new.saturating_add(u64::from(!senders::is_known(node, address)?));
            }
        }
        let allowance = |share, count| Allowance { share, limit: Limit { bytes: u64::MAX, count } };
        Ok(Self(vec![
            (allowance(Share::Recipients, limits.recipients), all),
            (allowance(Share::NewRecipients, limits.new_recipients), new),
        ]))
    }

    /// True if a cap leaves no room for the submission.
    pub(super) fn are_over(&self, rows: &impl Rows, now: Timestamp) -> Result<bool, StoreError> {
        for (allowance, count) in &self.0 {
            if *count > 0 && !shares::has_room_for(rows, now, allowance, *count)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Charges the submission within its commit.
    pub(super) fn charge(&self, tx: &mut Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
        for (allowance, count) in self.0.iter().filter(|(_, count)| *count > 0) {
            shares::charge(tx, now, allowance, 0, *count)?;
        }
        Ok(())
    }
}

/// Whether one more message of so many recipients and bytes can be held. It reads the rows of all
/// held messages, whose number is bounded.
pub(super) fn has_room_for_held(
    rows: &impl Rows,
    recipients: usize,
    size: u64,
) -> Result<bool, StoreError> {
    let held = Scan::prefix(&HELD.0.to_be_bytes(), HELD_MESSAGES_MAX);
    let held = row::scan::<DueRow>(rows, &held)?;
    let (mut recipients, mut size) = (recipients, size);
    for (key, _) in &held {
        let id = QueueId(row::key_part(key, 8));
        let item = row::get::<ItemRow>(rows, &id.0)?;
        size = size.saturating_add(item.map_or(0, |item| item.size));
        recipients = recipients.saturating_add(super::recipients(rows, id)?.len());
        if recipients > HELD_RECIPIENTS_MAX {
            break;
        }
    }
    Ok(held.len() < HELD_MESSAGES_MAX && recipients <= HELD_RECIPIENTS_MAX && size <= HELD_LEN_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::queue::{ReportRequest, check, due, next_due, queued, retry};
    use crate::mailbox::{IdempotencyKey, Submission, SubmitError, submit};
    use crate::testing::TestNode;

    const LIMITS: SendLimits = SendLimits { recipients: 5, new_recipients: 3 };

    async fn send(node: &TestNode, to: &[&str]) -> bool {
        let id = try_send(node, to).await.unwrap();
        super::super::item(node, id).unwrap().unwrap().held
    }

    async fn try_send(node: &TestNode, to: &[&str]) -> Result<QueueId, SubmitError> {
        let submission = Submission {
            id: IdempotencyKey::new(node),
            from: "alice@alice.example".into(),
            recipients: to.iter().map(|to| (*to).to_owned().into()).collect(),
            blob: node.blobs.put(b"Subject: x\r\n\r\ny\r\n").unwrap(),
            copy_to_sent: false,
            request: ReportRequest::default(),
            limits: LIMITS,
            not_before: None,
        };
        submit(node, submission).await
    }

    #[tokio::test]
    async fn held_mail_is_bounded() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let many: Vec<String> = (0..500).map(|at| format!("{at}@x.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        for _ in 0..HELD_RECIPIENTS_MAX / many.len() {
            assert!(send(&alice, &many).await);
        }
        let beyond = try_send(&alice, &many[..10]).await;
        assert_eq!(beyond, Err(SubmitError::TooMuchHeld));
        assert!(!send(&alice, &["a@x.example"]).await, "one within the caps is sent");
        let first = queued(&alice, 10).unwrap().into_iter().find(|item| item.held).unwrap();
        assert!(crate::mailbox::queue::drop_item(&alice, first.id).await.unwrap());
        assert!(send(&alice, &many[..10]).await);
        assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());

        let bob = TestNode::new("bob").await.allowing_queued_mail();
        assert!(!has_room_for_held(&bob.store, 1, HELD_LEN_MAX + 1).unwrap());
        for _ in 0..HELD_MESSAGES_MAX {
            assert!(send(&bob, &many[..4]).await);
        }
        assert_eq!(try_send(&bob, &many[..4]).await, Err(SubmitError::TooMuchHeld));
    }

    #[tokio::test]
    async fn message_over_a_cap_is_held() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        assert!(!send(&alice, &["a@x.example", "b@x.example"]).await);
        assert!(send(&alice, &["c@x.example", "d@x.example"]).await, "four new ones");
        assert!(!send(&alice, &["c@x.example"]).await, "a held message counts nothing");
        assert!(!send(&alice, &["a@x.example", "b@x.example"]).await, "known ones");
        assert!(send(&alice, &["a@x.example"]).await, "six recipients");
        assert!(!send(&alice, &["alice@alice.example"]).await, "the owner is not counted");
        alice.clock.advance(24 * 60 * 60 * 1000);
        assert!(!send(&alice, &["d@x.example"]).await);
        assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn held_message_is_sent_when_the_owner_says_so() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let many: Vec<String> = (0..500).map(|at| format!("{at}@x.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(send(&alice, &many).await);
        let item = queued(&alice, 1).unwrap().remove(0);
        alice.clock.advance(100 * 60 * 60 * 1000);
        let now = alice.clock.now();
        assert_eq!(
            (due(&alice, now, 10).unwrap().len(), next_due(&alice).unwrap()),
            (0, Some(HELD))
        );
        assert!(!senders::is_known(&alice, "7@x.example").unwrap());
        assert!(retry(&alice, item.id).await.unwrap());
        let item = due(&alice, now, 10).unwrap().remove(0);
        assert!(!item.held && item.recipients.iter().all(|to| to.next_attempt == now));
        assert_eq!(item.created, now, "the time of trying begins now");
        assert!(senders::is_known(&alice, "499@x.example").unwrap());
        assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());
    }
}
