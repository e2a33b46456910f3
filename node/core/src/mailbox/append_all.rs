//! Several messages in one commit (MULTIAPPEND, RFC 3502).

use super::append::Appender;
use super::deliver::{self, DeliverError, Delivery};
use super::folders::FolderId;
use super::read::Message;
use crate::node::Node;

/// How many messages are appended together at most: a commit has at most 1,000 rows, of which a
/// message takes up to about 15, and small blobs of 16 MiB, of which it takes up to 128 KiB. The
/// small blobs are in memory until the commit.
pub const APPENDED_TOGETHER_MAX: usize = 64;

/// Stores messages in a folder in one commit, all or none, with successive UIDs. Unlike
/// [`super::append`] it does not look for the copy of a sent message.
///
/// # Errors
/// As [`super::deliver`]; nothing is stored then.
pub async fn append_all(
    node: &Node,
    folder: FolderId,
    deliveries: Vec<Delivery>,
) -> Result<Vec<Message>, DeliverError> {
    let mut prepared = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        prepared.push(deliver::prepare(node, delivery).await?);
    }
    node.store
        .commit(move |tx| {
            let mut appender = Appender::open(tx, folder)?;
            let mut messages = Vec::with_capacity(prepared.len());
            for prepared in &prepared {
                tx.attach(&prepared.delivery.blob);
                let new = prepared.message(tx)?;
                messages.push(appender.push(tx, new)?);
            }
            appender.finish(tx)?;
            Ok(messages)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::{
        FlagError, Flags, IdempotencyKey, SpecialUse, check, folder, messages, special_folder,
    };
    use crate::testing::TestNode;

    #[allow(clippy::disallowed_methods, reason = "a test may block")]
    fn delivery(node: &Node, folder: FolderId, text: &[u8], keyword: &str) -> Delivery {
        let keywords = vec![keyword.to_owned()];
        Delivery {
            folder,
            blob: node.blobs.put(text).unwrap(),
            id: IdempotencyKey::new(node),
            internal_date: node.clock.now(),
            flags: Flags { keywords, ..Flags::default() },
        }
    }

    /// A message whose index takes as many rows as it can.
    fn long(number: usize) -> Vec<u8> {
        let ids: String = (0..20).map(|id| format!(" <{number}.{id}@x.example>")).collect();
        let subject = format!("{number:06}").repeat(900);
        format!(
            "Message-ID: <{number}@x.example>\r\nReferences:{ids}\r\nSubject: {subject}\r\n\r\n"
        )
        .into_bytes()
    }

    #[tokio::test]
    async fn largest_multiappend_fits_into_one_commit() {
        let alice = TestNode::new("alice").await;
        let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id;
        for round in 0..2 {
            let texts = (0..APPENDED_TOGETHER_MAX).map(|number| long(round * 1_000 + number));
            let all = texts.map(|text| delivery(&alice, inbox, &text, "one")).collect();
            let before = folder(&alice, inbox).unwrap().unwrap();
            let stored = append_all(&alice, inbox, all).await.unwrap();
            let uids: Vec<u32> = stored.iter().map(|message| message.uid).collect();
            let first = before.uid_next;
            assert_eq!(uids, (first..first + 64).collect::<Vec<_>>());
            let after = folder(&alice, inbox).unwrap().unwrap();
            assert_eq!(after.highest_modseq, before.highest_modseq + 1, "one commit");
        }
        assert_eq!(check(&alice).unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn refused_multiappend_stores_no_message() {
        let alice = TestNode::new("alice").await;
        let inbox = special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id;
        let all = vec![
            delivery(&alice, inbox, b"Subject: one\r\n\r\n", "one"),
            delivery(&alice, inbox, b"Subject: two\r\n\r\n", "bad keyword"),
        ];
        let refused = append_all(&alice, inbox, all).await;
        assert_eq!(refused, Err(DeliverError::Flags(FlagError::BadKeyword)));
        let many = (0..100).map(|number| {
            let text = format!("Subject: {number}\r\n\r\n");
            delivery(&alice, inbox, text.as_bytes(), &format!("keyword{number}"))
        });
        let refused = append_all(&alice, inbox, many.collect()).await;
        assert_eq!(refused, Err(DeliverError::Flags(FlagError::TooManyKeywords)));
        assert!(messages(&alice, inbox, 1, u32::MAX, 10).unwrap().is_empty());
        assert_eq!(folder(&alice, inbox).unwrap().unwrap().uid_next, 1);
    }
}
