//! Bodies that were dropped for what turned out to be void are wanted again, and nothing else is.

use super::retired::{sign, tell};
use super::*;
use crate::identity::op::{Cutoff, OpBody, RetireNode};

fn lacking_of(bob: &Node, alice: &Node) -> Vec<EntryId> {
    missing(bob, &who(alice), 10).unwrap()
}

fn bare(entries: &[RawEntry]) -> Vec<RawEntry> {
    entries.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect()
}

/// Alice's node is retired; the first `good` entries of its log count.
async fn retire(alice: &Node, bob: &Node, log: &[RawEntry], good: usize) {
    let cutoff = Cutoff {
        lane: Lane::PUBLIC.0,
        epoch: 7,
        seq: good as u64 - 1,
        entry: ids(log)[good - 1].0,
    };
    let body = OpBody::RetireNode(RetireNode {
        node: alice.identity.node_key(),
        cutoffs: vec![cutoff],
        compromised: true,
    });
    sign(alice, 1, body).await;
    tell(alice, bob).await;
    run_due(bob).await.unwrap();
}

/// Two posts and an edit of Alice's; then a thief edits one post twice and takes the other back.
fn a_stolen_life(alice: &Node) -> Vec<RawEntry> {
    let good =
        chain(alice, 7, None, 0, &[Body::Post(note("one")), Body::Post(note("two, to be edited"))]);
    let [one, two] = ids(&good)[..] else { panic!() };
    let good = [good, chain(alice, 7, Some(two), 2, &[Body::Edit { of: two, post: note("two") }])]
        .concat();
    let thief = [
        Body::Edit { of: one, post: note("buy") },
        Body::Edit { of: one, post: note("buy now") },
        Body::Tombstone { of: two },
    ];
    [good.clone(), chain(alice, 7, ids(&good).last().copied(), 3, &thief)].concat()
}

#[tokio::test]
async fn body_dropped_by_void_entry_is_missing() {
    for order in 0..4 {
        let (alice, bob) = friends_of_two().await;
        let log = a_stolen_life(&alice);
        match order {
            0 => _ = take_in(&bob, &alice, &log).await,
            // What the edits replace had lost its body already where they came from.
            1 => _ = take_in(&bob, &alice, &[bare(&log[..2]), log[2..].to_vec()].concat()).await,
            // All headers came first, and the bodies from the last to the first.
            2 => {
                take_in(&bob, &alice, &bare(&log)).await;
                for entry in log.iter().rev() {
                    take_in(&bob, &alice, std::slice::from_ref(entry)).await;
                }
            }
            _ => {
                for entry in &log {
                    take_in(&bob, &alice, std::slice::from_ref(entry)).await;
                }
            }
        }
        assert_eq!(
            (lacking_of(&bob, &alice), shown(&bob)),
            (Vec::new(), vec!["buy now".to_owned()]),
            "order {order}"
        );
        retire(&alice, &bob, &log, 3).await;
        let mut wanted = vec![ids(&log)[0], ids(&log)[2]];
        wanted.sort();
        let mut found = lacking_of(&bob, &alice);
        found.sort();
        assert_eq!((found, shown(&bob)), (wanted, Vec::new()), "order {order}");

        // A header alone, another body, and what is void bring nothing.
        take_in(&bob, &alice, &bare(&log)).await;
        let another = RawEntry { body: log[1].body.clone(), ..log[0].clone() };
        assert!(receive(&bob, who(&alice), vec![another]).await.is_err());
        take_in(&bob, &alice, &log[3..]).await;
        assert_eq!(lacking_of(&bob, &alice).len(), 2, "order {order}");
        take_in(&bob, &alice, &log[..3]).await;
        assert_eq!(
            (lacking_of(&bob, &alice), shown(&bob)),
            (Vec::new(), vec!["one".to_owned(), "two".to_owned()]),
            "order {order}"
        );
        assert!(!is_anywhere(&bob, "to be edited") && !is_anywhere(&bob, "buy"));
        assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
    }
}

#[tokio::test]
async fn body_dropped_by_forked_edit_is_missing() {
    let (alice, bob) = friends_of_two().await;
    let common = chain(&alice, 7, None, 0, &[Body::Post(note("one"))]);
    let of = ids(&common)[0];
    let side = |text: &str| chain(&alice, 7, Some(of), 1, &[Body::Edit { of, post: note(text) }]);
    take_in(&bob, &alice, &[common.clone(), side("one side")].concat()).await;
    take_in(&bob, &alice, &side("the other")).await;
    run_due(&bob).await.unwrap();
    assert_eq!((lacking_of(&bob, &alice), shown(&bob)), (vec![of], Vec::new()));
    take_in(&bob, &alice, &common).await;
    assert_eq!((lacking_of(&bob, &alice), shown(&bob)), (Vec::new(), vec!["one".to_owned()]));
}

#[tokio::test]
async fn deleted_replaced_or_expired_body_is_never_missing() {
    let (alice, bob) = friends_of_two().await;
    let [one, two, three] =
        [post(&alice, "one").await, post(&alice, "two").await, post(&alice, "three").await];
    say(&alice, Body::Edit { of: one, post: note("one, edited") }).await;
    let edit = say(&alice, Body::Edit { of: two, post: note("two, edited") }).await;
    sync(&alice, &bob).await;
    say(&alice, Body::Tombstone { of: edit }).await;
    say(&alice, Body::Tombstone { of: three }).await;
    sync(&alice, &bob).await;
    for node in [&alice, &bob] {
        run_due(node).await.unwrap();
        assert_eq!(lacking_of(node, &alice), []);
    }
    assert_eq!(shown(&bob), ["one, edited"]);
    // What is lacking of a post that is then taken back is lacking no more.
    let log = a_stolen_life(&alice);
    take_in(&bob, &alice, &log).await;
    retire(&alice, &bob, &log, 3).await;
    assert_eq!(lacking_of(&bob, &alice).len(), 2);
}
