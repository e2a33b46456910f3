//! Lies about blobs, and asking for more than is given.

use freehold_core::blobs::Form;
use freehold_core::feed::Photo;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::WantedBlob;
use futures::AsyncWriteExt;

use super::*;
use crate::blobs::fetch::{FetchError, fetch};
use crate::wire::blob::{self, Answer};

#[tokio::test]
async fn a_private_blob_is_given_to_nobody() {
    let scene = Scene::with_a_friend().await;
    let public = scene.alice.blobs.put(&[1; 50_000], Form::Public).unwrap();
    let private = scene.alice.blobs.put(&[2; 50_000], Form::Private).unwrap();
    let mut answers = Vec::new();
    for BlobId(hash) in [private.id, BlobId([3; 32]), public.id] {
        let mut stream = scene.open(blob::PROTOCOL).await;
        frame::write(&mut stream, &blob::Get { hash, start: 0, len: 50_000 }).await.unwrap();
        answers.push(frame::read::<Answer, _>(&mut stream).await.unwrap());
    }
    assert_eq!(answers, [Answer::Missing, Answer::Missing, Answer::Found(50_000)]);
    scene.end().await;
}

#[tokio::test]
async fn a_blob_that_is_not_what_its_hash_promises_is_refused() {
    let mut scene = Scene::with_a_friend().await;
    let (blob, lie) = (vec![7; 40_000], vec![8; 40_000]);
    let hash = BlobId(*blake3::hash(&blob).as_bytes());
    let photo = Photo {
        blob: hash,
        len: 40_000,
        small: hash,
        small_len: 40_000,
        alt: String::new(),
        caption: String::new(),
        width: 4,
        height: 3,
        thumbhash: Vec::new(),
    };
    let shown = entry(&scene.mallory, PostBody { photos: vec![photo], ..post("look") }).await;
    let mut stream = scene.sync().await;
    frame::write(&mut stream, &Sync::Push(vec![shown])).await.unwrap();
    let outboard = crate::blobs::slice::outboard(lie.as_slice(), 40_000).unwrap();
    let slice = crate::blobs::slice::encode(lie.as_slice(), &outboard, 0, 40_000).unwrap();
    let told = async {
        loop {
            let (protocol, mut stream) = scene.streams.recv().await.unwrap();
            if protocol != blob::PROTOCOL {
                continue;
            }
            frame::read::<blob::Get, _>(&mut stream).await.unwrap();
            frame::write(&mut stream, &Answer::Found(40_000)).await.unwrap();
            frame::write_bytes(&mut stream, &slice).await.unwrap();
            frame::write_bytes(&mut stream, &[]).await.unwrap();
            stream.flush().await.unwrap();
            // The stream ends when the lie has been noticed.
            assert!(frame::read::<blob::Get, _>(&mut stream).await.is_err());
            return;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    assert_eq!(timeline::wanted_blobs(&scene.alice, None, 10).unwrap().len(), 1, "it is still wanted");
    assert!(!scene.alice.blobs.contains(&hash).unwrap());
    scene.end().await;
}

async fn ask(scene: &Scene, hash: [u8; 32], len: u64) -> Option<Answer> {
    let mut stream = scene.open(blob::PROTOCOL).await;
    frame::write(&mut stream, &blob::Get { hash, start: 0, len }).await.unwrap();
    frame::read::<Answer, _>(&mut stream).await.ok()
}

#[tokio::test]
async fn asking_for_nothing_is_not_answered_and_hashing_counts_as_taking() {
    let scene = Scene::new(false, None).await;
    let blobs = [1, 2].map(|byte| scene.alice.blobs.put(&vec![byte; 3 << 20], Form::Public).unwrap());
    let [one, two] = [blobs[0].id.0, blobs[1].id.0];
    assert_eq!(ask(&scene, one, 0).await, None);
    assert_eq!(ask(&scene, one, 16 * 1024).await, Some(Answer::Found(3 << 20)));
    // A stranger's share is used up by what was hashed for it, little as it took.
    assert_eq!(ask(&scene, two, 16 * 1024).await, None);
    scene.end().await;
}

/// A blob of Alice's that her friend's node, which is the honest one here, wants.
async fn wanted(scene: &Scene, content: &[u8]) -> (WantedBlob, freehold_core::blobs::Pinned) {
    let kept = scene.alice.blobs.put(content, Form::Public).unwrap();
    (WantedBlob { blob: kept.id, len: kept.len, author: id(&scene.alice) }, kept)
}

#[tokio::test]
async fn a_blob_for_which_there_is_no_room_is_not_begun() {
    let scene = Scene::with_a_friend().await;
    let (wanted, _kept) = wanted(&scene, &vec![5; 2_500_000]).await;
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

#[tokio::test]
async fn parts_that_do_not_make_the_whole_are_refused() {
    let scene = Scene::with_a_friend().await;
    let (wanted, _kept) = wanted(&scene, &vec![5; 1_500_000]).await;
    let mut other = scene.mallory.blobs.writer(Form::Public, wanted.len).unwrap();
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
    let (wanted, _kept) = wanted(&scene, &vec![5; 1_500_000]).await;
    assert!(scene.shared.shares.take(wanted.author, 63 << 20, scene.mallory.clock.now()));
    let mut stream = scene.open(blob::PROTOCOL).await;
    assert!(matches!(fetch(&scene.shared, &mut stream, &wanted).await, Err(FetchError::Share)));
    scene.mallory.clock.advance(24 * 60 * 60 * 1000);
    assert!(fetch(&scene.shared, &mut stream, &wanted).await.unwrap());
    scene.end().await;
}
