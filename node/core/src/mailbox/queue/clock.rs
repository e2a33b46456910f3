//! Items whose times were written while the machine's clock was ahead.

use super::{DueRow, ItemRow, QueueId, Recipient, RecipientState, due_key, load, recipients};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError, Tx};

/// How many items are looked at for one call.
const ITEMS_MAX: usize = 256;

/// Makes the recipients due at `now` that were tried before and whose next attempt is further away
/// than `pause_max` milliseconds, the longest pause: the clock was set back since. Messages that
/// are sent later on the owner's wish were never tried, and stay. Returns the number of items, of
/// the first 256 that are due so late.
///
/// # Errors
/// When a row is damaged or the store refuses.
pub async fn make_due_after_clock_step(
    node: &Node,
    now: Timestamp,
    pause_max: u64,
) -> Result<usize, StoreError> {
    let latest = now.plus_millis(pause_max);
    let late = Scan::prefix(&[], ITEMS_MAX).after(&due_key(latest, QueueId([0xff; 16])));
    let mut changed = 0;
    for (key, _) in row::scan::<DueRow>(&node.store, &late)? {
        let id = QueueId(row::key_part(&key, 8));
        let is_wrong = load(&node.store, id)?
            .is_some_and(|item| !item.held && item.recipients.iter().any(|to| is_late(to, latest)));
        if !is_wrong {
            continue;
        }
        changed += 1;
        node.store.commit(move |tx| write(tx, id, now, latest)).await?;
    }
    Ok(changed)
}

fn is_late(recipient: &Recipient, latest: Timestamp) -> bool {
    recipient.state == RecipientState::Waiting
        && recipient.attempts > 0
        && recipient.next_attempt > latest
}

fn write(
    tx: &mut Tx<'_>,
    id: QueueId,
    now: Timestamp,
    latest: Timestamp,
) -> Result<(), StoreError> {
    let Some(mut item) = row::get::<ItemRow>(tx, &id.0)? else { return Ok(()) };
    let mut next: Option<Timestamp> = None;
    for (key, mut recipient) in recipients(tx, id)? {
        if is_late(&recipient, latest) {
            recipient.next_attempt = now;
            row::put(tx, &key, &recipient)?;
        }
        if recipient.state == RecipientState::Waiting {
            next = Some(next.map_or(recipient.next_attempt, |at| at.min(recipient.next_attempt)));
        }
    }
    let Some(next) = next else { return Ok(()) };
    row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
    item.next_attempt = next;
    // The time in which it is tried begins again.
    item.created = item.created.min(now);
    row::put_referring(tx, &id.0, &item, &[item.blob])?;
    row::put(tx, &due_key(next, id), &DueRow {})?;
    tx.after(Event::Queue);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::queue::{Outcome, ReportRequest, SendLimits, check, item, record_outcomes};
    use crate::mailbox::{IdempotencyKey, Submission, submit};
    use crate::testing::TestNode;

    const HOUR_MS: u64 = 3_600_000;
    const MONTH_MS: u64 = 30 * 24 * HOUR_MS;

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    async fn queued(node: &TestNode, not_before: Option<Timestamp>) -> QueueId {
        let submission = Submission {
            id: IdempotencyKey::new(node),
            from: "alice@alice.example".into(),
            recipients: vec!["bob@bob.example".to_owned().into()],
            blob: node.blobs.put(b"From: alice@alice.example\r\n\r\nx\r\n").unwrap(),
            copy_to_sent: false,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before,
        };
        submit(node, submission).await.unwrap()
    }

    #[tokio::test]
    async fn item_tried_by_a_clock_ahead_becomes_due() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let start = alice.clock.now();
        let wished = queued(&alice, Some(start.plus_millis(MONTH_MS))).await;
        alice.clock.advance(MONTH_MS - 10 * HOUR_MS);
        let tried = queued(&alice, None).await;
        let later = Outcome::Later { at: alice.clock.now(), reply: "451 later".into() };
        let outcomes = vec![("bob@bob.example".to_owned(), later)];
        record_outcomes(&alice, tried, outcomes).await.unwrap();
        let now = alice.clock.now();
        assert_eq!(make_due_after_clock_step(&alice, now, HOUR_MS).await, Ok(0));
        alice.clock.set(start);
        assert_eq!(make_due_after_clock_step(&alice, start, HOUR_MS).await, Ok(1));
        assert_eq!(make_due_after_clock_step(&alice, start, HOUR_MS).await, Ok(0));
        let found = item(&alice, tried).unwrap().unwrap();
        assert_eq!((found.created, found.next_attempt), (start, start));
        assert_eq!(found.recipients[0].next_attempt, start);
        let found = item(&alice, wished).unwrap().unwrap();
        assert_eq!(found.next_attempt, start.plus_millis(MONTH_MS), "on the owner's wish");
        assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());
    }
}
