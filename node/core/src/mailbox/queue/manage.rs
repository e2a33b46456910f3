//! The queue as its owner manages it: the list, a retry at once, and dropping an item.

use super::limits::HELD;
use super::record::{NOT_DELIVERED, Outcome, RecordError, record_outcomes};
use super::submit::RECORDED_WITHIN;
use super::{
    DueRow, ItemRow, QueueId, QueuedMessage, Recipient, RecipientState, by_friend, due_key, load,
    recipients,
};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::mailbox::deliver;
use crate::mailbox::folders::{FolderId, special_in};
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::{FlagChange, Flags, SpecialUse, read, senders, store_flags, transfer};
use crate::node::Node;
use crate::row;
use crate::store::{Scan, StoreError, Tx};

/// The queued messages, those that are tried next first, at most `limit`.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn queued(node: &Node, limit: usize) -> Result<Vec<QueuedMessage>, StoreError> {
    super::due(node, Timestamp(u64::MAX), limit)
}

/// The ids of the messages that wait for the owner's decision, at most `limit`. It reads no item.
///
/// # Errors
/// As [`queued`].
pub fn held(node: &Node, limit: usize) -> Result<Vec<QueueId>, StoreError> {
    let found = row::scan::<DueRow>(&node.store, &Scan::prefix(&HELD.0.to_be_bytes(), limit))?;
    Ok(found.iter().map(|(key, _)| QueueId(row::key_part(key, 8))).collect())
}

/// The folder and the UID of the copy of a queued message in Sent, if it has one.
///
/// # Errors
/// As [`queued`].
pub fn sent_copy(node: &Node, id: QueueId) -> Result<Option<(FolderId, u32)>, StoreError> {
    deliver::place_of(&node.store, IdempotencyKey::of(&[&id.0]))
}

/// The subject of a queued message, from its copy in Sent; `None` without a copy.
///
/// # Errors
/// As [`queued`].
pub fn subject(node: &Node, id: QueueId) -> Result<Option<String>, StoreError> {
    let Some((folder, uid)) = sent_copy(node, id)? else { return Ok(None) };
    Ok(read::summary(node, folder, uid)?.map(|summary| summary.subject))
}

/// Makes an item due now, also one that is held: then the time in which it is tried begins now.
/// Returns false if there is no such item (any more).
///
/// # Errors
/// As [`queued`].
pub async fn retry(node: &Node, id: QueueId) -> Result<bool, StoreError> {
    let now = node.clock.now();
    let held = super::item(node, id)?.filter(|item| item.held);
    let addresses = held.iter().flat_map(|item| &item.recipients).map(|to| &to.address);
    let is_request = row::get::<ItemRow>(&node.store, &id.0)?.is_some_and(|item| item.is_request());
    let addresses = addresses.filter(|_| !is_request);
    let mut written_to = senders::keys(node, addresses)?;
    let early = written_to.split_off(written_to.len().min(RECORDED_WITHIN));
    if !early.is_empty() {
        node.store.commit(move |tx| senders::record(tx, now, &early)).await?;
    }
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            let Some(mut item) = row::get::<ItemRow>(tx, &id.0)? else { return Ok(false) };
            for (key, mut recipient) in recipients(tx, id)? {
                if recipient.state == RecipientState::Waiting {
                    recipient.next_attempt = now;
                    row::put(tx, &key, &recipient)?;
                }
            }
            row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
            item.next_attempt = now;
            if item.held.take().is_some() {
                item.created = now;
                senders::record(tx, now, &written_to)?;
            }
            row::put_referring(tx, &id.0, &item, &[item.blob])?;
            row::put(tx, &due_key(now, id), &DueRow {})?;
            tx.after(Event::Queue);
            Ok(true)
        })
        .await
}

/// How long before its first attempt an item can no longer be taken back, in milliseconds: the
/// attempt may begin meanwhile.
const LEAVING_MS: u64 = 1000;

/// Whether an item can be taken back at `now`: nobody was tried, and nobody will be in a moment.
pub fn can_be_taken_back(item: &QueuedMessage, now: Timestamp) -> bool {
    let is_new = |to: &Recipient| to.state == RecipientState::Waiting && to.attempts == 0;
    item.recipients.iter().all(is_new) && item.next_attempt > now.plus_millis(LEAVING_MS)
}

/// Takes a message back that was not sent yet: it leaves the queue, and its copy in Sent becomes a
/// draft. Returns the place of the draft; `None` if the message can't be taken back (any more), or
/// has no copy.
///
/// # Errors
/// As [`queued`]. If the copy can't be moved, it stays in Sent, marked as not delivered.
pub async fn take_back(node: &Node, id: QueueId) -> Result<Option<(FolderId, u32)>, StoreError> {
    let clock = node.clock.clone();
    let Some((sent, uid)) = sent_copy(node, id)? else { return Ok(None) };
    let Some(drafts) = special_in(&node.store, SpecialUse::Drafts)? else { return Ok(None) };
    let is_removed = node
        .store
        .commit(move |tx: &mut Tx<'_>| {
            tx.mark_essential();
            let is_early = load(tx, id)?.is_some_and(|item| can_be_taken_back(&item, clock.now()));
            if is_early {
                remove(tx, id)?;
            }
            Ok::<_, StoreError>(is_early)
        })
        .await?;
    if !is_removed {
        return Ok(None);
    }
    let moved = transfer::move_messages(node, sent, &[uid], drafts.id).await;
    let Some((_, uid)) = moved.map_err(unavailable)?.first().copied() else { return Ok(None) };
    let unmarked = Flags { bits: 0, keywords: vec![NOT_DELIVERED.to_owned()] };
    for change in [FlagChange::Remove(unmarked), FlagChange::Add(Flags::of(Flags::DRAFT))] {
        let changed = store_flags::store_flags(node, drafts.id, &[uid], change, None).await;
        changed.map_err(unavailable)?;
    }
    // The form may be sent once more, unchanged.
    let forgotten = node.store.commit(move |tx: &mut Tx<'_>| {
        deliver::forget(tx, IdempotencyKey::of(&[&id.0]));
        Ok::<_, StoreError>(())
    });
    forgotten.await?;
    Ok(Some((drafts.id, uid)))
}

fn unavailable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// Removes an item: no waiting recipient is tried any more, and nothing is reported. The copy in
/// Sent is marked as not delivered. Returns false if there is no such item (any more). The sender
/// of a friend's message gets a report.
///
/// An attempt in progress may still succeed.
///
/// # Errors
/// As [`queued`].
pub async fn drop_item(node: &Node, id: QueueId) -> Result<bool, StoreError> {
    let item = super::item(node, id)?;
    if let Some(relayed) = item.filter(|item| item.on_behalf.is_some()) {
        return give_up_relayed(node, &relayed).await;
    }
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            tx.mark_essential();
            remove(tx, id)
        })
        .await
}

/// Fails every recipient of a friend's message that still waits.
async fn give_up_relayed(node: &Node, item: &QueuedMessage) -> Result<bool, StoreError> {
    let reply = "550 5.7.1 the owner of the sending node has removed the message";
    let waiting = item.recipients.iter().filter(|to| to.state == RecipientState::Waiting);
    let outcomes = waiting.map(|to| (to.address.clone(), Outcome::Failed(reply.to_owned())));
    match record_outcomes(node, item.id, outcomes.collect()).await {
        Ok(()) => Ok(true),
        Err(RecordError::NoSuchItem) => Ok(false),
        Err(RecordError::Store(error)) => Err(error),
        Err(error) => Err(unavailable(error)),
    }
}

/// Removes an item's rows and marks its copy in Sent; false if there is no such item.
fn remove(tx: &mut Tx<'_>, id: QueueId) -> Result<bool, StoreError> {
    let Some(item) = row::get::<ItemRow>(tx, &id.0)? else { return Ok(false) };
    for (key, _) in recipients(tx, id)? {
        row::delete::<Recipient>(tx, &key);
    }
    row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
    row::delete::<ItemRow>(tx, &id.0);
    by_friend::note(tx, id, [])?;
    if let Some((folder, uid)) = deliver::place_of(tx, IdempotencyKey::of(&[&id.0]))? {
        let failed = Flags { bits: 0, keywords: vec![NOT_DELIVERED.to_owned()] };
        store_flags::add_in(tx, folder, uid, failed)?;
    }
    tx.after(Event::Queue);
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::queue::{ReportRequest, SendLimits, next_due};
    use crate::mailbox::{Submission, message, submit};
    use crate::testing::TestNode;

    async fn submitted(node: &TestNode) -> QueueId {
        let submission = Submission {
            id: IdempotencyKey::new(node),
            from: "alice@alice.example".into(),
            recipients: vec!["bob@bob.example".to_owned().into(), "c@c.example".to_owned().into()],
            blob: node.blobs.put(b"Subject: The hill\r\n\r\nShall we?\r\n").unwrap(),
            copy_to_sent: true,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before: None,
        };
        submit(node, submission).await.unwrap()
    }

    async fn delay(node: &TestNode, id: QueueId) -> Timestamp {
        let at = node.clock.now().plus_millis(60_000);
        let later = Outcome::Later { at, reply: "451 later".into() };
        let outcomes = vec![
            ("bob@bob.example".to_owned(), Outcome::Delivered("250 ok".into())),
            ("c@c.example".to_owned(), later),
        ];
        record_outcomes(node, id, outcomes).await.unwrap();
        at
    }

    #[tokio::test]
    async fn delayed_item_is_due_at_once_when_asked() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let id = submitted(&alice).await;
        let at = delay(&alice, id).await;
        assert_eq!(next_due(&alice).unwrap(), Some(at));
        assert!(retry(&alice, id).await.unwrap());
        let now = alice.clock.now();
        let item = &queued(&alice, 10).unwrap()[0];
        assert_eq!((item.next_attempt, item.recipients[1].next_attempt), (now, now));
        assert_eq!(item.recipients[1].attempts, 1);
        assert_eq!(crate::mailbox::queue::check(&alice, true).unwrap(), Vec::<String>::new());
        assert!(!retry(&alice, QueueId([9; 16])).await.unwrap());
    }

    #[tokio::test]
    async fn message_that_waits_is_taken_back_as_a_draft() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let not_before = Some(alice.clock.now().plus_millis(10_000));
        let again = || Submission {
            id: IdempotencyKey([7; 16]),
            from: "alice@alice.example".into(),
            recipients: vec!["bob@bob.example".to_owned().into()],
            blob: alice.blobs.put(b"Subject: The hill\r\n\r\nShall we?\r\n").unwrap(),
            copy_to_sent: true,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before,
        };
        let id = submit(&alice, again()).await.unwrap();
        assert_eq!(next_due(&alice).unwrap(), not_before);
        let (drafts, uid) = take_back(&alice, id).await.unwrap().unwrap();
        let draft = message(&alice, drafts, uid).unwrap().unwrap();
        assert!(draft.flags.has(Flags::DRAFT) && !draft.flags.has_keyword(NOT_DELIVERED));
        assert_eq!((next_due(&alice).unwrap(), sent_copy(&alice, id).unwrap()), (None, None));
        assert_eq!(take_back(&alice, id).await.unwrap(), None);
        // The form in another window sends it after all.
        let id = submit(&alice, again()).await.unwrap();
        assert!(sent_copy(&alice, id).unwrap().is_some());
        alice.clock.advance(9_000);
        assert_eq!(take_back(&alice, id).await.unwrap(), None, "it may be on its way");
        assert_eq!(next_due(&alice).unwrap(), not_before);
        assert_eq!(crate::mailbox::queue::check(&alice, true).unwrap(), Vec::<String>::new());
        assert_eq!(crate::mailbox::check(&alice).unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn dropped_item_is_gone_and_its_copy_marked() {
        let alice = TestNode::new("alice").await;
        let id = submitted(&alice).await;
        delay(&alice, id).await;
        let (folder, uid) = sent_copy(&alice, id).unwrap().unwrap();
        assert!(drop_item(&alice, id).await.unwrap());
        assert_eq!((queued(&alice, 10).unwrap().len(), next_due(&alice).unwrap()), (0, None));
        let copy = message(&alice, folder, uid).unwrap().unwrap();
        assert!(copy.flags.has_keyword(NOT_DELIVERED));
        assert!(!drop_item(&alice, id).await.unwrap());
        // An attempt that was in progress has nothing to record.
        let outcomes = vec![("c@c.example".to_owned(), Outcome::Delivered("250 ok".into()))];
        assert!(record_outcomes(&alice, id, outcomes).await.is_err());
    }
}
