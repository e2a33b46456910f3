//! Blobs with wrong bytes, broken streams, and blobs that the friend does not have.
#![allow(clippy::disallowed_methods, reason = "a test may block")]

use freehold_core::apply;
use freehold_core::audience::Audience;
use freehold_core::feed::PhotoRef;
use freehold_core::shares::{Share, is_used_up};
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::WantedBlob;
use futures::AsyncWriteExt;

use super::*;
use crate::blobs::fetch::{FetchError, fetch};
use crate::blobs::slice;
use crate::limits::{BLOB_FRAME_LEN_MAX, MISSING_WAIT};
use crate::wire::blob::{self, Answer};

#[tokio::test]
async fn blob_with_a_wrong_hash_is_refused() {
    let mut fixture = Fixture::with_friend().await;
    let (blob, wrong) = (vec![7; 40_000], vec![8; 40_000]);
    let hash = hash_of(&blob);
    let shown = append_post(&fixture.mallory, post_with_photos(&[&blob])).await;
    let mut stream = fixture.sync_stream().await;
    frame::write(&mut stream, &Sync::Push(vec![shown])).await.unwrap();
    let answered = async {
        loop {
            let (protocol, mut stream) = fixture.streams.recv().await.unwrap();
            if protocol != blob::PROTOCOL {
                continue;
            }
            let get = frame::read::<blob::Get, _>(&mut stream).await.unwrap();
            send(&mut stream, &wrong, &get).await;
            // The wrong bytes end the stream.
            assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err());
            return;
        }
    };
    tokio::time::timeout(TIMEOUT, answered).await.unwrap();
    assert_eq!(
        timeline::wanted_blobs(&fixture.alice, &person_id(&fixture.mallory), None, 10)
            .unwrap()
            .len(),
        1,
        "it is still wanted"
    );
    assert!(!fixture.alice.blobs.contains(&hash).unwrap());
    fixture.shutdown().await;
}

#[tokio::test]
async fn partial_blob_keeps_only_verified_bytes() {
    let mut fixture = Fixture::with_friend().await;
    let (blob, wrong) = (vec![7; 1_500_000], vec![8; 1_500_000]);
    let mut sync = fixture.sync_stream().await;
    push(&mut sync, &fixture, post_with_photos(&[&blob])).await;
    let (mut stream, get) = next_get(&mut fixture).await;
    assert_eq!(get.start, 0);
    send(&mut stream, &blob, &get).await;
    let get = frame::read::<blob::Get, _>(&mut stream).await.unwrap();
    assert_eq!(get.start, 1 << 20);
    send(&mut stream, &wrong, &get).await;
    assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err(), "wrong bytes end the stream");
    let partial = fixture
        .federation
        .state
        .partial_blobs
        .take(hash_of(&blob), fixture.alice.clock.now())
        .writer
        .take();
    assert_eq!(partial.map(|writer| writer.len()), Some(1 << 20));
    fixture.shutdown().await;
}

#[tokio::test]
async fn blob_with_a_broken_stream_delays_no_other() {
    let mut fixture = Fixture::with_friend().await;
    let mut contents = [vec![7; 40_000], vec![8; 40_000], vec![9; 40_000]];
    // They are requested in the order of their ids.
    contents.sort_by_key(|content| hash_of(content));
    let [broken, rest @ ..] = &contents;
    let mut sync = fixture.sync_stream().await;
    push(&mut sync, &fixture, post_with_photos(&[broken, &rest[0], &rest[1]])).await;
    let (mut breaks, mut sent) = (0, 0);
    // The broken one is requested again, after the others.
    while breaks < 3 || sent < 2 {
        let (mut stream, mut get) = next_get(&mut fixture).await;
        while let Some(content) = rest.iter().find(|content| hash_of(content).0 == get.hash) {
            send(&mut stream, content, &get).await;
            sent += 1;
            match frame::read::<blob::Get, _>(&mut stream).await {
                Ok(next) => get = next,
                Err(_) => break,
            }
        }
        if get.hash == hash_of(broken).0 {
            breaks += 1;
            assert!(breaks == 1 || sent == 2, "the others come first");
        }
    }
    let wanted =
        timeline::wanted_blobs(&fixture.alice, &person_id(&fixture.mallory), None, 10).unwrap();
    assert_eq!(wanted.iter().map(|wanted| wanted.blob).collect::<Vec<_>>(), [hash_of(broken)]);
    fixture.shutdown().await;
}

#[tokio::test]
async fn missing_blob_is_requested_again_on_the_same_connection() {
    let mut fixture = Fixture::with_friend().await;
    let [one, two, three] = [7, 8, 9].map(|byte| vec![byte; 40_000]);
    let mut sync = fixture.sync_stream().await;
    push(&mut sync, &fixture, post_with_photos(&[&one])).await;
    let all = [&one, &two, &three].map(|content| hash_of(content).0);
    let mut requested = Vec::new();
    for (content, wait) in [(&two, Duration::ZERO), (&three, MISSING_WAIT)] {
        requested.extend(answer_all_missing(&mut fixture).await);
        fixture.alice.clock.advance(u64::try_from(wait.as_millis()).unwrap());
        // Each new wanted blob starts another round of requests.
        push(&mut sync, &fixture, post_with_photos(&[content])).await;
    }
    assert_eq!(requested, all[..2], "a blob is not requested again at once");
    let mut again = answer_all_missing(&mut fixture).await;
    again.sort_by_key(|hash| all.iter().position(|other| other == hash));
    assert_eq!(again, all);
    fixture.shutdown().await;
}

#[tokio::test]
async fn photo_of_a_held_post_is_fetched_when_due() {
    let mut fixture = Fixture::with_friend().await;
    let blob = vec![7; 40_000];
    // Mallory's clock is ahead: the post is held until it is due.
    fixture.mallory.clock.advance(10 * 60_000);
    let mut sync = fixture.sync_stream().await;
    push(&mut sync, &fixture, post_with_photos(&[&blob])).await;
    assert_eq!(fixture.shown_count(), 0);
    assert_eq!(
        timeline::wanted_blobs(&fixture.alice, &person_id(&fixture.mallory), None, 10).unwrap(),
        []
    );
    fixture.alice.clock.advance(10 * 60_000);
    while apply::run_due(&fixture.alice).await.unwrap() > 0 {}
    assert_eq!(fixture.shown_count(), 1);
    let (_, get) = next_get(&mut fixture).await;
    assert_eq!(get.hash, hash_of(&blob).0);
    fixture.shutdown().await;
}

fn hash_of(content: &[u8]) -> BlobId {
    BlobId(*blake3::hash(content).as_bytes())
}

/// A post with these photos, each in a single size.
pub(super) fn post_with_photos(contents: &[&[u8]]) -> PostBody {
    let photo = |content: &&[u8]| PhotoRef {
        blob: hash_of(content),
        len: content.len() as u64,
        small: hash_of(content),
        small_len: content.len() as u64,
        alt: String::new(),
        caption: String::new(),
        width: 4,
        height: 3,
        thumbhash: Vec::new(),
    };
    PostBody { photos: contents.iter().map(photo).collect(), ..post("look") }
}

/// Mallory's node pushes a post, and Alice's stores it.
async fn push(stream: &mut ByteStream, fixture: &Fixture, body: PostBody) {
    let shown = append_post(&fixture.mallory, body).await;
    frame::write(stream, &Sync::Push(vec![shown])).await.unwrap();
    wait_for_message(stream, |message| matches!(message, Sync::Ack { .. })).await;
}

/// The next stream on which Alice's node requests a blob, and its first Get.
async fn next_get(fixture: &mut Fixture) -> (ByteStream, blob::Get) {
    let first_get = async {
        loop {
            let (protocol, mut stream) = fixture.streams.recv().await.unwrap();
            if protocol == blob::PROTOCOL
                && let Ok(get) = frame::read::<blob::Get, _>(&mut stream).await
            {
                return (stream, get);
            }
        }
    };
    tokio::time::timeout(TIMEOUT, first_get).await.unwrap()
}

/// Answers every Get of the next stream with Missing; returns the requested hashes.
async fn answer_all_missing(fixture: &mut Fixture) -> Vec<[u8; 32]> {
    let (mut stream, mut get) = next_get(fixture).await;
    let mut requested = vec![get.hash];
    loop {
        frame::write(&mut stream, &Answer::Missing).await.unwrap();
        // The stream is closed after the last request.
        match frame::read(&mut stream).await {
            Ok(next) => get = next,
            Err(_) => return requested,
        }
        requested.push(get.hash);
    }
}

/// Answers a Get with a range of `content`, for any hash.
async fn send(stream: &mut ByteStream, content: &[u8], get: &blob::Get) {
    let len = content.len() as u64;
    let outboard = slice::outboard(content, len).unwrap();
    let slice = slice::encode(content, &outboard, get.start, get.len).unwrap();
    frame::write(stream, &Answer::Found(len)).await.unwrap();
    for part in slice.chunks(BLOB_FRAME_LEN_MAX) {
        frame::write_bytes(stream, part).await.unwrap();
    }
    frame::write_bytes(stream, &[]).await.unwrap();
    stream.flush().await.unwrap();
}

/// A photo of Alice's; in the tests that use it, Mallory's node is honest and fetches it.
async fn wanted(fixture: &Fixture, content: &[u8]) -> WantedBlob {
    let large = fixture.alice.store_photo(content, b"small", Audience::Public).await.large;
    WantedBlob { blob: large.blob, len: large.len, author: person_id(&fixture.alice) }
}

#[tokio::test]
async fn blob_without_disk_space_is_not_requested() {
    let fixture = Fixture::with_friend().await;
    let wanted = wanted(&fixture, &vec![5; 2_500_000]).await;
    let mut stream = fixture.open(blob::PROTOCOL).await;
    fixture.mallory.disk().set_free(2_000_000);
    for _ in 0..100 {
        let full = fetch(&fixture.state, &mut stream, &wanted).await;
        assert!(matches!(full, Err(FetchError::Store(StoreError::Full))));
    }
    // The tries have used nothing of the daily share: nothing was requested.
    assert!(fixture.state.quotas.photos.take(wanted.author, 60 << 20, fixture.mallory.clock.now()));
    fixture.mallory.disk().set_free(1 << 40);
    assert!(fetch(&fixture.state, &mut stream, &wanted).await.unwrap());
    assert!(fixture.mallory.blobs.contains(&wanted.blob).unwrap());
    fixture.shutdown().await;
}

#[tokio::test]
async fn blob_of_mismatched_parts_is_refused() {
    let fixture = Fixture::with_friend().await;
    let wanted = wanted(&fixture, &vec![5; 1_500_000]).await;
    let mut other = fixture.mallory.blobs.writer(wanted.len).unwrap();
    other.write(&vec![6; 1 << 20]).unwrap();
    fixture.state.partial_blobs.take(wanted.blob, fixture.mallory.clock.now()).writer =
        Some(Box::new(other));
    let mut stream = fixture.open(blob::PROTOCOL).await;
    assert!(matches!(
        fetch(&fixture.state, &mut stream, &wanted).await,
        Err(FetchError::Invalid(_))
    ));
    assert!(!fixture.mallory.blobs.contains(&wanted.blob).unwrap());
    // The wrong part was dropped, so the next try starts from the beginning.
    assert!(fetch(&fixture.state, &mut stream, &wanted).await.unwrap());
    fixture.shutdown().await;
}

#[tokio::test]
async fn photos_beyond_the_daily_share_wait_a_day() {
    let fixture = Fixture::with_friend().await;
    let wanted = wanted(&fixture, &vec![5; 1_500_000]).await;
    assert!(fixture.state.quotas.photos.take(wanted.author, 63 << 20, fixture.mallory.clock.now()));
    let mut stream = fixture.open(blob::PROTOCOL).await;
    assert!(matches!(fetch(&fixture.state, &mut stream, &wanted).await, Err(FetchError::Share)));
    let (rows, share) = (&fixture.mallory.store, Share::Photos(wanted.author));
    let now = fixture.mallory.clock.now();
    assert!(is_used_up(rows, now, share).unwrap(), "pages say that the rest comes tomorrow");
    fixture.mallory.clock.advance(24 * 60 * 60 * 1000);
    assert!(fetch(&fixture.state, &mut stream, &wanted).await.unwrap());
    // The stored ones are counted in rows, which a restart keeps.
    fixture.mallory.use_up_share(Share::Photos(wanted.author)).await;
    assert!(matches!(fetch(&fixture.state, &mut stream, &wanted).await, Err(FetchError::Share)));
    fixture.shutdown().await;
}
