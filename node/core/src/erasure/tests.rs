//! Each test plants a word, deletes it and searches blobs, log and snapshots for it.

use super::*;
use crate::apply;
use crate::audience::Audience;
use crate::clock::Clock;
use crate::feed::{self, RawEntry};
use crate::fs::MemoryFs;
use crate::mailbox::{self, Delivery, Flags, IdempotencyKey};
use crate::photos::{self, Photo, Upload};
use crate::posts::{self, Draft, Post};
use crate::publish;
use crate::random::Random;
use crate::testing::{START, TestNode};
use freehold_store::testing::traces;

const HOUR: u64 = 3_600_000;

fn traces_of(node: &Node, word: &str) -> Vec<String> {
    traces(&node.store, &node.blobs, word)
}

/// A post long enough for a blob of its own and for several chunks in the feed.
async fn posted(node: &Node, word: &str) -> Post {
    let draft = Draft {
        title: format!("On {word}"),
        text: format!("{word} and more. ").repeat(400),
        ..Draft::default()
    };
    let saved = posts::save_draft(node, draft).await.unwrap();
    publish::saved_post(node, saved.id).await.unwrap()
}

/// A photo with the word in its file, after the picture and `behind` bytes.
async fn photo(node: &Node, word: &str, behind: usize) -> Photo {
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::new(20, 10).write_to(&mut png, image::ImageFormat::Png).unwrap();
    let mut bytes = png.into_inner();
    bytes.extend(std::iter::repeat_n(7, behind));
    bytes.extend_from_slice(word.as_bytes());
    let file = node.blobs.put(&bytes).unwrap();
    let upload = Upload {
        file,
        file_name: "a.png".into(),
        alt: word.into(),
        caption: String::new(),
        audience: Audience::Public,
    };
    photos::add(node, upload).await.unwrap()
}

async fn message(node: &Node, word: &str) -> mailbox::Message {
    let text = format!("From: bob@bob.example\r\nSubject: {word}\r\n\r\n{word}\r\n");
    let blob = node.blobs.put(text.as_bytes()).unwrap();
    let folder = mailbox::folder_named(node, "INBOX").unwrap().unwrap().id;
    let flags = Flags { bits: Flags::DELETED, ..Flags::default() };
    let delivery = Delivery {
        folder,
        blob,
        id: IdempotencyKey::new(node),
        internal_date: node.clock.now(),
        flags,
    };
    mailbox::deliver(node, delivery).await.unwrap()
}

#[tokio::test]
async fn deleted_data_leaves_log_and_snapshots_within_a_day() {
    let alice = TestNode::new("alice").await;
    let remaining = posted(&alice, "obsidian").await;
    let (post, small) = (posted(&alice, "xylograph").await, photo(&alice, "quagmire", 0).await);
    let large = photo(&alice, "marzipan", 300_000).await;
    let message = message(&alice, "zeppelin").await;
    alice.store.snapshot().unwrap();
    let later = photo(&alice, "labyrinth", 0).await;
    alice.store.snapshot().unwrap();
    let words = ["xylograph", "quagmire", "marzipan", "zeppelin", "labyrinth"];
    for word in words {
        assert!(traces_of(&alice, word).len() > 2, "{word} is in {:?}", traces_of(&alice, word));
    }

    publish::delete(&alice, post.id).await.unwrap();
    for photo in [small.id, large.id, later.id] {
        photos::delete(&alice, photo).await.unwrap();
    }
    mailbox::expunge(&alice, message.folder, None).await.unwrap();
    mailbox::remove_expunged(&alice).await.unwrap();
    unlink(&alice).unwrap();
    for word in words {
        assert!(
            traces_of(&alice, word).iter().all(|trace| ["log", "snapshot", "pack"]
                .iter()
                .any(|part| trace.starts_with(part))),
            "{word}"
        );
    }
    assert_eq!(next_due(&alice).unwrap(), alice.clock.now().min(START.plus_millis(COMPACT_AFTER)));
    alice.clock.advance(COMPACT_AFTER - 1);
    assert_eq!(compact(&alice).unwrap(), Compaction::Nothing);
    alice.clock.advance(1);
    assert_eq!(compact(&alice).unwrap(), Compaction::Full);
    for word in words {
        assert_eq!(traces_of(&alice, word), Vec::<String>::new(), "{word}");
    }
    assert_eq!(
        posts::by_id(&alice, &crate::audience::Visitor::Owner, remaining.id).unwrap(),
        Some(remaining)
    );
    assert!(traces_of(&alice, "obsidian").iter().any(|trace| trace.starts_with("snapshot")));
    assert_eq!(alice.store.verify(&|_| Ok(())).unwrap(), Vec::<String>::new());
    assert_eq!(compact(&alice).unwrap(), Compaction::Nothing);
}

#[tokio::test]
async fn post_retracted_by_a_friend_leaves_log_and_snapshots() {
    let (alice, bob) = TestNode::pair().await;
    let person = alice.identity.person().unwrap();
    let everything = |node: &Node| -> Vec<RawEntry> {
        let heads = feed::heads(node, &person).unwrap();
        heads
            .into_iter()
            .flat_map(|head| feed::read(node, &head.log, 0, 256, usize::MAX).unwrap())
            .collect()
    };
    let post = posted(&alice, "xylograph").await;
    apply::receive(&bob, person, everything(&alice)).await.unwrap();
    bob.store.snapshot().unwrap();
    assert!(traces_of(&bob, "xylograph").len() > 2);
    publish::delete(&alice, post.id).await.unwrap();
    apply::receive(&bob, person, everything(&alice)).await.unwrap();
    bob.clock.advance(COMPACT_AFTER);
    assert_eq!(compact(&bob).unwrap(), Compaction::Full);
    assert_eq!(traces_of(&bob, "xylograph"), Vec::<String>::new());
}

#[tokio::test]
async fn unlink_keeps_blobs_with_another_reference() {
    let alice = TestNode::new("alice").await;
    let (one, other) =
        (photo(&alice, "quagmire", 300_000).await, photo(&alice, "quagmire", 300_000).await);
    assert_eq!(one.original, other.original);
    photos::delete(&alice, one.id).await.unwrap();
    assert_eq!(unlink(&alice).unwrap(), Collected::default());
    assert!(alice.blobs.contains(&other.original).unwrap());
    photos::delete(&alice, other.id).await.unwrap();
    assert!(unlink(&alice).unwrap().files > 0);
    assert!(!alice.blobs.contains(&other.original).unwrap());
}

#[tokio::test]
async fn pinned_blob_is_unlinked_after_its_pin() {
    let alice = TestNode::new("alice").await;
    let (held, other) =
        (photo(&alice, "quagmire", 300_000).await, photo(&alice, "marzipan", 300_000).await);
    let pinned = alice.blobs.pin(&held.original).unwrap();
    for photo in [held.id, other.id] {
        photos::delete(&alice, photo).await.unwrap();
    }
    assert_eq!(unlink(&alice).unwrap().pinned.len(), 1);
    let is_stored = |photo: &Photo| alice.blobs.contains(&photo.original).unwrap();
    assert_eq!((is_stored(&held), is_stored(&other)), (true, false));
    drop(pinned);
    assert_eq!(unlink(&alice).unwrap(), Collected { files: 1, ..Collected::default() });
    assert!(!is_stored(&held));
    assert!(row::scan::<UnlinkRow>(&alice.store, &Scan::prefix(&[], 1)).unwrap().is_empty());
}

#[test]
fn overdue_compaction_runs_after_the_next_start() {
    const T: crate::store::Table = crate::store::Table::referring("things");
    let fs = MemoryFs::new();
    let clock = Clock::manual(START);
    let open = |seed| Node::in_memory_on(fs.clone(), clock.clone(), Random::seeded(seed)).unwrap();
    let node = open(1);
    let blob = node.blobs.put(b"xylograph").unwrap();
    let id = blob.id;
    node.store
        .commit_blocking(move |tx| tx.put_referring(T, b"a", b"xylograph", &[blob.id]))
        .unwrap();
    node.store.snapshot().unwrap();
    let deleted = node.store.commit_blocking(move |tx| {
        tx.delete(T, b"a");
        erase(tx, START, &[id])
    });
    deleted.unwrap();
    node.close();
    drop(node);
    clock.advance(30 * HOUR);
    let node = open(2);
    assert!(!traces_of(&node, "xylograph").is_empty());
    assert!(next_due(&node).unwrap() < clock.now());
    unlink(&node).unwrap();
    assert_eq!(compact(&node).unwrap(), Compaction::Full);
    assert_eq!(traces_of(&node, "xylograph"), Vec::<String>::new());
}

#[test]
fn failed_compaction_stays_due_and_is_repeated() {
    let fs = MemoryFs::new();
    let clock = Clock::manual(START);
    let node = Node::in_memory_on(fs.clone(), clock.clone(), Random::seeded(1)).unwrap();
    node.store.commit_blocking(|tx| erase(tx, START, &[])).unwrap();
    clock.advance(COMPACT_AFTER);
    (1..400).for_each(|call| fs.fail_at(30 + call, crate::fs::Fault::Full));
    compact(&node).unwrap_err();
    fs.heal();
    assert!(next_due(&node).unwrap() <= clock.now());
    assert_eq!(compact(&node).unwrap(), Compaction::Full);
    assert!(next_due(&node).unwrap() > clock.now());
}

#[test]
fn snapshot_is_made_daily_if_rows_changed() {
    let clock = Clock::manual(START);
    let node = Node::in_memory(clock.clone(), Random::seeded(1)).unwrap();
    assert_eq!(compact(&node).unwrap(), Compaction::Nothing);
    clock.advance(25 * HOUR);
    assert_eq!(compact(&node).unwrap(), Compaction::Nothing, "nothing has changed");
    node.store.commit_blocking(|tx| tx.put(crate::store::Table::new("things"), b"a", b"")).unwrap();
    assert_eq!(compact(&node).unwrap(), Compaction::Snapshot);
    node.store.commit_blocking(|tx| tx.put(crate::store::Table::new("things"), b"b", b"")).unwrap();
    assert_eq!(compact(&node).unwrap(), Compaction::Nothing);
    clock.advance(24 * HOUR);
    assert_eq!(compact(&node).unwrap(), Compaction::Snapshot);
}

#[test]
fn damaged_pack_keeps_no_deleted_data_in_log() {
    const T: crate::store::Table = crate::store::Table::referring("things");
    let (fs, clock) = (MemoryFs::new(), Clock::manual(START));
    let node = Node::in_memory_on(fs.clone(), clock.clone(), Random::seeded(1)).unwrap();
    let put = |word: &'static [u8]| {
        let blob = node.blobs.put(word).unwrap();
        let id = blob.id;
        let put = move |tx: &mut Tx<'_>| tx.put_referring(T, word, word, &[blob.id]);
        node.store.commit_blocking(put).unwrap();
        id
    };
    let delete = |word: &'static [u8], id: BlobId| {
        let now = clock.now();
        let deleted = node.store.commit_blocking(move |tx| {
            tx.delete(T, word);
            erase(tx, now, &[id])
        });
        deleted.unwrap();
        unlink(&node).unwrap();
    };
    let (obsidian, xylograph) = (put(b"obsidian"), put(b"xylograph"));
    node.store.snapshot().unwrap();
    delete(b"xylograph", xylograph);
    clock.advance(COMPACT_AFTER);
    let flip = || fs.damage(std::path::Path::new("/data/packs/00000000.pack"), 40, 1).unwrap();
    flip();
    compact(&node).unwrap_err();
    flip();
    assert_eq!(traces_of(&node, "xylograph"), ["pack 0"]);
    // Only the pack is due, until its damaged entry is dead.
    assert!(next_due(&node).unwrap() <= clock.now());
    flip();
    let position = node.store.position();
    compact(&node).unwrap_err();
    assert_eq!(node.store.position(), position);
    delete(b"obsidian", obsidian);
    assert_eq!(traces_of(&node, "xylograph"), Vec::<String>::new());
    assert_eq!(compact(&node).unwrap(), Compaction::Nothing);
    clock.advance(COMPACT_AFTER);
    assert_eq!(compact(&node).unwrap(), Compaction::Full);
    assert_eq!(traces_of(&node, "obsidian"), Vec::<String>::new());
    assert!(next_due(&node).unwrap() > clock.now());
}
