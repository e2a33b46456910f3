//! Messages that leave by an outgoing host: the owner's, which a friend's node sends on, and those
//! of friends, which this node sends on.
//!
//! A recipient of the first kind begins as mail's, which signs the message (DKIM). One commit gives
//! it to federation, with the signature before the text. Recipients that are given together are a
//! batch, whose id stays the same in each try: the friend's node takes a batch once.

use super::{
    DueRow, ItemRow, QueueId, Recipient, RecipientState, by_friend, due_key, recipient_key,
    recipients,
};
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::PersonId;
use crate::mailbox::idempotency::IdempotencyKey;
use crate::mailbox::queue::NewRecipient;
use crate::node::Node;
use crate::row;
use crate::store::{BlobId, StoreError, Tx};

/// The most recipients of a batch: as many as one offer to a friend's node may have.
const BATCH_LEN_MAX: usize = 50;

/// Recipients of the owner's message that a friend's node is to send on.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// The message.
    pub id: QueueId,
    /// The addresses of the recipients; those that no longer wait for SMTP are left out.
    pub addresses: Vec<String>,
    /// The friend.
    pub person: PersonId,
    /// The header fields before the text: the signatures.
    pub prefix: String,
}

/// Gives recipients of mail to federation, for a friend's node as outgoing host.
///
/// # Errors
/// When the store refuses.
pub async fn hand_to_friend(node: &Node, hand_over: HandOver) -> Result<(), StoreError> {
    let now = node.clock.now();
    let salt = node.random.array::<16>();
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            tx.mark_essential();
            let HandOver { id, addresses, person, prefix } = hand_over;
            let Some(mut item) = row::get::<ItemRow>(tx, &id.0)? else { return Ok(()) };
            let mut all = recipients(tx, id)?;
            let mut count = 0;
            for (key, recipient) in &mut all {
                if !recipient.waits_for_smtp() || !addresses.contains(&recipient.address) {
                    continue;
                }
                let batch = (count / BATCH_LEN_MAX).to_be_bytes();
                count += 1;
                recipient.batch = Some(IdempotencyKey::of(&[b"batch", &salt, &batch]).0);
                (recipient.friend, recipient.offered) = (Some(person.0), None);
                (recipient.attempts, recipient.next_attempt) = (0, now);
                recipient.last_reply.clear();
                row::put(tx, key, recipient)?;
            }
            if count == 0 {
                return Ok(());
            }
            by_friend::note(tx, id, all.iter().map(|(_, recipient)| recipient))?;
            row::delete::<DueRow>(tx, &due_key(item.next_attempt, id));
            let waiting = all.iter().filter(|(_, to)| to.state == RecipientState::Waiting);
            item.next_attempt = waiting.map(|(_, to)| to.next_attempt).min().unwrap_or(now);
            item.prefix = Some(prefix);
            row::put_referring(tx, &id.0, &item, &[item.blob])?;
            row::put(tx, &due_key(item.next_attempt, id), &DueRow {})?;
            tx.after(Event::Queue);
            Ok(())
        })
        .await
}

/// A friend's message that this node sends on.
pub(in crate::mailbox) struct Relayed {
    pub(in crate::mailbox) person: PersonId,
    pub(in crate::mailbox) from: String,
    pub(in crate::mailbox) recipients: Vec<NewRecipient>,
    pub(in crate::mailbox) blob: BlobId,
    pub(in crate::mailbox) size: u64,
    /// The trace field.
    pub(in crate::mailbox) prefix: String,
}

/// Queues a friend's message. The owner has not written to its recipients, and no cap of the owner
/// counts them. They go by SMTP alone: a friend of the owner would refuse another author.
pub(in crate::mailbox) fn insert_relayed(
    tx: &mut Tx<'_>,
    id: QueueId,
    relayed: Relayed,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Relayed { person, from, recipients, blob, size, prefix } = relayed;
    let item = ItemRow {
        from,
        blob,
        size,
        created: now,
        next_attempt: now,
        return_full: None,
        envelope_id: None,
        held: None,
        prefix: Some(prefix),
        on_behalf: Some(person.0),
        is_request: Some(true),
    };
    row::put_referring(tx, &id.0, &item, &[blob])?;
    for (index, recipient) in (0u16..).zip(recipients) {
        let waiting = Recipient {
            address: recipient.address,
            state: RecipientState::Waiting,
            attempts: 0,
            last_reply: String::new(),
            next_attempt: now,
            notify: recipient.notify,
            original: recipient.original,
            delay_reported: None,
            friend: None,
            offered: None,
            batch: None,
        };
        row::put(tx, &recipient_key(id, index), &waiting)?;
    }
    row::put(tx, &due_key(now, id), &DueRow {})?;
    tx.after(Event::Queue);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::friends;
    use crate::mailbox::queue::{
        Outbound, Outcome, SendLimits, Submission, check, for_friends, item, outbound,
        record_friend_outcomes, record_outcomes, submit,
    };
    use crate::mailbox::queue::{ReportRequest, mark_offered};
    use crate::testing::TestNode;

    async fn alice_with_bob() -> (TestNode, PersonId) {
        let (alice, bob) = (TestNode::at("alice", "alice.house").await, TestNode::new("bob").await);
        alice.make_friends(&bob).await;
        let person = bob.identity.person().unwrap();
        friends::send_by(&alice, person).await.unwrap();
        assert_eq!(outbound(&alice).unwrap(), Outbound::Friend(person));
        (alice.allowing_queued_mail(), person)
    }

    async fn submitted(alice: &TestNode, to: Vec<String>) -> QueueId {
        let submission = Submission {
            id: IdempotencyKey::new(alice),
            from: "alice@alice.house".into(),
            recipients: to.into_iter().map(Into::into).collect(),
            blob: alice.blobs.put(b"Subject: x\r\n\r\ny\r\n").unwrap(),
            copy_to_sent: false,
            request: ReportRequest::default(),
            limits: SendLimits::NONE,
            not_before: None,
        };
        submit(alice, submission).await.unwrap()
    }

    #[tokio::test]
    async fn each_recipient_has_one_carrier() {
        let (alice, person) = alice_with_bob().await;
        let to: Vec<String> = (0..52).map(|at| format!("{at}@far.house")).collect();
        let id = submitted(&alice, to.clone()).await;
        // One has failed before.
        let failed = |to: &str| vec![(to.to_owned(), Outcome::Delivered("250 ok".into()))];
        record_outcomes(&alice, id, failed(&to[0])).await.unwrap();
        let prefix = "DKIM-Signature: x\r\n".to_owned();
        let hand_over = HandOver { id, addresses: to.clone(), person, prefix: prefix.clone() };
        hand_to_friend(&alice, hand_over).await.unwrap();
        let handed = item(&alice, id).unwrap().unwrap();
        assert_eq!((handed.prefix, for_friends(&alice, 9).unwrap().len()), (prefix, 1));
        let batches: Vec<_> = handed.recipients.iter().map(Recipient::relay_batch).collect();
        assert_eq!((batches[0], batches[1], batches[51]), (None, batches[50], batches[51]));
        assert!(batches[51].is_some() && batches[51] != batches[1]);
        // Mail records nothing any more about those.
        record_outcomes(&alice, id, failed(&to[1])).await.unwrap();
        assert!(item(&alice, id).unwrap().unwrap().recipients[1].waits_for_friend().is_some());
        assert_eq!(mark_offered(&alice, id, to.clone()).await.unwrap().len(), 51);
        // Another way was chosen.
        let back = to.iter().map(|to| (to.clone(), Outcome::BySmtp("451 x".into()))).collect();
        record_friend_outcomes(&alice, id, back).await.unwrap();
        let back = item(&alice, id).unwrap().unwrap();
        assert!(back.recipients[1..].iter().all(Recipient::waits_for_smtp));
        assert_eq!(for_friends(&alice, 9).unwrap(), []);
        assert_eq!(check(&alice, true).unwrap(), Vec::<String>::new());
    }
}
