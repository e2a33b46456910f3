//! Fixtures of the mailbox tests.

use super::{Delivery, Flags, FolderId, IdempotencyKey, deliver, folder_named};
use crate::testing::TestNode;

mod power;

/// A node with `count` messages in its INBOX.
pub(super) async fn filled(count: u32) -> (TestNode, FolderId) {
    let alice = TestNode::new("alice").await;
    let inbox = folder_named(&alice, "INBOX").unwrap().unwrap().id;
    for n in 0..count {
        let blob = alice.blobs.put(format!("Subject: {n}\r\n\r\n").as_bytes()).unwrap();
        let id = IdempotencyKey::new(&alice);
        deliver(
            &alice,
            Delivery {
                folder: inbox,
                blob,
                id,
                internal_date: alice.clock.now(),
                flags: Flags::default(),
            },
        )
        .await
        .unwrap();
    }
    (alice, inbox)
}
