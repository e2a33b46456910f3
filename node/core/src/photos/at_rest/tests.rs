//! Each test plants a word in renditions and searches the files of the disk for it.

use std::path::PathBuf;

use super::*;
use crate::audience::Audience;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::fs::{self, Fault, Fs, MemoryFs};
use crate::photos::rows::PendingRow;
use crate::photos::{self, Size};
use crate::posts::{self, Draft, Post};
use crate::publish;
use crate::random::Random;
use crate::testing::{START, TestNode};

/// The bytes of two renditions: one long enough for a file of its own, one stored in the log.
fn sizes(word: &str) -> [Vec<u8>; 2] {
    [(300_000, 1), (20_000, 2)]
        .map(|(len, kind)| [&[kind; 100][..], word.as_bytes(), &vec![kind; len]].concat())
}

async fn store_photo(node: &TestNode, word: &str, audience: Audience) -> Photo {
    let [large, small] = sizes(word);
    node.store_photo(&large, &small, audience).await
}

async fn posted(node: &Node, photos: Vec<PhotoId>) -> Post {
    let saved = posts::save_draft(node, Draft { text: "look".into(), photos, ..Draft::default() })
        .await
        .unwrap();
    publish::saved_post(node, saved.id).await.unwrap()
}

/// The files that contain the word in plain form, after small blobs were written to files too.
fn plain_files(disk: &MemoryFs, blobs: &Blobs, word: &str) -> Vec<PathBuf> {
    blobs.flush_logged().unwrap();
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("/")]);
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap() {
            let path = folder.join(&entry.name);
            if entry.folder {
                folders.push(path);
            } else if fs::read(disk, &path, 1 << 26)
                .unwrap()
                .windows(word.len())
                .any(|part| part == word.as_bytes())
            {
                found.push(path);
            }
        }
    }
    found
}

/// The number of plain files with the word, after all pending forms were applied.
fn plain_after_apply(node: &TestNode, word: &str) -> usize {
    assert_eq!(apply_at_rest(node).unwrap(), 0);
    assert!(
        node.store.scan(PendingRow::TABLE, &Scan::prefix(&[], 1)).unwrap().is_empty(),
        "no rendition stays pending"
    );
    plain_files(node.disk(), &node.blobs, word).len()
}

/// Whether a stranger may read both renditions; the owner always may.
fn shown(node: &Node, photo: &Photo, word: &str) -> bool {
    let bytes = |visitor: &Visitor, size| {
        let found = photos::image_bytes(node, visitor, photo.id, size).unwrap();
        found.map(|(_, reader)| reader.read_all(1 << 20).unwrap())
    };
    let [large, small] = sizes(word);
    let has = [(Size::Large, large), (Size::Small, small)].map(|(size, expected)| {
        assert_eq!(bytes(&Visitor::Owner, size).as_ref(), Some(&expected));
        let blob =
            photos::shared_blob(node, &Visitor::Stranger, &photo.rendition(size).blob).unwrap();
        let given = bytes(&Visitor::Stranger, size);
        assert_eq!(
            given,
            blob.map(|reader| reader.read_all(1 << 20).unwrap()),
            "the web and federation give the same access"
        );
        given.is_some_and(|given| given == expected)
    });
    assert_eq!(has[0], has[1]);
    has[0]
}

#[tokio::test]
async fn private_photo_is_sealed_except_while_a_post_shows_it() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "quagmire", Audience::Owner).await;
    assert_eq!(
        (shown(&alice, &photo, "quagmire"), plain_after_apply(&alice, "quagmire")),
        (false, 0)
    );
    let draft = posts::save_draft(
        &alice,
        Draft { text: "soon".into(), photos: vec![photo.id], ..Draft::default() },
    )
    .await
    .unwrap();
    assert_eq!(
        (shown(&alice, &photo, "quagmire"), plain_after_apply(&alice, "quagmire")),
        (false, 0),
        "a draft shows nothing"
    );

    let post = publish::saved_post(&alice, draft.id).await.unwrap();
    assert!(shown(&alice, &photo, "quagmire"), "it is visible before its form at rest has changed");
    assert_eq!(
        (plain_after_apply(&alice, "quagmire"), shown(&alice, &photo, "quagmire")),
        (2, true)
    );
    assert_eq!(
        photos::list(&alice, &Visitor::Stranger, None, 10).unwrap(),
        [],
        "it is not in the list of photos"
    );

    let without = Draft { id: Some(post.id), text: "gone".into(), ..Draft::default() };
    publish::edit(&alice, post.id, without).await.unwrap();
    assert!(!shown(&alice, &photo, "quagmire"));
    assert_eq!(
        (plain_after_apply(&alice, "quagmire"), shown(&alice, &photo, "quagmire")),
        (0, false)
    );

    let other = posted(&alice, vec![photo.id]).await;
    assert_eq!(plain_after_apply(&alice, "quagmire"), 2);
    publish::delete(&alice, other.id).await.unwrap();
    assert!(!shown(&alice, &photo, "quagmire"));
    assert_eq!(
        (plain_after_apply(&alice, "quagmire"), shown(&alice, &photo, "quagmire")),
        (0, false)
    );
}

#[tokio::test]
async fn latest_audience_decides_access_and_form_at_rest() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "marzipan", Audience::Public).await;
    assert_eq!(
        (plain_after_apply(&alice, "marzipan"), shown(&alice, &photo, "marzipan")),
        (2, true)
    );
    let change =
        |audience| photos::change(&alice, photo.id, String::new(), String::new(), audience);
    change(Audience::Owner).await.unwrap();
    assert!(!shown(&alice, &photo, "marzipan"));
    assert_eq!(
        (plain_after_apply(&alice, "marzipan"), shown(&alice, &photo, "marzipan")),
        (0, false)
    );
    for audience in [Audience::Public, Audience::Owner, Audience::Public] {
        change(audience).await.unwrap();
    }
    assert_eq!(
        (plain_after_apply(&alice, "marzipan"), shown(&alice, &photo, "marzipan")),
        (2, true)
    );
    // Its audience is the owner again, but a post shows it.
    let post = posted(&alice, vec![photo.id]).await;
    change(Audience::Owner).await.unwrap();
    assert_eq!(
        (plain_after_apply(&alice, "marzipan"), shown(&alice, &photo, "marzipan")),
        (2, true)
    );
    publish::delete(&alice, post.id).await.unwrap();
    assert_eq!(
        (plain_after_apply(&alice, "marzipan"), shown(&alice, &photo, "marzipan")),
        (0, false)
    );
}

#[tokio::test]
async fn shared_rendition_is_plain_while_one_photo_is_public() {
    let alice = TestNode::new("alice").await;
    let private = store_photo(&alice, "labyrinth", Audience::Owner).await;
    assert_eq!(plain_after_apply(&alice, "labyrinth"), 0);
    let public = store_photo(&alice, "labyrinth", Audience::Public).await;
    assert_eq!(plain_after_apply(&alice, "labyrinth"), 2);
    let second = store_photo(&alice, "labyrinth", Audience::Owner).await;
    assert_eq!(
        (plain_after_apply(&alice, "labyrinth"), shown(&alice, &public, "labyrinth")),
        (2, true)
    );
    photos::delete(&alice, public.id).await.unwrap();
    assert_eq!(
        (plain_after_apply(&alice, "labyrinth"), shown(&alice, &private, "labyrinth")),
        (0, false)
    );
    photos::delete(&alice, private.id).await.unwrap();
    photos::delete(&alice, second.id).await.unwrap();
    assert_eq!(
        (plain_after_apply(&alice, "labyrinth"), crate::erasure::unlink(&alice).unwrap().small),
        (0, 0)
    );
}

#[tokio::test]
async fn failed_upload_unseals_no_shared_rendition() {
    let alice = TestNode::new("alice").await;
    let mut refused = 0;
    // The calls that store the renditions and commit the rows that refer to them.
    for n in 4..20 {
        let (large, small) = (vec![n; crate::blobs::SMALL_LEN_MAX + 1], [n; 100]);
        let private = alice.store_photo(&large, &small, Audience::Owner).await;
        assert_eq!(apply_at_rest(&alice), Ok(0));
        alice.disk().fail_at(n.into(), Fault::Full);
        let added = alice.try_store_photo(&large, &small, Audience::Public).await;
        alice.disk().heal();
        assert_eq!(apply_at_rest(&alice), Ok(0));
        alice.blobs.flush_logged().unwrap();
        for rendition in [private.large, private.small] {
            let is_plain = alice.blobs.is_stored_as(&rendition.blob, AtRest::Plain).unwrap();
            assert_eq!(
                is_plain,
                added.is_ok(),
                "call {n} failed, {} bytes, {added:?}",
                rendition.len
            );
        }
        refused += usize::from(added.is_err());
    }
    assert!((1..16).contains(&refused), "{refused} times");
}

#[tokio::test]
async fn rendition_deleted_during_resealing_enters_no_log() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "mandolin", Audience::Public).await;
    let stored_as = |form| {
        [photo.large, photo.small]
            .map(|rendition| alice.blobs.store_as(&rendition.blob, form).unwrap())
    };
    for stored in stored_as(AtRest::Sealed) {
        assert_eq!(
            attach_if_required(&alice, stored, AtRest::Sealed),
            Ok(false),
            "anyone may see it"
        );
    }
    for stored in stored_as(AtRest::Plain) {
        assert_eq!(attach_if_required(&alice, stored, AtRest::Plain), Ok(true));
    }
    let stored_before = stored_as(AtRest::Plain);
    photos::delete(&alice, photo.id).await.unwrap();
    for stored in stored_before {
        assert_eq!(attach_if_required(&alice, stored, AtRest::Plain), Ok(false));
    }
    assert_eq!(
        (apply_at_rest(&alice), crate::erasure::unlink(&alice).unwrap().pinned.len()),
        (Ok(0), 0)
    );
    assert_eq!(plain_files(alice.disk(), &alice.blobs, "mandolin"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn sealed_rendition_stays_sealed_after_log_recovery() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "xylograph", Audience::Owner).await;
    let post = posted(&alice, vec![photo.id]).await;
    assert_eq!(plain_after_apply(&alice, "xylograph"), 2);
    publish::delete(&alice, post.id).await.unwrap();
    let before = alice.disk().crash();
    assert_eq!(plain_after_apply(&alice, "xylograph"), 0);
    for (disk, is_pending) in [(before, true), (alice.disk().crash(), false)] {
        let again =
            Node::in_memory_on(disk.clone(), Clock::manual(START), Random::seeded(9)).unwrap();
        assert_eq!(
            again.store.scan(PendingRow::TABLE, &Scan::prefix(&[], 1)).unwrap().len(),
            usize::from(is_pending)
        );
        assert_eq!(apply_at_rest(&again), Ok(0));
        assert!(!shown(&again, &photo, "xylograph"));
        assert_eq!(plain_files(&disk, &again.blobs, "xylograph"), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn photo_hidden_on_full_disk_is_sealed_later() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "zeppelin", Audience::Public).await;
    assert_eq!(plain_after_apply(&alice, "zeppelin"), 2);
    photos::change(&alice, photo.id, String::new(), String::new(), Audience::Owner).await.unwrap();
    (0..400).for_each(|call| alice.disk().fail_at(call, Fault::Full));
    assert_eq!(apply_at_rest(&alice), Err(StoreError::Full));
    alice.disk().heal();
    assert!(!shown(&alice, &photo, "zeppelin"));
    assert_eq!(plain_after_apply(&alice, "zeppelin"), 0);
}

#[tokio::test]
async fn damaged_rendition_does_not_stop_sealing_of_others() {
    let alice = TestNode::new("alice").await;
    let photos = [
        store_photo(&alice, "obsidian", Audience::Public).await,
        store_photo(&alice, "basalt", Audience::Public).await,
    ];
    assert_eq!(plain_after_apply(&alice, "basalt"), 2);
    for photo in &photos {
        photos::change(&alice, photo.id, String::new(), String::new(), Audience::Owner)
            .await
            .unwrap();
    }
    let damaged = plain_files(alice.disk(), &alice.blobs, "obsidian");
    assert_eq!(damaged.len(), 2);
    damaged.iter().for_each(|path| alice.disk().damage(path, 0, 1).unwrap());
    assert!(matches!(apply_at_rest(&alice), Err(StoreError::Corrupt { .. })));
    assert_eq!(plain_files(alice.disk(), &alice.blobs, "basalt"), Vec::<PathBuf>::new());
    damaged.iter().for_each(|path| alice.disk().damage(path, 0, 1).unwrap());
    assert_eq!(plain_after_apply(&alice, "obsidian"), 0);
}

#[tokio::test]
async fn check_finds_unsealed_private_rendition() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "bergamot", Audience::Owner).await;
    assert_eq!((plain_after_apply(&alice, "bergamot"), check(&alice).unwrap()), (0, Vec::new()));
    drop(alice.blobs.put(&sizes("bergamot")[0], AtRest::Plain).unwrap());
    assert_eq!(check(&alice).unwrap().len(), 1);
    // The next change of the photo seals it.
    photos::change(&alice, photo.id, "a hill".into(), String::new(), Audience::Owner)
        .await
        .unwrap();
    assert_eq!((check(&alice).unwrap(), plain_after_apply(&alice, "bergamot")), (Vec::new(), 0));
    // Without a change, marking all unsealed private renditions does; public ones stay plain.
    let public = store_photo(&alice, "rosemary", Audience::Public).await;
    assert_eq!(plain_after_apply(&alice, "rosemary"), 2);
    drop(alice.blobs.put(&sizes("bergamot")[0], AtRest::Plain).unwrap());
    assert_eq!(
        (apply_at_rest(&alice), check(&alice).unwrap().len()),
        (Ok(0), 1),
        "nothing is pending"
    );
    mark_unsealed(&alice).unwrap();
    assert_eq!(
        (plain_after_apply(&alice, "bergamot"), plain_after_apply(&alice, "rosemary")),
        (0, 2)
    );
    assert!(check(&alice).unwrap().is_empty() && shown(&alice, &public, "rosemary"));
}
