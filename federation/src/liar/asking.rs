//! Asking for photos: of what may be had, of what may not, and for more than is given.

use freehold_core::audience::Audience;
use freehold_core::blobs::AtRest;
use freehold_core::photos::{self, Size};
use freehold_core::posts::{self, Draft};
use freehold_core::store::BlobId;

use super::blobs::showing;
use super::*;
use crate::wire::blob::{self, Answer};

async fn ask(scene: &Scene, hash: [u8; 32], len: u64) -> Option<Answer> {
    ask_on(&mut scene.open(blob::PROTOCOL).await, hash, len).await
}

async fn ask_on(stream: &mut ByteStream, hash: [u8; 32], len: u64) -> Option<Answer> {
    frame::write(stream, &blob::Get { hash, start: 0, len }).await.ok()?;
    frame::read::<Answer, _>(stream).await.ok()
}

/// The photo of a friend's post, as it lies in Alice's timeline.
#[allow(clippy::disallowed_methods, reason = "a test may block")]
async fn mirrored(scene: &Scene, bytes: &[u8]) -> BlobId {
    let blob = scene.alice.blobs.put(bytes, AtRest::Plain).unwrap();
    let (entry, author, post) = (EntryId([9; 32]), id(&scene.mallory), showing(&[bytes]));
    let show = move |tx: &mut Tx<'_>| {
        let (at, has_blobs, is_news) = (post.published, true, true);
        timeline::show(
            tx,
            &entry,
            &timeline::Version { author, entry, at, posted: at, has_blobs, is_news, post: &post },
        )
    };
    scene.alice.store.commit(show).await.unwrap();
    assert!(timeline::image_bytes(&scene.alice, &entry, 0, Size::Large).unwrap().is_some());
    blob.id
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn only_what_the_owner_shows_is_given_and_the_rest_is_as_if_it_were_not_there() {
    for is_friend in [false, true] {
        let scene = Scene::new(is_friend, None).await;
        let public = scene.alice.store_photo(&[1; 50_000], &[2; 9_000], Audience::Public).await;
        let kept = scene.alice.store_photo(&[3; 50_000], &[4; 9_000], Audience::Owner).await;
        let letter = scene.alice.blobs.put(b"Subject: hush", AtRest::Sealed).unwrap();
        let of_a_friend = mirrored(&scene, &[5; 50_000]).await;
        // An older build may have left one in the clear: what it lies as is no answer to who may
        // have it.
        let in_the_clear = scene.alice.blobs.put(&[4; 9_000], AtRest::Plain).unwrap();
        for shown in [public.large, public.small] {
            assert_eq!(ask(&scene, shown.blob.0, 9_000).await, Some(Answer::Found(shown.len)));
        }
        let absent = BlobId([6; 32]);
        for not in [
            absent,
            public.original,
            kept.original,
            kept.large.blob,
            in_the_clear.id,
            letter.id,
            of_a_friend,
        ] {
            assert_eq!(ask(&scene, not.0, 9_000).await, Some(Answer::Missing));
        }
        drop(in_the_clear);
        photos::change(&scene.alice, kept.id, String::new(), String::new(), Audience::Owner)
            .await
            .unwrap();
        photos::settle(&scene.alice).unwrap();
        scene.end().await;
    }
}

#[tokio::test]
async fn what_was_taken_back_is_not_given_to_the_end() {
    let scene = Scene::with_a_friend().await;
    let kept = scene.alice.store_photo(&[3; 50_000], &[4; 9_000], Audience::Owner).await;
    let draft = Draft { text: "look".to_owned(), photos: vec![kept.id], ..Draft::default() };
    let draft = posts::save_draft(&scene.alice, draft).await.unwrap();
    let mut stream = scene.open(blob::PROTOCOL).await;
    assert_eq!(
        ask_on(&mut stream, kept.large.blob.0, 16_384).await,
        Some(Answer::Missing),
        "a draft shows it to nobody"
    );
    posts::publish(&scene.alice, draft.id).await.unwrap();
    // Sealed still, and given all the same.
    assert_eq!(ask_on(&mut stream, kept.large.blob.0, 16_384).await, Some(Answer::Found(50_000)));
    while !frame::read_bytes(&mut stream, 1 << 20).await.unwrap().is_empty() {}
    posts::delete(&scene.alice, draft.id).await.unwrap();
    assert_eq!(ask_on(&mut stream, kept.large.blob.0, 16_384).await, Some(Answer::Missing));
    scene.end().await;
}

#[tokio::test]
async fn who_has_been_blocked_gets_nothing_on_a_stream_that_is_open() {
    let scene = Scene::with_a_friend().await;
    let public = scene.alice.store_photo(&[1; 50_000], &[2; 9_000], Audience::Public).await;
    let mut stream = scene.open(blob::PROTOCOL).await;
    assert_eq!(ask_on(&mut stream, public.small.blob.0, 9_000).await, Some(Answer::Found(9_000)));
    while !frame::read_bytes(&mut stream, 1 << 20).await.unwrap().is_empty() {}
    friends::block(&scene.alice, id(&scene.mallory)).await.unwrap();
    scene.gone.notified().await;
    assert_eq!(ask_on(&mut stream, public.small.blob.0, 9_000).await, None);
    scene.end().await;
}

#[tokio::test]
async fn asking_for_nothing_is_not_answered_and_hashing_counts_as_taking() {
    let scene = Scene::new(false, None).await;
    let one =
        scene.alice.store_photo(&vec![1; 3 << 20], b"one", Audience::Public).await.large.blob.0;
    let two =
        scene.alice.store_photo(&vec![2; 3 << 20], b"two", Audience::Public).await.large.blob.0;
    assert_eq!(ask(&scene, one, 0).await, None);
    assert_eq!(ask(&scene, one, 16 * 1024).await, Some(Answer::Found(3 << 20)));
    // A stranger's share is used up by what was hashed for it, little as it took.
    assert_eq!(ask(&scene, two, 16 * 1024).await, None);
    scene.end().await;
}
