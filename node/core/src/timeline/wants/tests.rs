use super::super::{Version, get, hide, show};
use super::*;
use crate::feed::{PhotoRef, PostBody};
use crate::photos::FILE_LEN_MAX;
use crate::testing::{START, TestNode};

const BOB: PersonId = PersonId([2; 32]);
const CAROL: PersonId = PersonId([3; 32]);

fn entry(number: u64) -> EntryId {
    EntryId(*blake3::hash(&number.to_be_bytes()).as_bytes())
}

fn blob(number: u64) -> BlobId {
    let mut id = [0; 32];
    id[..8].copy_from_slice(&number.to_be_bytes());
    BlobId(id)
}

fn photo(large: (BlobId, u64), small: (BlobId, u64)) -> PhotoRef {
    PhotoRef {
        blob: large.0,
        len: large.1,
        small: small.0,
        small_len: small.1,
        alt: String::new(),
        caption: String::new(),
        width: 4,
        height: 3,
        thumbhash: Vec::new(),
    }
}

/// The most photos that a post may have; no other post has their blobs.
fn album(number: u64) -> Vec<PhotoRef> {
    let first = number * 1000;
    (0..PHOTOS_MAX as u64)
        .map(|photo_number| {
            photo((blob(first + photo_number), 9), (blob(first + 500 + photo_number), 5))
        })
        .collect()
}

async fn post(node: &TestNode, author: PersonId, number: u64, photos: Vec<PhotoRef>) {
    let body = PostBody { photos, ..PostBody::default() };
    let shown = move |tx: &mut Tx<'_>| {
        let at = START.plus_millis(number);
        let version = Version {
            author,
            entry: entry(number),
            at,
            posted: at,
            has_blobs: false,
            is_news: true,
            post: &body,
        };
        show(tx, &entry(number), &version)
    };
    node.store.commit(shown).await.unwrap();
}

async fn remove_post(node: &TestNode, author: PersonId, number: u64) {
    node.store.commit(move |tx| hide(tx, &author, &entry(number))).await.unwrap();
}

/// Counts the wanted blobs. The stored count must equal the number of rows.
fn count_wanted(node: &TestNode, author: PersonId) -> u64 {
    let rows = row::scan::<WantRow>(&node.store, &Scan::prefix(&author.0, usize::MAX)).unwrap();
    let count = row::get::<CountRow>(&node.store, &author.0).unwrap().unwrap_or_default();
    assert_eq!(count.waiting, rows.len() as u64);
    count.waiting
}

fn is_wanted(node: &TestNode, number: u64) -> bool {
    let photos = row::scan::<PhotoRow>(&node.store, &Scan::prefix(&entry(number).0, 1)).unwrap();
    let key = |blob: &BlobId| row::key(&[&BOB.0, &blob.0, &photos[0].0]);
    row::get::<WantRow>(&node.store, &key(&photos[0].1.large)).unwrap().is_some()
}

#[tokio::test]
async fn wanted_blobs_of_two_friends_are_separate() {
    let alice = TestNode::new("alice").await;
    post(&alice, BOB, 1, album(1)).await;
    post(&alice, CAROL, 2, album(2)).await;
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = wanted_blobs(&alice, &CAROL, after, 10).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.blob);
        all.extend(page);
    }
    assert_eq!(all.len(), 2 * PHOTOS_MAX);
    assert!(all.iter().all(|wanted| wanted.author == CAROL && wanted.blob >= blob(2000)));
    assert_eq!(all[0], WantedBlob { blob: blob(2000), len: 9, author: CAROL });
    assert_eq!((count_wanted(&alice, BOB), count_wanted(&alice, CAROL)), (64, 64));
    remove_post(&alice, CAROL, 2).await;
    assert_eq!((count_wanted(&alice, BOB), count_wanted(&alice, CAROL)), (64, 0));
}

#[tokio::test]
async fn wanted_blobs_are_listed_by_author() {
    let alice = TestNode::new("alice").await;
    let secret = alice.blobs.put(b"Bob and Alice have this").unwrap();
    for (author, number) in [(BOB, 1), (CAROL, 2)] {
        post(&alice, author, number, vec![photo((secret.id, 23), (secret.id, 23))]).await;
        assert_eq!(count_wanted(&alice, author), 1, "one row for one blob of one photo");
    }
    assert!(blob_arrived(&alice, BOB, secret, Limit::NONE).await.unwrap());
    let has = |number| get(&alice, &entry(number)).unwrap().unwrap().photos[0].has_large;
    assert!(has(1), "Bob has sent it");
    assert!(!has(2), "Carol has only referred to it");
    assert_eq!((count_wanted(&alice, BOB), count_wanted(&alice, CAROL)), (0, 1));
}

#[tokio::test]
async fn photo_of_impossible_length_leaves_no_row() {
    let alice = TestNode::new("alice").await;
    let photos = [(0, 1), (FILE_LEN_MAX + 1, FILE_LEN_MAX), (u64::MAX, 0)];
    let photos = (0..)
        .step_by(2)
        .zip(photos)
        .map(|(number, (large, small))| photo((blob(number), large), (blob(number + 1), small)));
    post(&alice, BOB, 1, photos.collect()).await;
    let lens: Vec<u64> =
        wanted_blobs(&alice, &BOB, None, 100).unwrap().iter().map(|wanted| wanted.len).collect();
    assert_eq!(lens, [1, FILE_LEN_MAX]);
    assert_eq!(count_wanted(&alice, BOB), 2);
    post(&alice, BOB, 2, vec![photo((blob(8), 0), (blob(9), u64::MAX))]).await;
    assert!(lacks_photos(&alice, BOB, &entry(1)).unwrap());
    assert!(
        !lacks_photos(&alice, BOB, &entry(2)).unwrap(),
        "a photo that is never wanted causes no repeated scan"
    );
    assert_eq!(
        get(&alice, &entry(1)).unwrap().unwrap().photos.len(),
        3,
        "the post is shown unchanged"
    );
}

#[tokio::test]
async fn photos_over_the_limit_are_wanted_later() {
    let alice = TestNode::new("alice").await;
    let posts = WANTS_MAX / (2 * PHOTOS_MAX as u64);
    for number in 0..posts + 3 {
        post(&alice, BOB, number, album(number)).await;
    }
    post(&alice, CAROL, 1000, album(1000)).await;
    assert_eq!(
        (count_wanted(&alice, BOB), count_wanted(&alice, CAROL)),
        (WANTS_MAX, 64),
        "Bob's limit does not affect Carol"
    );
    assert_eq!(
        get(&alice, &entry(posts)).unwrap().unwrap().photos.len(),
        PHOTOS_MAX,
        "the post is shown"
    );
    assert!(!is_wanted(&alice, posts) && !is_wanted(&alice, posts + 2));

    remove_post(&alice, BOB, 0).await;
    assert!(
        !want_left_out(&alice, BOB).await.unwrap(),
        "an arriving photo causes no scan of all posts"
    );
    for number in 1..posts / 2 {
        remove_post(&alice, BOB, number).await;
    }
    assert!(want_left_out(&alice, BOB).await.unwrap());
    assert!((posts..posts + 3).all(|number| is_wanted(&alice, number)));
    assert_eq!(count_wanted(&alice, BOB), WANTS_MAX / 2 + 3 * 64);
    assert!(!want_left_out(&alice, BOB).await.unwrap(), "no photo is left out");
}

#[tokio::test]
async fn left_out_photos_are_wanted_newest_first() {
    let alice = TestNode::new("alice").await;
    let posts = WANTS_MAX / (2 * PHOTOS_MAX as u64);
    for number in 0..posts + posts / 2 + 2 {
        post(&alice, BOB, number, album(number)).await;
    }
    for number in 0..posts / 2 {
        remove_post(&alice, BOB, number).await;
    }
    assert!(want_left_out(&alice, BOB).await.unwrap());
    assert_eq!(count_wanted(&alice, BOB), WANTS_MAX);
    let (oldest, newest) = (posts, posts + posts / 2 + 1);
    assert!(
        is_wanted(&alice, newest) && !is_wanted(&alice, oldest) && !is_wanted(&alice, oldest + 1)
    );
    // The photos that are still left out are wanted later.
    for number in posts / 2..posts {
        remove_post(&alice, BOB, number).await;
    }
    assert!(want_left_out(&alice, BOB).await.unwrap());
    assert!(is_wanted(&alice, oldest) && is_wanted(&alice, oldest + 1));
}

#[tokio::test]
async fn shared_blob_of_many_photos_arrives_once() {
    let alice = TestNode::new("alice").await;
    let one = alice.blobs.put(b"in many photos").unwrap();
    let posts = PHOTOS_EACH as u64 / PHOTOS_MAX as u64 + 1;
    for number in 0..posts {
        post(&alice, BOB, number, vec![photo((one.id, 14), (one.id, 14)); PHOTOS_MAX]).await;
    }
    assert!(count_wanted(&alice, BOB) > PHOTOS_EACH as u64);
    assert!(blob_arrived(&alice, BOB, one, Limit::NONE).await.unwrap());
    assert_eq!(count_wanted(&alice, BOB), 0);
    for number in 0..posts {
        assert!(
            get(&alice, &entry(number))
                .unwrap()
                .unwrap()
                .photos
                .iter()
                .all(|photo| photo.has_large && photo.has_small)
        );
    }
}

#[tokio::test]
async fn wanted_photo_sends_a_hint_with_its_author() {
    let alice = TestNode::new("alice").await;
    let mut hints = alice.events.subscribe();
    post(&alice, BOB, 1, Vec::new()).await;
    post(&alice, BOB, 2, album(2)).await;
    let mut received = Vec::new();
    while let Ok(hint) = hints.try_recv() {
        received.push(hint);
    }
    assert_eq!(received.iter().filter(|hint| **hint == Event::Wanted(BOB)).count(), 1);
}
