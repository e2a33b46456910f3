//! Lies about blobs.

use freehold_core::audience::Audience;
use freehold_core::blobs::AtRest;
use freehold_core::feed::Photo;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::WantedBlob;
use futures::AsyncWriteExt;

use super::*;
use crate::blobs::fetch::{FetchError, fetch};
use crate::blobs::slice;
use crate::limits::{BLOB_FRAME_LEN_MAX, MISSING_WAIT};
use crate::wire::blob::{self, Answer};

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn a_blob_that_is_not_what_its_hash_promises_is_refused() {
    let mut scene = Scene::with_a_friend().await;
    let (blob, lie) = (vec![7; 40_000], vec![8; 40_000]);
    let hash = hash_of(&blob);
    let shown = entry(&scene.mallory, showing(&[&blob])).await;
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(vec![shown])).await.unwrap();
    let told = async {
        loop {
            let (protocol, mut stream) = scene.streams.recv().await.unwrap();
            if protocol != blob::PROTOCOL {
                continue;
            }
            let get = frame::read::<blob::Get, _>(&mut stream).await.unwrap();
            give(&mut stream, &lie, &get).await;
            // The stream ends when the lie has been noticed.
            assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err());
            return;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(
        timeline::wanted_blobs(&scene.alice, &id(&scene.mallory), None, 10).unwrap().len(),
        1,
        "it is still wanted"
    );
    assert!(!scene.alice.blobs.contains(&hash).unwrap());
    scene.end().await;
}

#[tokio::test]
async fn of_a_blob_that_turns_into_another_the_true_part_alone_is_kept() {
    let mut scene = Scene::with_a_friend().await;
    let (blob, lie) = (vec![7; 1_500_000], vec![8; 1_500_000]);
    let mut sync = scene.sync().await;
    push(&mut sync, &scene, showing(&[&blob])).await;
    let (mut stream, get) = next_get(&mut scene).await;
    assert_eq!(get.start, 0);
    give(&mut stream, &blob, &get).await;
    let get = frame::read::<blob::Get, _>(&mut stream).await.unwrap();
    assert_eq!(get.start, 1 << 20);
    give(&mut stream, &lie, &get).await;
    assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err(), "the lie has been noticed");
    let kept = scene
        .federation
        .shared
        .partials
        .take(hash_of(&blob), scene.alice.clock.now())
        .writer
        .take();
    assert_eq!(kept.map(|writer| writer.len()), Some(1 << 20));
    scene.end().await;
}

#[tokio::test]
async fn a_blob_whose_stream_always_breaks_holds_up_none_behind_it() {
    let mut scene = Scene::with_a_friend().await;
    let mut contents = [vec![7; 40_000], vec![8; 40_000], vec![9; 40_000]];
    // They are asked for in the order of their ids.
    contents.sort_by_key(|content| hash_of(content));
    let [broken, rest @ ..] = &contents;
    let mut sync = scene.sync().await;
    push(&mut sync, &scene, showing(&[broken, &rest[0], &rest[1]])).await;
    let (mut breaks, mut given) = (0, 0);
    // The broken one is asked for again, too, but not before the others were.
    while breaks < 3 || given < 2 {
        let (mut stream, mut get) = next_get(&mut scene).await;
        while let Some(content) = rest.iter().find(|content| hash_of(content).0 == get.hash) {
            give(&mut stream, content, &get).await;
            given += 1;
            match frame::read::<blob::Get, _>(&mut stream).await {
                Ok(next) => get = next,
                Err(_) => break,
            }
        }
        if get.hash == hash_of(broken).0 {
            breaks += 1;
            assert!(breaks == 1 || given == 2, "the others come first");
        }
    }
    let wanted = timeline::wanted_blobs(&scene.alice, &id(&scene.mallory), None, 10).unwrap();
    assert_eq!(wanted.iter().map(|wanted| wanted.blob).collect::<Vec<_>>(), [hash_of(broken)]);
    scene.end().await;
}

#[tokio::test]
async fn what_a_friend_did_not_have_is_asked_for_again_on_the_same_connection() {
    let mut scene = Scene::with_a_friend().await;
    let [one, two, three] = [7, 8, 9].map(|byte| vec![byte; 40_000]);
    let mut sync = scene.sync().await;
    push(&mut sync, &scene, showing(&[&one])).await;
    let all = [&one, &two, &three].map(|content| hash_of(content).0);
    let mut asked = Vec::new();
    for (content, wait) in [(&two, Duration::ZERO), (&three, MISSING_WAIT)] {
        asked.extend(have_none(&mut scene).await);
        scene.alice.clock.advance(u64::try_from(wait.as_millis()).unwrap());
        // Looked for again whenever anything is.
        push(&mut sync, &scene, showing(&[content])).await;
    }
    assert_eq!(asked, all[..2], "what was missing a moment ago is not asked for");
    let mut again = have_none(&mut scene).await;
    again.sort_by_key(|hash| all.iter().position(|other| other == hash));
    assert_eq!(again, all);
    scene.end().await;
}

#[tokio::test]
async fn the_photos_of_a_post_that_is_shown_later_are_fetched_then() {
    let mut scene = Scene::with_a_friend().await;
    let blob = vec![7; 40_000];
    // Mallory's clock is ahead: the post is held until it is due.
    scene.mallory.clock.advance(10 * 60_000);
    let mut sync = scene.sync().await;
    push(&mut sync, &scene, showing(&[&blob])).await;
    assert_eq!(scene.shown(), 0);
    assert_eq!(timeline::wanted_blobs(&scene.alice, &id(&scene.mallory), None, 10).unwrap(), []);
    scene.alice.clock.advance(10 * 60_000);
    while feed::run_due(&scene.alice).await.unwrap() > 0 {}
    assert_eq!(scene.shown(), 1);
    let (_, get) = next_get(&mut scene).await;
    assert_eq!(get.hash, hash_of(&blob).0);
    scene.end().await;
}

fn hash_of(content: &[u8]) -> BlobId {
    BlobId(*blake3::hash(content).as_bytes())
}

/// A post that shows these, each as one photo of a single size.
pub(super) fn showing(contents: &[&[u8]]) -> PostBody {
    let photo = |content: &&[u8]| Photo {
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

/// Mallory's node brings a post, and Alice's has stored it.
async fn push(stream: &mut ByteStream, scene: &Scene, body: PostBody) {
    let shown = entry(&scene.mallory, body).await;
    frame::write(stream, &Sync::Push(vec![shown])).await.unwrap();
    hear(stream, |message| matches!(message, Sync::Ack { .. })).await;
}

/// The next stream on which Alice's node asks for a blob, and what it asks.
async fn next_get(scene: &mut Scene) -> (ByteStream, blob::Get) {
    let asked = async {
        loop {
            let (protocol, mut stream) = scene.streams.recv().await.unwrap();
            if protocol == blob::PROTOCOL
                && let Ok(get) = frame::read::<blob::Get, _>(&mut stream).await
            {
                return (stream, get);
            }
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap()
}

/// What Alice's node asks for on the next stream, none of which Mallory's has.
async fn have_none(scene: &mut Scene) -> Vec<[u8; 32]> {
    let (mut stream, mut get) = next_get(scene).await;
    let mut asked = vec![get.hash];
    loop {
        frame::write(&mut stream, &Answer::Missing).await.unwrap();
        // The stream is closed when there is nothing more to ask.
        match frame::read(&mut stream).await {
            Ok(next) => get = next,
            Err(_) => return asked,
        }
        asked.push(get.hash);
    }
}

/// Answers a Get with this, whatever was asked for.
async fn give(stream: &mut ByteStream, content: &[u8], get: &blob::Get) {
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

/// A blob of Alice's that her friend's node, which is the honest one here, wants.
async fn wanted(scene: &Scene, content: &[u8]) -> WantedBlob {
    let large = scene.alice.store_photo(content, b"small", Audience::Public).await.large;
    WantedBlob { blob: large.blob, len: large.len, author: id(&scene.alice) }
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn a_blob_for_which_there_is_no_room_is_not_begun() {
    let scene = Scene::with_a_friend().await;
    let wanted = wanted(&scene, &vec![5; 2_500_000]).await;
    let mut stream = scene.open(blob::PROTOCOL).await;
    scene.mallory.disk().set_free(2_000_000);
    for _ in 0..100 {
        let full = fetch(&scene.shared, &mut stream, &wanted).await;
        assert!(matches!(full, Err(FetchError::Store(StoreError::Full))));
    }
    // A hundred tries have cost nothing of the day's share: nothing was asked for.
    assert!(scene.shared.shares.take(wanted.author, 60 << 20, scene.mallory.clock.now()));
    scene.mallory.disk().set_free(1 << 40);
    assert!(fetch(&scene.shared, &mut stream, &wanted).await.unwrap());
    assert!(scene.mallory.blobs.contains(&wanted.blob).unwrap());
    scene.end().await;
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
#[tokio::test]
async fn parts_that_do_not_make_the_whole_are_refused() {
    let scene = Scene::with_a_friend().await;
    let wanted = wanted(&scene, &vec![5; 1_500_000]).await;
    let mut other = scene.mallory.blobs.writer(AtRest::Plain, wanted.len).unwrap();
    other.write(&vec![6; 1 << 20]).unwrap();
    scene.shared.partials.take(wanted.blob, scene.mallory.clock.now()).writer = Some(other);
    let mut stream = scene.open(blob::PROTOCOL).await;
    assert!(matches!(fetch(&scene.shared, &mut stream, &wanted).await, Err(FetchError::Lie(_))));
    assert!(!scene.mallory.blobs.contains(&wanted.blob).unwrap());
    // The wrong part is gone, so the next try begins anew.
    assert!(fetch(&scene.shared, &mut stream, &wanted).await.unwrap());
    scene.end().await;
}

#[tokio::test]
async fn a_friend_who_has_brought_a_days_share_brings_no_more() {
    let scene = Scene::with_a_friend().await;
    let wanted = wanted(&scene, &vec![5; 1_500_000]).await;
    assert!(scene.shared.shares.take(wanted.author, 63 << 20, scene.mallory.clock.now()));
    let mut stream = scene.open(blob::PROTOCOL).await;
    assert!(matches!(fetch(&scene.shared, &mut stream, &wanted).await, Err(FetchError::Share)));
    scene.mallory.clock.advance(24 * 60 * 60 * 1000);
    assert!(fetch(&scene.shared, &mut stream, &wanted).await.unwrap());
    scene.end().await;
}
