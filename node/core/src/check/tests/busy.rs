//! A check of a node whose mailbox changes all the time finds nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::check_node;
use crate::blocking::blocking;
use crate::erasure;
use crate::mailbox::{self, Delivery, FlagChange, Flags, FolderId, IdempotencyKey, SpecialUse};
use crate::node::Node;
use crate::testing::TestNode;

async fn deliver(node: &Node, folder: FolderId, number: u32) -> u32 {
    let text = format!("Subject: {number}\r\n\r\n{}", "text ".repeat(number as usize % 5_000));
    let delivery = Delivery {
        folder,
        blob: node.blobs.put(text.as_bytes()).unwrap(),
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    mailbox::deliver(node, delivery).await.unwrap().uid
}

/// Delivers, flags and expunges messages, and removes their blobs, until `ended`.
async fn change(node: Node, folder: FolderId, ended: Arc<AtomicBool>) {
    let mut number = 0;
    // Bounded, because each check reads the whole log.
    while !ended.load(Ordering::Relaxed) && number < 300 * 7919 {
        number += 7919;
        let uid = deliver(&node, folder, number).await;
        let seen = FlagChange::Add(Flags::of(Flags::SEEN));
        mailbox::store_flags(&node, folder, &[uid], seen, None).await.unwrap();
        if uid % 3 == 0 {
            let deleted = FlagChange::Add(Flags::of(Flags::DELETED));
            mailbox::store_flags(&node, folder, &[uid - 1], deleted, None).await.unwrap();
            mailbox::expunge(&node, folder, None).await.unwrap();
        }
        if uid % 50 == 0 {
            node.store.checkpoint().unwrap();
            erasure::unlink(&node).unwrap();
            node.blobs.rewrite_packs(&node.store, 10).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn check_of_a_busy_node_reports_no_damage() {
    let alice = TestNode::new("alice").await;
    alice.blobs.turn_over(&alice.store, &|| true).unwrap();
    let inbox = mailbox::special_folder(&alice, SpecialUse::Inbox).unwrap().unwrap().id;
    for number in 0..40 {
        deliver(&alice, inbox, number).await;
    }
    let ended = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> =
        (0..2).map(|_| tokio::spawn(change(Node::clone(&alice), inbox, ended.clone()))).collect();
    let node = Node::clone(&alice);
    let checks = blocking(move || {
        for number in 0..6 {
            let findings = check_node(&node, &|_, _, _| Ok(())).unwrap();
            assert!(findings.is_sound(), "check {number}: {findings:?}");
        }
    });
    let checked = checks.await;
    ended.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    checked.unwrap();
}
