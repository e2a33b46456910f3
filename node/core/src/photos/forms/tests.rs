//! A word is planted in the sizes of photos and looked for on the disk.

use std::path::PathBuf;

use super::*;
use crate::audience::Audience;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::fs::{self, Fault, Fs, MemoryFs};
use crate::photos::{self, Size};
use crate::posts::{self, Draft, Post};
use crate::publish;
use crate::random::Random;
use crate::testing::{START, TestNode};

/// Two sizes that a row refers to: one that is a file of its own, and one that travels in the log.
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

/// The files that hold the word as it is, once small blobs have been filed too.
fn clear(disk: &MemoryFs, blobs: &Blobs, word: &str) -> Vec<PathBuf> {
    blobs.file_logged().unwrap();
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

fn in_the_clear(node: &TestNode, word: &str) -> usize {
    assert_eq!(apply_at_rest(node).unwrap(), 0);
    assert!(
        node.store.scan(NoteRow::TABLE, &Scan::prefix(&[], 1)).unwrap().is_empty(),
        "everything noted is done"
    );
    clear(node.disk(), &node.blobs, word).len()
}

/// Whether a stranger may have each size; the owner always may, with these bytes.
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
            "on the site and between nodes the same holds"
        );
        given.is_some_and(|given| given == expected)
    });
    assert_eq!(has[0], has[1]);
    has[0]
}

#[tokio::test]
async fn a_photo_kept_to_oneself_lies_sealed_until_a_post_shows_it_and_again_when_none_does() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "quagmire", Audience::Owner).await;
    assert_eq!((shown(&alice, &photo, "quagmire"), in_the_clear(&alice, "quagmire")), (false, 0));
    let draft = posts::save_draft(
        &alice,
        Draft { text: "soon".into(), photos: vec![photo.id], ..Draft::default() },
    )
    .await
    .unwrap();
    assert_eq!(
        (shown(&alice, &photo, "quagmire"), in_the_clear(&alice, "quagmire")),
        (false, 0),
        "a draft shows nothing"
    );

    let post = publish::saved_post(&alice, draft.id).await.unwrap();
    assert!(
        shown(&alice, &photo, "quagmire"),
        "nobody waits until it lies there in the other form"
    );
    assert_eq!((in_the_clear(&alice, "quagmire"), shown(&alice, &photo, "quagmire")), (2, true));
    assert_eq!(
        photos::list(&alice, &Visitor::Stranger, None, 10).unwrap(),
        [],
        "it hangs on no wall"
    );

    let without = Draft { id: Some(post.id), text: "gone".into(), ..Draft::default() };
    publish::edit(&alice, post.id, without).await.unwrap();
    assert!(!shown(&alice, &photo, "quagmire"));
    assert_eq!((in_the_clear(&alice, "quagmire"), shown(&alice, &photo, "quagmire")), (0, false));

    let other = posted(&alice, vec![photo.id]).await;
    assert_eq!(in_the_clear(&alice, "quagmire"), 2);
    publish::delete(&alice, other.id).await.unwrap();
    assert!(!shown(&alice, &photo, "quagmire"));
    assert_eq!((in_the_clear(&alice, "quagmire"), shown(&alice, &photo, "quagmire")), (0, false));
}

#[tokio::test]
async fn who_may_see_a_photo_is_changed_before_the_disk_is_and_the_last_word_holds() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "marzipan", Audience::Public).await;
    assert_eq!((in_the_clear(&alice, "marzipan"), shown(&alice, &photo, "marzipan")), (2, true));
    let change =
        |audience| photos::change(&alice, photo.id, String::new(), String::new(), audience);
    change(Audience::Owner).await.unwrap();
    assert!(!shown(&alice, &photo, "marzipan"));
    assert_eq!((in_the_clear(&alice, "marzipan"), shown(&alice, &photo, "marzipan")), (0, false));
    for audience in [Audience::Public, Audience::Owner, Audience::Public] {
        change(audience).await.unwrap();
    }
    assert_eq!((in_the_clear(&alice, "marzipan"), shown(&alice, &photo, "marzipan")), (2, true));
    // Unsupported to oneself again, and yet a post shows it.
    let post = posted(&alice, vec![photo.id]).await;
    change(Audience::Owner).await.unwrap();
    assert_eq!((in_the_clear(&alice, "marzipan"), shown(&alice, &photo, "marzipan")), (2, true));
    publish::delete(&alice, post.id).await.unwrap();
    assert_eq!((in_the_clear(&alice, "marzipan"), shown(&alice, &photo, "marzipan")), (0, false));
}

#[tokio::test]
async fn of_two_photos_with_the_same_files_the_one_that_is_seen_decides() {
    let alice = TestNode::new("alice").await;
    let kept = store_photo(&alice, "labyrinth", Audience::Owner).await;
    assert_eq!(in_the_clear(&alice, "labyrinth"), 0);
    let public = store_photo(&alice, "labyrinth", Audience::Public).await;
    assert_eq!(in_the_clear(&alice, "labyrinth"), 2);
    let second = store_photo(&alice, "labyrinth", Audience::Owner).await;
    assert_eq!((in_the_clear(&alice, "labyrinth"), shown(&alice, &public, "labyrinth")), (2, true));
    photos::delete(&alice, public.id).await.unwrap();
    assert_eq!((in_the_clear(&alice, "labyrinth"), shown(&alice, &kept, "labyrinth")), (0, false));
    photos::delete(&alice, kept.id).await.unwrap();
    photos::delete(&alice, second.id).await.unwrap();
    assert_eq!(
        (in_the_clear(&alice, "labyrinth"), crate::erasure::unlink(&alice).unwrap().small),
        (0, 0)
    );
}

#[tokio::test]
async fn a_photo_that_is_refused_lays_open_no_file_of_one_kept_to_oneself() {
    let alice = TestNode::new("alice").await;
    let mut refused = 0;
    // About where the sizes are stored and the change that refers to them is committed.
    for n in 4..20 {
        let (large, small) = (vec![n; crate::blobs::SMALL_LEN_MAX + 1], [n; 100]);
        let kept = alice.store_photo(&large, &small, Audience::Owner).await;
        assert_eq!(apply_at_rest(&alice), Ok(0));
        alice.disk().fail_at(n.into(), Fault::Full);
        let added = alice.try_store_photo(&large, &small, Audience::Public).await;
        alice.disk().heal();
        assert_eq!(apply_at_rest(&alice), Ok(0));
        alice.blobs.file_logged().unwrap();
        for print in [kept.large, kept.small] {
            let is_open = alice.blobs.at_rest(&print.blob, AtRest::Plain).unwrap();
            assert_eq!(
                is_open,
                added.is_ok(),
                "the call {n} failed, {} bytes, {added:?}",
                print.len
            );
        }
        refused += usize::from(added.is_err());
    }
    assert!((1..16).contains(&refused), "{refused} times");
}

#[tokio::test]
async fn what_is_deleted_while_it_turns_goes_no_more_into_the_log() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "mandolin", Audience::Public).await;
    let turning = |form| {
        [photo.large, photo.small].map(|print| alice.blobs.store_as(&print.blob, form).unwrap())
    };
    for stored in turning(AtRest::Sealed) {
        assert_eq!(take_along(&alice, stored, AtRest::Sealed), Ok(false), "anyone may see it");
    }
    for stored in turning(AtRest::Plain) {
        assert_eq!(take_along(&alice, stored, AtRest::Plain), Ok(true));
    }
    let turned = turning(AtRest::Plain);
    photos::delete(&alice, photo.id).await.unwrap();
    for stored in turned {
        assert_eq!(take_along(&alice, stored, AtRest::Plain), Ok(false));
    }
    assert_eq!(
        (apply_at_rest(&alice), crate::erasure::unlink(&alice).unwrap().pinned.len()),
        (Ok(0), 0)
    );
    assert_eq!(clear(alice.disk(), &alice.blobs, "mandolin"), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn what_was_sealed_is_still_sealed_when_the_node_is_built_anew_from_its_log() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "xylograph", Audience::Owner).await;
    let post = posted(&alice, vec![photo.id]).await;
    assert_eq!(in_the_clear(&alice, "xylograph"), 2);
    publish::delete(&alice, post.id).await.unwrap();
    let before = alice.disk().crash();
    assert_eq!(in_the_clear(&alice, "xylograph"), 0);
    for (disk, noted) in [(before, true), (alice.disk().crash(), false)] {
        let again =
            Node::in_memory_on(disk.clone(), Clock::manual(START), Random::seeded(9)).unwrap();
        assert_eq!(
            again.store.scan(NoteRow::TABLE, &Scan::prefix(&[], 1)).unwrap().len(),
            usize::from(noted)
        );
        assert_eq!(apply_at_rest(&again), Ok(0));
        assert!(!shown(&again, &photo, "xylograph"));
        assert_eq!(clear(&disk, &again.blobs, "xylograph"), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn on_a_full_disk_a_photo_is_hidden_at_once_and_sealed_when_there_is_room() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "zeppelin", Audience::Public).await;
    assert_eq!(in_the_clear(&alice, "zeppelin"), 2);
    photos::change(&alice, photo.id, String::new(), String::new(), Audience::Owner).await.unwrap();
    (0..400).for_each(|call| alice.disk().fail_at(call, Fault::Full));
    assert_eq!(apply_at_rest(&alice), Err(StoreError::Full));
    alice.disk().heal();
    assert!(!shown(&alice, &photo, "zeppelin"));
    assert_eq!(in_the_clear(&alice, "zeppelin"), 0);
}

#[tokio::test]
async fn one_photo_that_is_damaged_keeps_no_other_from_being_sealed() {
    let alice = TestNode::new("alice").await;
    let photos = [
        store_photo(&alice, "obsidian", Audience::Public).await,
        store_photo(&alice, "basalt", Audience::Public).await,
    ];
    assert_eq!(in_the_clear(&alice, "basalt"), 2);
    for photo in &photos {
        photos::change(&alice, photo.id, String::new(), String::new(), Audience::Owner)
            .await
            .unwrap();
    }
    let damaged = clear(alice.disk(), &alice.blobs, "obsidian");
    assert_eq!(damaged.len(), 2);
    damaged.iter().for_each(|path| alice.disk().damage(path, 0, 1).unwrap());
    assert!(matches!(apply_at_rest(&alice), Err(StoreError::Corrupt { .. })));
    assert_eq!(clear(alice.disk(), &alice.blobs, "basalt"), Vec::<PathBuf>::new());
    damaged.iter().for_each(|path| alice.disk().damage(path, 0, 1).unwrap());
    assert_eq!(in_the_clear(&alice, "obsidian"), 0);
}

#[tokio::test]
async fn a_check_finds_what_should_be_sealed_and_is_not() {
    let alice = TestNode::new("alice").await;
    let photo = store_photo(&alice, "bergamot", Audience::Owner).await;
    assert_eq!((in_the_clear(&alice, "bergamot"), check(&alice).unwrap()), (0, Vec::new()));
    drop(alice.blobs.put(&sizes("bergamot")[0], AtRest::Plain).unwrap());
    assert_eq!(check(&alice).unwrap().len(), 1);
    // Mended by the next change of the photo.
    photos::change(&alice, photo.id, "a hill".into(), String::new(), Audience::Owner)
        .await
        .unwrap();
    assert_eq!((check(&alice).unwrap(), in_the_clear(&alice, "bergamot")), (Vec::new(), 0));
    // And, where no change comes, by a look at all of them; what anyone may see stays.
    let public = store_photo(&alice, "rosemary", Audience::Public).await;
    assert_eq!(in_the_clear(&alice, "rosemary"), 2);
    drop(alice.blobs.put(&sizes("bergamot")[0], AtRest::Plain).unwrap());
    assert_eq!(
        (apply_at_rest(&alice), check(&alice).unwrap().len()),
        (Ok(0), 1),
        "nothing was noted"
    );
    mark_unsealed(&alice).unwrap();
    assert_eq!((in_the_clear(&alice, "bergamot"), in_the_clear(&alice, "rosemary")), (0, 2));
    assert!(check(&alice).unwrap().is_empty() && shown(&alice, &public, "rosemary"));
}
