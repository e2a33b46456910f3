//! Replacing a message by another one (REPLACE, RFC 8508): a program saves a draft again.

use super::FlagError;
use super::deliver::{self, DeliverError, Delivery};
use super::expunge::expunge_within;
use super::folders::FolderId;
use super::read::Message;
use crate::node::Node;

/// Why a message was not replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// The message to be replaced does not exist.
    #[error("the message to be replaced does not exist any more")]
    Expunged,
    /// The new message can't be stored.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
}

impl From<FlagError> for ReplaceError {
    fn from(error: FlagError) -> Self {
        match error {
            FlagError::NoSuchFolder => Self::Expunged,
            error => Self::Deliver(error.into()),
        }
    }
}

impl From<crate::store::StoreError> for ReplaceError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Deliver(error.into())
    }
}

/// Stores a message and expunges the one with UID `uid` of `folder`, in one commit: a program never
/// sees both, and neither is lost.
///
/// # Errors
/// When there is no such message or the new one can't be stored; nothing is changed then.
pub async fn replace(
    node: &Node,
    delivery: Delivery,
    folder: FolderId,
    uid: u32,
) -> Result<Message, ReplaceError> {
    let prepared = deliver::prepare(node, delivery).await?;
    node.store
        .commit(move |tx| {
            if expunge_within(tx, prepared.now(), folder, &[uid], |_| true)?.is_empty() {
                return Err(ReplaceError::Expunged);
            }
            Ok(deliver::insert(tx, &prepared, prepared.delivery.folder)?)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{
        Flags, IdempotencyKey, SpecialUse, check, folder, messages, special_folder,
    };
    use crate::testing::TestNode;

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    fn draft(node: &Node, folder: FolderId, text: &str) -> Delivery {
        Delivery {
            folder,
            blob: node.blobs.put(text.as_bytes()).unwrap(),
            id: IdempotencyKey::new(node),
            internal_date: node.clock.now(),
            flags: Flags::of(Flags::DRAFT),
        }
    }

    fn uids(node: &Node, folder: FolderId) -> Vec<u32> {
        let messages = messages(node, folder, 1, u32::MAX, 10).unwrap();
        messages.iter().map(|message| message.uid).collect()
    }

    #[tokio::test]
    async fn replaced_message_is_expunged_in_the_same_commit() {
        let alice = TestNode::new("alice").await;
        let [drafts, sent] = [SpecialUse::Drafts, SpecialUse::Sent]
            .map(|special| special_folder(&alice, special).unwrap().unwrap().id);
        deliver::deliver(&alice, draft(&alice, drafts, "Subject: a\r\n\r\n")).await.unwrap();
        let second = draft(&alice, drafts, "Subject: b\r\n\r\n");
        assert_eq!(replace(&alice, second, drafts, 1).await.unwrap().uid, 2);
        assert_eq!(uids(&alice, drafts), [2]);
        // The new message may go to another folder (RFC 8508 3.1).
        let third = draft(&alice, sent, "Subject: c\r\n\r\n");
        assert_eq!(replace(&alice, third, drafts, 2).await.unwrap().folder, sent);
        assert_eq!((uids(&alice, drafts), uids(&alice, sent)), (vec![], vec![1]));
        assert_eq!(folder(&alice, drafts).unwrap().unwrap().total, 0);
        assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn refused_replace_changes_no_folder() {
        let alice = TestNode::new("alice").await;
        let drafts = special_folder(&alice, SpecialUse::Drafts).unwrap().unwrap().id;
        deliver::deliver(&alice, draft(&alice, drafts, "Subject: a\r\n\r\n")).await.unwrap();
        let new = || draft(&alice, drafts, "Subject: b\r\n\r\n");
        assert_eq!(replace(&alice, new(), drafts, 7).await, Err(ReplaceError::Expunged));
        assert_eq!(replace(&alice, new(), FolderId(999), 1).await, Err(ReplaceError::Expunged));
        let nowhere = Delivery { folder: FolderId(999), ..new() };
        let no_target = Err(ReplaceError::Deliver(DeliverError::NoSuchFolder));
        assert_eq!(replace(&alice, nowhere, drafts, 1).await, no_target);
        assert_eq!(uids(&alice, drafts), [1]);
        assert_eq!(folder(&alice, drafts).unwrap().unwrap().uid_next, 2);
    }
}
