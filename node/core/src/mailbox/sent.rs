//! One copy in Sent. This node stores a copy of each message that is submitted, and many mail
//! programs append one of their own a moment later, or before. The two are one message if their
//! contents are the same: a program may also append another text under the Message-ID, such as the
//! readable copy of an encrypted message, and then both stay.

mod same;

use super::deliver::{self, DeliverError, Delivery};
use super::folders::FolderId;
use super::read::{Message, content, summaries};
use super::store_flags::{FlagChange, store_flags};
use super::{Flags, SpecialUse, expunge, folder};
use crate::blocking::try_blocking;
use crate::clock::Timestamp;
use crate::node::Node;
use crate::store::{BlobId, StoreError};

/// Messages of one Message-ID that come later than this are two, in milliseconds: a program with a
/// slow line may need minutes for a large message.
const JOIN_MS: u64 = 15 * 60 * 1000;
/// How many messages of Sent are searched, the newest first.
const SEARCHED_MAX: usize = 20;
/// How many messages of one Message-ID are compared.
const COMPARED_MAX: usize = 4;
/// The longest header that is compared, in bytes.
const HEADER_LEN_MAX: usize = 64 * 1024;

/// The maker of a copy in Sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Maker {
    /// This node, at the submission: the copy has a Received field.
    Node,
    /// A mail program.
    Program,
}

/// Stores a message that a mail program appends to a folder. If the folder is Sent and this node
/// has just stored its copy of the same message there, no second one is stored and the first gets
/// the flags. A copy with Bcc recipients, which a sent message has not, replaces the other.
///
/// # Errors
/// As [`super::deliver`].
pub async fn append(node: &Node, delivery: Delivery) -> Result<Message, DeliverError> {
    let is_sent = |folder: super::Folder| folder.special == Some(SpecialUse::Sent);
    if !folder(node, delivery.folder)?.is_some_and(is_sent) {
        return deliver::deliver(node, delivery).await;
    }
    let prepared = deliver::prepare(node, delivery).await?;
    let (id, flags) = (prepared.delivery.folder, prepared.delivery.flags.clone());
    let blob = prepared.delivery.blob.id;
    let Some((message, has_bcc)) =
        recent_copy(node, id, prepared.message_id(), blob, Maker::Node).await?
    else {
        return node.store.commit(move |tx| deliver::insert(tx, &prepared, id)).await;
    };
    if has_bcc {
        let stored = node.store.commit(move |tx| deliver::insert(tx, &prepared, id)).await?;
        let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
        store_flags(node, id, &[message.uid], deleted, None).await?;
        expunge(node, id, Some(&[message.uid])).await?;
        return Ok(stored);
    }
    let missing = flags.without(&message.flags);
    if !missing.is_same(&Flags::default()) {
        store_flags(node, id, &[message.uid], FlagChange::Add(missing), None).await?;
    }
    Ok(message)
}

/// The message of Sent that was stored a moment ago by `maker`, with this Message-ID and the same
/// content as `blob`; and whether `blob` has the field Bcc.
pub(super) async fn recent_copy(
    node: &Node,
    sent: FolderId,
    message_id: Option<&str>,
    blob: BlobId,
    maker: Maker,
) -> Result<Option<(Message, bool)>, StoreError> {
    let Some(message_id) = message_id.filter(|id| !id.is_empty()) else { return Ok(None) };
    let now: Timestamp = node.clock.now();
    let mut found = Vec::new();
    for (message, summary) in summaries(node, sent, None, SEARCHED_MAX)? {
        if summary.message_id.as_deref() != Some(message_id) {
            continue;
        }
        if let Some(content) = content(node, &message)?
            && content.saved <= now
            && now.millis_since(content.saved) < JOIN_MS
        {
            found.push((message, content.blob));
        }
    }
    if found.is_empty() {
        return Ok(None);
    }
    found.truncate(COMPARED_MAX);
    let reading = node.clone();
    try_blocking(move || {
        let Some(new) = same::examine(&reading, &blob)? else { return Ok(None) };
        for (message, stored) in found {
            let Some(stored) = same::examine(&reading, &stored)? else { continue };
            if stored.has_received == (maker == Maker::Node) && stored.content == new.content {
                return Ok(Some((message, new.has_bcc)));
            }
        }
        Ok(None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{
        IdempotencyKey, Submission, folder_named, messages, queue, special_folder, submit,
    };
    use crate::testing::TestNode;

    const MESSAGE: &str = "Message-ID: <one@laptop>\r\nSubject: Tide\r\n\r\ntext\r\n";

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    async fn append_to(node: &Node, name: &str, text: &str) -> Message {
        let delivery = Delivery {
            folder: folder_named(node, name).unwrap().unwrap().id,
            blob: node.blobs.put(text.as_bytes()).unwrap(),
            id: IdempotencyKey::new(node),
            internal_date: node.clock.now(),
            flags: Flags::of(Flags::SEEN | Flags::FLAGGED),
        };
        append(node, delivery).await.unwrap()
    }

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    async fn send(node: &Node, text: &str) {
        let submission = Submission {
            id: IdempotencyKey::new(node),
            from: "alice@alice.example".into(),
            recipients: vec!["bob@bob.example".to_owned().into()],
            blob: node.blobs.put(text.as_bytes()).unwrap(),
            copy_to_sent: true,
            request: queue::ReportRequest::default(),
            limits: queue::SendLimits::NONE,
            not_before: None,
        };
        submit(node, submission).await.unwrap();
    }

    fn in_sent(node: &Node) -> Vec<Message> {
        let sent = special_folder(node, SpecialUse::Sent).unwrap().unwrap();
        messages(node, sent.id, 1, u32::MAX, 10).unwrap()
    }

    #[tokio::test]
    async fn appended_copy_joins_the_submitted_message() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        send(&alice, &format!("Received: by us\r\n{MESSAGE}")).await;
        let joined = append_to(&alice, "Sent", MESSAGE).await;
        let sent = in_sent(&alice);
        assert_eq!((sent.len(), sent[0].uid), (1, joined.uid));
        assert!(sent[0].flags.has(Flags::FLAGGED));
        let with_bcc = format!("Bcc: eve@e.example\r\n{MESSAGE}");
        let hidden = append_to(&alice, "Sent", &with_bcc).await;
        let sent = in_sent(&alice);
        assert_eq!((sent.len(), sent[0].uid), (1, hidden.uid), "no recipient is forgotten");
        // The other way round.
        append_to(&alice, "Sent", &MESSAGE.replace("one", "two")).await;
        send(&alice, &MESSAGE.replace("one", "two")).await;
        assert_eq!(in_sent(&alice).len(), 2);
        assert_eq!(queue::due(&alice, alice.clock.now(), 10).unwrap().len(), 2, "both are sent");
    }

    #[tokio::test]
    async fn other_text_under_one_message_id_stays() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        let readable = MESSAGE.replace("text\r\n", "the readable text\r\n");
        // Two texts of a program.
        append_to(&alice, "Sent", MESSAGE).await;
        let second = append_to(&alice, "Sent", &readable).await;
        let sent = in_sent(&alice);
        assert_eq!((sent.len(), sent[1].uid), (2, second.uid));
        // The readable copy of a message that was encrypted.
        let (encrypted, readable) = (MESSAGE.replace("one", "2"), readable.replace("one", "2"));
        send(&alice, &format!("Received: by us\r\n{encrypted}")).await;
        append_to(&alice, "Sent", &readable).await;
        append_to(&alice, "Sent", &encrypted).await;
        assert_eq!(in_sent(&alice).len(), 4);
        // A second submission has its own copy.
        send(&alice, &format!("Received: by us\r\n{encrypted}")).await;
        assert_eq!(in_sent(&alice).len(), 5);
        // With Bcc, but another text: nothing is replaced.
        append_to(&alice, "Sent", &format!("Bcc: eve@e.example\r\n{readable}")).await;
        assert_eq!(in_sent(&alice).len(), 6);
    }

    #[tokio::test]
    async fn other_messages_are_not_joined() {
        let alice = TestNode::new("alice").await.allowing_queued_mail();
        send(&alice, MESSAGE).await;
        append_to(&alice, "Drafts", MESSAGE).await;
        append_to(&alice, "Sent", &MESSAGE.replace("one", "other")).await;
        append_to(&alice, "Sent", "Subject: no id\r\n\r\n").await;
        append_to(&alice, "Sent", "Subject: no id\r\n\r\n").await;
        assert_eq!(in_sent(&alice).len(), 4);
        alice.clock.advance(JOIN_MS);
        append_to(&alice, "Sent", MESSAGE).await;
        assert_eq!(in_sent(&alice).len(), 5);
        let drafts = folder_named(&alice, "Drafts").unwrap().unwrap();
        assert_eq!(drafts.total, 1);
    }
}
