//! Requests for photos: allowed ones, forbidden ones, and more than a peer may take.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::audience::Audience;
use freehold_core::photos::{self, Size};
use freehold_core::posts::{self, Draft};
use freehold_core::publish;
use freehold_core::store::BlobId;

use super::blobs::post_with_photos;
use super::*;
use crate::wire::blob::{self, Answer};

async fn get(fixture: &Fixture, hash: [u8; 32], len: u64) -> Option<Answer> {
    get_on(&mut fixture.open(blob::PROTOCOL).await, hash, len).await
}

/// The answer to a Get of the blob's first `len` bytes; `None` if the stream is closed.
async fn get_on(stream: &mut ByteStream, hash: [u8; 32], len: u64) -> Option<Answer> {
    frame::write(stream, &blob::Get { hash, start: 0, len }).await.ok()?;
    frame::read::<Answer, _>(stream).await.ok()
}

/// Stores a photo of a friend's post with its row in Alice's timeline.
async fn friends_photo(fixture: &Fixture, bytes: &[u8]) -> BlobId {
    let blob = fixture.alice.blobs.put(bytes).unwrap();
    let (entry, author, post) =
        (EntryId([9; 32]), person_id(&fixture.mallory), post_with_photos(&[bytes]));
    let show = move |tx: &mut Tx<'_>| {
        let (at, has_blobs, is_news) = (post.published, true, true);
        timeline::show(
            tx,
            &entry,
            &timeline::Version { author, entry, at, posted: at, has_blobs, is_news, post: &post },
        )
    };
    fixture.alice.store.commit(show).await.unwrap();
    assert!(timeline::image_bytes(&fixture.alice, &entry, 0, Size::Large).unwrap().is_some());
    blob.id
}

#[tokio::test]
async fn photo_request_outside_the_audience_is_answered_missing() {
    for is_friend in [false, true] {
        let fixture = Fixture::new(is_friend, None).await;
        let public = fixture.alice.store_photo(&[1; 50_000], &[2; 9_000], Audience::Public).await;
        let private = fixture.alice.store_photo(&[3; 50_000], &[4; 9_000], Audience::Owner).await;
        let message = fixture.alice.blobs.put(b"Subject: hush").unwrap();
        let of_a_friend = friends_photo(&fixture, &[5; 50_000]).await;
        // A private photo whose blob was put once more: a pin gives no right to it.
        let plain = fixture.alice.blobs.put(&[4; 9_000]).unwrap();
        for shown in [public.large, public.small] {
            assert_eq!(get(&fixture, shown.blob.0, 9_000).await, Some(Answer::Found(shown.len)));
        }
        let absent = BlobId([6; 32]);
        for forbidden in [
            absent,
            public.original,
            private.original,
            private.large.blob,
            plain.id,
            message.id,
            of_a_friend,
        ] {
            assert_eq!(get(&fixture, forbidden.0, 9_000).await, Some(Answer::Missing));
        }
        drop(plain);
        photos::change(&fixture.alice, private.id, String::new(), String::new(), Audience::Owner)
            .await
            .unwrap();
        fixture.shutdown().await;
    }
}

#[tokio::test]
async fn photo_of_a_deleted_post_is_sent_no_further() {
    let fixture = Fixture::with_friend().await;
    let photo = fixture.alice.store_photo(&[3; 50_000], &[4; 9_000], Audience::Owner).await;
    let draft = Draft { text: "look".to_owned(), photos: vec![photo.id], ..Draft::default() };
    let draft = posts::save_draft(&fixture.alice, draft).await.unwrap();
    let mut stream = fixture.open(blob::PROTOCOL).await;
    assert_eq!(
        get_on(&mut stream, photo.large.blob.0, 16_384).await,
        Some(Answer::Missing),
        "a draft's photo is for the owner only"
    );
    publish::saved_post(&fixture.alice, draft.id).await.unwrap();
    // The blob is still sealed at rest.
    assert_eq!(get_on(&mut stream, photo.large.blob.0, 16_384).await, Some(Answer::Found(50_000)));
    while !frame::read_bytes(&mut stream, 1 << 20).await.unwrap().is_empty() {}
    publish::delete(&fixture.alice, draft.id).await.unwrap();
    assert_eq!(get_on(&mut stream, photo.large.blob.0, 16_384).await, Some(Answer::Missing));
    fixture.shutdown().await;
}

#[tokio::test]
async fn blocked_peer_gets_no_blob_on_an_open_stream() {
    let fixture = Fixture::with_friend().await;
    let public = fixture.alice.store_photo(&[1; 50_000], &[2; 9_000], Audience::Public).await;
    let mut stream = fixture.open(blob::PROTOCOL).await;
    assert_eq!(get_on(&mut stream, public.small.blob.0, 9_000).await, Some(Answer::Found(9_000)));
    while !frame::read_bytes(&mut stream, 1 << 20).await.unwrap().is_empty() {}
    friends::block(&fixture.alice, person_id(&fixture.mallory)).await.unwrap();
    fixture.disconnected.notified().await;
    assert_eq!(get_on(&mut stream, public.small.blob.0, 9_000).await, None);
    fixture.shutdown().await;
}

#[tokio::test]
async fn hashed_bytes_count_against_the_blob_rate() {
    let fixture = Fixture::new(false, None).await;
    let one =
        fixture.alice.store_photo(&vec![1; 3 << 20], b"one", Audience::Public).await.large.blob.0;
    let two =
        fixture.alice.store_photo(&vec![2; 3 << 20], b"two", Audience::Public).await.large.blob.0;
    assert_eq!(get(&fixture, one, 0).await, None);
    assert_eq!(get(&fixture, one, 16 * 1024).await, Some(Answer::Found(3 << 20)));
    // The bytes hashed for the first request have used up the stranger's rate.
    assert_eq!(get(&fixture, two, 16 * 1024).await, None);
    fixture.shutdown().await;
}
