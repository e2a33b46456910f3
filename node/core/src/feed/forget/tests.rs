use std::collections::BTreeMap;
use std::path::Path;

use super::super::{RawEntry, heads, read, steps};
use crate::apply;
use crate::audience::Audience;
use crate::blobs::Pinned;
use crate::erasure;
use crate::friends::{self, FriendState};
use crate::fs::{DirEntry, Fs};
use crate::node::Node;
use crate::posts::{Draft, Post};
use crate::publish;
use crate::shares::Limit;
use crate::testing::TestNode;
use crate::timeline;
use freehold_store::testing::traces;

/// A post with the word in its text, which is longer than a row, and with a photo.
async fn posted(node: &TestNode, word: &str) -> Post {
    let [large, small] = [300_000, 1000].map(|len| {
        let mut bytes = node.random.array::<32>().to_vec();
        bytes.resize(len, 7);
        bytes
    });
    let photo = node.store_photo(&large, &small, Audience::Public).await;
    let draft = Draft {
        title: format!("On {word}"),
        text: format!("{word} and more. ").repeat(400),
        photos: vec![photo.id],
        ..Draft::default()
    };
    publish::post(node, draft).await.unwrap()
}

/// Sends everything that `from` said to `to`, with the photos.
async fn send(from: &Node, to: &Node) {
    let person = from.identity.person().unwrap();
    let logs = heads(from, &person).unwrap().into_iter();
    let entries: Vec<RawEntry> =
        logs.flat_map(|head| read(from, &head.log, 0, 256, usize::MAX).unwrap()).collect();
    apply::receive(to, person, entries).await.unwrap();
    for wanted in timeline::wanted_blobs(to, &person, None, 100).unwrap() {
        let bytes = from.blobs.open(&wanted.blob).unwrap().read_all(1 << 20).unwrap();
        let blob: Pinned = to.blobs.put(&bytes).unwrap();
        timeline::blob_arrived(to, person, blob, Limit::NONE).await.unwrap();
    }
}

fn files_below(node: &TestNode, folder: &Path) -> usize {
    let entries = node.disk().list(folder).unwrap().into_iter();
    let count = |entry: DirEntry| match entry.folder {
        true => files_below(node, &folder.join(entry.name)),
        false => 1,
    };
    entries.map(count).sum()
}

/// The number of rows of each table, without those of counters and of erasure.
fn row_counts(node: &Node) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut after: Option<(String, Vec<u8>)> = None;
    loop {
        let from = after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice()));
        let page = node.store.walk(from, 500).unwrap();
        let Some(last) = page.last() else { break };
        after = Some((last.table.clone(), last.key.clone()));
        for row in page {
            *counts.entry(row.table).or_insert(0) += 1;
        }
    }
    let others = ["history_", "shares_", "blobs_", "timeline_seen", "friends_"];
    counts.retain(|table, _| !others.iter().any(|other| table.starts_with(other)));
    counts
}

#[tokio::test]
async fn forgotten_friend_leaves_no_row_and_no_blob() {
    let (alice, bob) = TestNode::pair().await;
    let carol = TestNode::new("carol").await;
    alice.make_friends(&carol).await;
    posted(&alice, "obsidian").await;
    posted(&carol, "feldspar").await;
    send(&carol, &alice).await;
    let (before, bob_id) = (row_counts(&alice), bob.identity.person().unwrap());
    for n in 0..9 {
        let post = posted(&bob, &format!("xylograph {n}")).await;
        match n % 3 {
            0 => publish::delete(&bob, post.id).await.unwrap(),
            1 => {
                let text = "a xylograph".repeat(300);
                let draft = Draft { text, photos: post.photos.clone(), ..Draft::default() };
                publish::edit(&bob, post.id, draft).await.map(drop).unwrap();
            }
            _ => {}
        }
    }
    send(&bob, &alice).await;
    alice.store.checkpoint().unwrap();
    assert!(!traces(&alice.store, &alice.blobs, "xylograph").is_empty());
    let full = files_below(&alice, Path::new("/data/blobs"));
    friends::remove_and_forget(&alice, bob_id).await.unwrap();

    // A stop in the middle: the job goes on at the next start, and a check finds nothing wrong.
    for _ in 0..3 {
        let inside = alice.clone();
        let step = move |tx: &mut crate::store::Tx<'_>| {
            let mut changes = Vec::new();
            steps::job(tx, &inside, &mut changes)?;
            apply::apply(tx, &inside, changes)
        };
        alice.store.commit(step).await.unwrap();
        assert_eq!(super::super::check(&alice).unwrap().wrong, Vec::<String>::new());
    }
    let again = alice.restarted();
    assert_ne!(row_counts(&again), before);
    apply::run_due(&again).await.unwrap();
    assert_eq!(row_counts(&again), before);
    erasure::unlink(&again).unwrap();
    assert!(files_below(&alice, Path::new("/data/blobs")) < full / 2);
    alice.clock.advance(erasure::COMPACT_AFTER);
    erasure::compact(&again).unwrap();
    assert_eq!(traces(&alice.store, &alice.blobs, "xylograph"), Vec::<String>::new());
    for word in ["obsidian", "feldspar"] {
        assert!(!traces(&alice.store, &alice.blobs, word).is_empty(), "{word} stays");
    }
}

#[tokio::test]
async fn friend_who_returns_is_received_from_the_start() {
    let (alice, bob) = TestNode::pair().await;
    let (alice_id, bob_id) = (alice.identity.person(), bob.identity.person().unwrap());
    posted(&bob, "xylograph").await;
    send(&bob, &alice).await;
    assert!(friends::block_and_forget(&alice, bob_id).await.unwrap());
    apply::run_due(&alice).await.unwrap();
    let friend = friends::get(&alice, &bob_id).unwrap().unwrap();
    assert_eq!((friend.state, friend.name.as_str()), (FriendState::Blocked, "Bob"));
    assert_eq!(timeline::page(&alice, None, 10).unwrap(), Vec::new());
    friends::unblock(&alice, bob_id).await.unwrap();
    friends::remove(&bob, alice_id.unwrap()).await.unwrap();
    alice.make_friends(&bob).await;
    send(&bob, &alice).await;
    assert_eq!(timeline::page(&alice, None, 10).unwrap().len(), 1);
}

#[tokio::test]
async fn owner_is_never_forgotten() {
    let alice = TestNode::new("alice").await;
    posted(&alice, "obsidian").await;
    let before = row_counts(&alice);
    friends::remove_and_forget(&alice, alice.identity.person().unwrap()).await.unwrap();
    friends::block_and_forget(&alice, alice.identity.person().unwrap()).await.unwrap();
    apply::run_due(&alice).await.unwrap();
    assert_eq!(row_counts(&alice), before);
}
