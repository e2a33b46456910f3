//! The limit of deletions by one node, and what ends its delay.

use super::super::retraction_limit;
use super::retired::{retire, sign, tell};
use super::*;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A hundred posts, and a tombstone for each.
fn a_life_taken_back(alice: &Node) -> (Vec<RawEntry>, Vec<RawEntry>) {
    let posts: Vec<_> = (0..100).map(|number| Body::Post(note(&format!("day {number}")))).collect();
    let posts = chain(alice, 7, None, 0, &posts);
    let ends: Vec<_> = ids(&posts).into_iter().map(|of| Body::Tombstone { of }).collect();
    let ends = chain(alice, 7, ids(&posts).last().copied(), 100, &ends);
    (posts, ends)
}

#[tokio::test]
async fn tombstones_over_the_limit_hide_their_targets() {
    let (alice, bob) = friends_of_two().await;
    let (posts, ends) = a_life_taken_back(&alice);
    take_in(&bob, &alice, &posts).await;
    take_in(&bob, &alice, &ends).await;
    assert_eq!(shown(&bob), [""; 0], "hidden at once");
    let left = 100 - retraction_limit::A_DAY;
    assert_eq!(bodies_kept(&bob, &who(&alice)), left);
    // Nor do they show again when they are edited or sent again.
    take_in(&bob, &alice, &posts).await;
    assert_eq!(shown(&bob), [""; 0]);
    bob.clock.advance(3 * DAY_MS - 1);
    run_due(&bob).await.unwrap();
    assert_eq!(bodies_kept(&bob, &who(&alice)), left);
    bob.clock.advance(1);
    run_due(&bob).await.unwrap();
    assert_eq!((bodies_kept(&bob, &who(&alice)), next_due(&bob).unwrap()), (0, None));
    // A new day has its own fifty.
    let next = chain(&alice, 7, ids(&ends).last().copied(), 200, &[Body::Post(note("a new day"))]);
    let end =
        chain(&alice, 7, ids(&next).last().copied(), 201, &[Body::Tombstone { of: ids(&next)[0] }]);
    take_in(&bob, &alice, &[next, end].concat()).await;
    assert_eq!(bodies_kept(&bob, &who(&alice)), 0);
}

#[tokio::test]
async fn retirement_restores_posts_hidden_by_waiting_tombstones() {
    let (alice, bob) = friends_of_two().await;
    let (posts, ends) = a_life_taken_back(&alice);
    take_in(&bob, &alice, &posts).await;
    take_in(&bob, &alice, &ends).await;
    sign(&alice, 1, retire(&alice, &posts, 99)).await;
    tell(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob).len(), 50);
    bob.clock.advance(4 * DAY_MS);
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob).len(), 50);
    // And the first fifty come back with whoever still has them.
    take_in(&bob, &alice, &posts).await;
    assert_eq!(shown(&bob).len(), 100);
}

/// A hundred posts, and what empties each of them: an edit, one that expires at once, or one whose
/// body never comes and that is taken back.
fn a_life_emptied(alice: &Node, how: usize) -> (Vec<RawEntry>, Vec<RawEntry>) {
    let (posts, _) = a_life_taken_back(alice);
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
            let (alice, bob) = friends_of_two().await;
            let (posts, edits) = a_life_emptied(&alice, how);
            take_in(&bob, &alice, &posts).await;
            take_in(&bob, &alice, &edits).await;
            take_in(&bob, &alice, &edits).await;
            let whole =
                |node: &Node| shown(node).iter().filter(|text| text.starts_with("day")).count();
            assert_eq!(whole(&bob), 50, "way {how}");
            if is_retired {
                sign(&alice, 1, retire(&alice, &posts, 99)).await;
                tell(&alice, &bob).await;
            }
            bob.clock.advance(3 * DAY_MS - 1);
            run_due(&bob).await.unwrap();
            assert_eq!(whole(&bob), 50, "way {how}");
            bob.clock.advance(1);
            run_due(&bob).await.unwrap();
            assert_eq!(
                (whole(&bob), next_due(&bob).unwrap()),
                (if is_retired { 50 } else { 0 }, None),
                "way {how}"
            );
            if is_retired {
                take_in(&bob, &alice, &posts).await;
                assert_eq!(
                    whole(&bob),
                    100,
                    "the first fifty come back with whoever still has them"
                );
            }
            assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
        }
    }
}

#[tokio::test]
async fn edit_of_missing_body_is_not_counted() {
    let (alice, bob) = friends_of_two().await;
    let (posts, edits) = a_life_emptied(&alice, 0);
    let bare: Vec<_> = posts.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect();
    take_in(&bob, &alice, &[bare, edits].concat()).await;
    assert_eq!((shown(&bob).len(), next_due(&bob).unwrap()), (100, None));
}

#[tokio::test]
async fn vouched_tombstone_does_not_wait() {
    let (alice, bob) = friends_of_two().await;
    let (posts, ends) = a_life_taken_back(&alice);
    take_in(&bob, &alice, &posts).await;
    let all = [posts, ends.clone()].concat();
    sign(&alice, 1, retire(&alice, &all, 199)).await;
    tell(&alice, &bob).await;
    take_in(&bob, &alice, &ends).await;
    assert_eq!(
        bodies_kept(&bob, &who(&alice)),
        100,
        "nothing counts before what vouches for it is here"
    );
    run_due(&bob).await.unwrap();
    assert_eq!((bodies_kept(&bob, &who(&alice)), next_due(&bob).unwrap()), (0, None));
}

#[tokio::test]
async fn tombstone_of_missing_body_is_not_counted() {
    let (alice, bob) = friends_of_two().await;
    let (posts, ends) = a_life_taken_back(&alice);
    let bare: Vec<_> = posts.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect();
    take_in(&bob, &alice, &[bare, ends].concat()).await;
    assert_eq!(next_due(&bob).unwrap(), None);
    take_in(&bob, &alice, &posts).await;
    assert_eq!(bodies_kept(&bob, &who(&alice)), 0);
}
