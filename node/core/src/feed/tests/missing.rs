//! Only bodies that were dropped because of an entry that became void are missing.

use super::retired::{send_identity_log, sign};
use super::*;
use crate::identity::op::{Cutoff, OpBody, RetireNode};

fn missing_bodies(bob: &Node, alice: &Node) -> Vec<EntryId> {
    missing(bob, &person_id(alice), 10).unwrap()
}

fn without_bodies(entries: &[RawEntry]) -> Vec<RawEntry> {
    entries.iter().map(|entry| RawEntry { body: None, ..entry.clone() }).collect()
}

/// Retires Alice's node; the first `good` entries of its log stay valid.
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
    send_identity_log(alice, bob).await;
    run_due(bob).await.unwrap();
}

/// Two posts and an edit by Alice; then a thief of her node key edits one post twice and deletes
/// the other.
fn compromised_log(alice: &Node) -> Vec<RawEntry> {
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
        let (alice, bob) = two_friends().await;
        let log = compromised_log(&alice);
        match order {
            0 => _ = receive_all(&bob, &alice, &log).await,
            // The sender had already dropped the bodies that the edits replace.
            1 => {
                _ = receive_all(
                    &bob,
                    &alice,
                    &[without_bodies(&log[..2]), log[2..].to_vec()].concat(),
                )
                .await
            }
            // All headers come first, then the bodies from the last to the first.
            2 => {
                receive_all(&bob, &alice, &without_bodies(&log)).await;
                for entry in log.iter().rev() {
                    receive_all(&bob, &alice, std::slice::from_ref(entry)).await;
                }
            }
            _ => {
                for entry in &log {
                    receive_all(&bob, &alice, std::slice::from_ref(entry)).await;
                }
            }
        }
        assert_eq!(
            (missing_bodies(&bob, &alice), shown_texts(&bob)),
            (Vec::new(), vec!["buy now".to_owned()]),
            "order {order}"
        );
        retire(&alice, &bob, &log, 3).await;
        let mut wanted = vec![ids(&log)[0], ids(&log)[2]];
        wanted.sort();
        let mut found = missing_bodies(&bob, &alice);
        found.sort();
        assert_eq!((found, shown_texts(&bob)), (wanted, Vec::new()), "order {order}");

        // A header alone, a wrong body and a void entry restore nothing.
        receive_all(&bob, &alice, &without_bodies(&log)).await;
        let another = RawEntry { body: log[1].body.clone(), ..log[0].clone() };
        assert!(receive(&bob, person_id(&alice), vec![another]).await.is_err());
        receive_all(&bob, &alice, &log[3..]).await;
        assert_eq!(missing_bodies(&bob, &alice).len(), 2, "order {order}");
        receive_all(&bob, &alice, &log[..3]).await;
        assert_eq!(
            (missing_bodies(&bob, &alice), shown_texts(&bob)),
            (Vec::new(), vec!["one".to_owned(), "two".to_owned()]),
            "order {order}"
        );
        assert!(!is_stored(&bob, "to be edited") && !is_stored(&bob, "buy"));
        assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
    }
}

#[tokio::test]
async fn body_dropped_by_forked_edit_is_missing() {
    let (alice, bob) = two_friends().await;
    let common = chain(&alice, 7, None, 0, &[Body::Post(note("one"))]);
    let of = ids(&common)[0];
    let side = |text: &str| chain(&alice, 7, Some(of), 1, &[Body::Edit { of, post: note(text) }]);
    receive_all(&bob, &alice, &[common.clone(), side("one side")].concat()).await;
    receive_all(&bob, &alice, &side("the other")).await;
    run_due(&bob).await.unwrap();
    assert_eq!((missing_bodies(&bob, &alice), shown_texts(&bob)), (vec![of], Vec::new()));
    receive_all(&bob, &alice, &common).await;
    assert_eq!(
        (missing_bodies(&bob, &alice), shown_texts(&bob)),
        (Vec::new(), vec!["one".to_owned()])
    );
}

#[tokio::test]
async fn deleted_replaced_or_expired_body_is_never_missing() {
    let (alice, bob) = two_friends().await;
    let [one, two, three] =
        [post(&alice, "one").await, post(&alice, "two").await, post(&alice, "three").await];
    write_entry(&alice, Body::Edit { of: one, post: note("one, edited") }).await;
    let edit = write_entry(&alice, Body::Edit { of: two, post: note("two, edited") }).await;
    sync(&alice, &bob).await;
    write_entry(&alice, Body::Tombstone { of: edit }).await;
    write_entry(&alice, Body::Tombstone { of: three }).await;
    sync(&alice, &bob).await;
    for node in [&alice, &bob] {
        run_due(node).await.unwrap();
        assert_eq!(missing_bodies(node, &alice), []);
    }
    assert_eq!(shown_texts(&bob), ["one, edited"]);
    // The bodies of entries after the cut-off are not missing, those before it are.
    let log = compromised_log(&alice);
    receive_all(&bob, &alice, &log).await;
    retire(&alice, &bob, &log, 3).await;
    assert_eq!(missing_bodies(&bob, &alice).len(), 2);
}
