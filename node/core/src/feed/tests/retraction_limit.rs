//! The daily limit of deletions by one node, and the end of the delay.

use super::super::retraction_limit;
use super::retired::{retire, send_identity_log, sign};
use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A hundred posts, and a tombstone for each.
fn posts_and_tombstones(alice: &Node) -> (Vec<RawEntry>, Vec<RawEntry>) {
    let posts: Vec<_> = (0..100).map(|number| Body::Post(note(&format!("day {number}")))).collect();
    let posts = chain(alice, 7, None, 0, &posts);
    let tombstones: Vec<_> = ids(&posts).into_iter().map(|of| Body::Tombstone { of }).collect();
    let tombstones = chain(alice, 7, ids(&posts).last().copied(), 100, &tombstones);
    (posts, tombstones)
}

#[tokio::test]
async fn tombstones_over_the_limit_hide_their_targets() {
    let (alice, bob) = two_friends().await;
    let (posts, tombstones) = posts_and_tombstones(&alice);
    receive_all(&bob, &alice, &posts).await;
    receive_all(&bob, &alice, &tombstones).await;
    assert_eq!(shown_texts(&bob), [""; 0], "hidden at once");
    let left = 100 - retraction_limit::A_DAY;
    assert_eq!(count_bodies(&bob, &person_id(&alice)), left);
    // They stay hidden when they are sent again.
    receive_all(&bob, &alice, &posts).await;
    assert_eq!(shown_texts(&bob), [""; 0]);
    bob.clock.advance(3 * DAY_MS - 1);
    run_due(&bob).await.unwrap();
    assert_eq!(count_bodies(&bob, &person_id(&alice)), left);
    bob.clock.advance(1);
    run_due(&bob).await.unwrap();
    assert_eq!((count_bodies(&bob, &person_id(&alice)), next_due(&bob).unwrap()), (0, None));
    // The next day has its own limit.
    let next =
        chain(&alice, 7, ids(&tombstones).last().copied(), 200, &[Body::Post(note("a new day"))]);
    let tombstone =
        chain(&alice, 7, ids(&next).last().copied(), 201, &[Body::Tombstone { of: ids(&next)[0] }]);
    receive_all(&bob, &alice, &[next, tombstone].concat()).await;
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 0);
}

#[tokio::test]
async fn retirement_restores_posts_hidden_by_waiting_tombstones() {
    let (alice, bob) = two_friends().await;
    let (posts, tombstones) = posts_and_tombstones(&alice);
    receive_all(&bob, &alice, &posts).await;
    receive_all(&bob, &alice, &tombstones).await;
    sign(&alice, 1, retire(&alice, &posts, 99)).await;
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob).len(), 50);
    bob.clock.advance(4 * DAY_MS);
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob).len(), 50);
    // The first fifty are restored by any peer that still has their bodies.
    receive_all(&bob, &alice, &posts).await;
    assert_eq!(shown_texts(&bob).len(), 100);
}

/// A hundred posts, and an edit that empties each of them: a plain one (`how` is 0), one that
/// expires at once (1), or one whose body is missing and that is then deleted (2).
fn posts_and_emptying_edits(alice: &Node, how: usize) -> (Vec<RawEntry>, Vec<RawEntry>) {
    let (posts, _) = posts_and_tombstones(alice);
    let mut last = ids(&posts)[99];
    let mut then = Vec::new();
    for of in ids(&posts) {
        let mut edit = chain(
            alice,
            7,
            Some(last),
            100 + then.len() as u64,
            &[Body::Edit { of, post: note("empty") }],
        )
        .remove(0);
        if how == 1 {
            let header = EntryHeader {
                expires: Some(START),
                ..EntryHeader::from_canonical(&edit.header).unwrap()
            };
            edit = signed(alice, &header, edit.body.as_ref().unwrap());
        }
        last = EntryId::of(&edit.header);
        then.push(if how == 2 { RawEntry { body: None, ..edit } } else { edit });
        if how == 2 {
            then.extend(chain(
                alice,
                7,
                Some(last),
                100 + then.len() as u64,
                &[Body::Tombstone { of: last }],
            ));
            last = EntryId::of(&then.last().unwrap().header);
        }
    }
    (posts, then)
}

#[tokio::test]
async fn edits_over_the_limit_drop_no_body() {
    for how in 0..3 {
        for is_retired in [false, true] {
            let (alice, bob) = two_friends().await;
            let (posts, edits) = posts_and_emptying_edits(&alice, how);
            receive_all(&bob, &alice, &posts).await;
            receive_all(&bob, &alice, &edits).await;
            receive_all(&bob, &alice, &edits).await;
            let whole = |node: &Node| {
                shown_texts(node).iter().filter(|text| text.starts_with("day")).count()
            };
            assert_eq!(whole(&bob), 50, "how {how}");
            if is_retired {
                sign(&alice, 1, retire(&alice, &posts, 99)).await;
                send_identity_log(&alice, &bob).await;
            }
            bob.clock.advance(3 * DAY_MS - 1);
            run_due(&bob).await.unwrap();
            assert_eq!(whole(&bob), 50, "how {how}");
            bob.clock.advance(1);
            run_due(&bob).await.unwrap();
            assert_eq!(
                (whole(&bob), next_due(&bob).unwrap()),
                (if is_retired { 50 } else { 0 }, None),
                "how {how}"
            );
            if is_retired {
                receive_all(&bob, &alice, &posts).await;
                assert_eq!(whole(&bob), 100, "any peer that has the first fifty restores them");
            }
            assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn edit_of_missing_body_is_not_counted() {
    let (alice, bob) = two_friends().await;
    let (posts, edits) = posts_and_emptying_edits(&alice, 0);
    let bare: Vec<_> = posts.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect();
    receive_all(&bob, &alice, &[bare, edits].concat()).await;
    assert_eq!((shown_texts(&bob).len(), next_due(&bob).unwrap()), (100, None));
}

#[tokio::test]
async fn vouched_tombstone_does_not_wait() {
    let (alice, bob) = two_friends().await;
    let (posts, tombstones) = posts_and_tombstones(&alice);
    receive_all(&bob, &alice, &posts).await;
    let all = [posts, tombstones.clone()].concat();
    sign(&alice, 1, retire(&alice, &all, 199)).await;
    send_identity_log(&alice, &bob).await;
    receive_all(&bob, &alice, &tombstones).await;
    assert_eq!(
        count_bodies(&bob, &person_id(&alice)),
        100,
        "no entry counts before the vouching entry has arrived"
    );
    run_due(&bob).await.unwrap();
    assert_eq!((count_bodies(&bob, &person_id(&alice)), next_due(&bob).unwrap()), (0, None));
}

#[tokio::test]
async fn tombstone_of_missing_body_is_not_counted() {
    let (alice, bob) = two_friends().await;
    let (posts, tombstones) = posts_and_tombstones(&alice);
    let bare: Vec<_> = posts.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect();
    receive_all(&bob, &alice, &[bare, tombstones].concat()).await;
    assert_eq!(next_due(&bob).unwrap(), None);
    receive_all(&bob, &alice, &posts).await;
    assert_eq!(count_bodies(&bob, &person_id(&alice)), 0);
}
