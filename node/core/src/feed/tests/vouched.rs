//! A retirement names the newest entry of each branch. All entries before it in the branch stay
//! valid, in any order of arrival.

use super::retired::{send_identity_log, sign};
use super::*;
use crate::identity::op::OpBody;
use crate::identity_log;
use crate::identity_log::VoidPolicy;

/// Forty starts of Alice's node, a post in each.
async fn forty_starts(alice: &Node) -> Vec<String> {
    let mut run = alice.clone();
    for seed in 0..40 {
        run = restarted(&run, 100 + seed);
        post(&run, &format!("day {seed:02}")).await;
    }
    (0..40).map(|seed| format!("day {seed:02}")).collect()
}

/// Retires Alice's node with cut-offs from its own entries.
async fn retire(alice: &Node) {
    let request = identity_log::request_retirement(
        alice,
        alice.identity.node_key(),
        true,
        VoidPolicy::Refuse,
    )
    .unwrap();
    let OpBody::RetireNode(named) = request.body().clone() else { panic!() };
    assert_eq!(named.cutoffs.len(), 1, "one cut-off covers all epochs");
    sign(alice, 1, OpBody::RetireNode(named)).await;
    run_due(alice).await.unwrap();
}

/// Entries of a thief of the node key: after the last valid entry, in an old epoch, and in new
/// epochs that continue from valid entries.
fn stolen_entries(alice: &Node, good: &[RawEntry]) -> Vec<RawEntry> {
    let headers: Vec<_> =
        good.iter().map(|entry| EntryHeader::from_canonical(&entry.header).unwrap()).collect();
    let (ids, last) = (ids(good), good.len() - 1);
    let at = |epoch, prev: usize, from, body| chain(alice, epoch, Some(ids[prev]), from, &[body]);
    [
        at(headers[last].log.epoch, last, 1, Body::Post(note("stolen: beyond"))),
        at(headers[3].log.epoch, 3, 1, Body::Post(note("stolen: an old epoch"))),
        at(7, last, 0, Body::Post(note("stolen: after the newest"))),
        at(8, 5, 0, Body::Tombstone { of: ids[5] }),
    ]
    .concat()
}

#[tokio::test]
async fn retirement_after_forty_epochs_loses_nothing() {
    let (alice, bob) = two_friends().await;
    let days = forty_starts(&alice).await;
    let all = all_entries(&alice, &person_id(&alice));
    sync(&alice, &bob).await;
    retire(&alice).await;
    assert_eq!(all_entries(&alice, &person_id(&alice)), all);
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!(
        (all_entries(&bob, &person_id(&alice)), shown_texts(&bob)),
        (all.clone(), days.clone())
    );
    // Neither the node itself nor the friend accepts an entry of the thief.
    for stolen in stolen_entries(&alice, &all) {
        for node in [&alice, &bob] {
            let received = receive_all(node, &alice, std::slice::from_ref(&stolen)).await;
            assert_eq!((received.accepted, received.voided, received.forked.len()), (0, 1, 0));
        }
    }
    run_due(&bob).await.unwrap();
    assert_eq!((all_entries(&bob, &person_id(&alice)), shown_texts(&bob)), (all, days));
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn retirement_undoes_only_entries_of_the_thief() {
    let (alice, bob) = two_friends().await;
    let days = forty_starts(&alice).await;
    let all = all_entries(&alice, &person_id(&alice));
    sync(&alice, &bob).await;
    let request = identity_log::request_retirement(
        &alice,
        alice.identity.node_key(),
        true,
        VoidPolicy::Refuse,
    )
    .unwrap();
    receive_all(&bob, &alice, &stolen_entries(&alice, &all)).await;
    assert!(shown_texts(&bob).len() == 42 && !shown_texts(&bob).contains(&days[5]));
    sign(&alice, 1, request.body().clone()).await;
    send_identity_log(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert!(!is_stored(&bob, "stolen"));
    receive_all(&bob, &alice, &all).await;
    assert_eq!((all_entries(&bob, &person_id(&alice)), shown_texts(&bob)), (all, days));
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn catch_up_after_retirement_gets_vouched_entries_only() {
    let (alice, bob) = two_friends().await;
    let days = forty_starts(&alice).await;
    let all = all_entries(&alice, &person_id(&alice));
    retire(&alice).await;
    send_identity_log(&alice, &bob).await;
    // The thief's entries arrive before the valid ones that make them void: they are stored without
    // effect.
    let stolen_entries = stolen_entries(&alice, &all);
    receive_all(&bob, &alice, &all[..30]).await;
    receive_all(&bob, &alice, &[stolen_entries[1].clone(), stolen_entries[3].clone()]).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), [""; 0]);
    let bob = restarted(&bob, 50);
    receive_all(&bob, &alice, &all[30..]).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), days);
    assert_eq!(receive_all(&bob, &alice, &stolen_entries).await.voided, 4);
    assert_eq!(all_entries(&bob, &person_id(&alice)), all);
    assert!(!is_stored(&bob, "stolen"));
    assert_eq!((check(&bob).unwrap().wrong, next_due(&bob).unwrap()), (Vec::new(), None));
}

#[tokio::test]
async fn waiting_edits_and_tombstones_take_effect_when_due() {
    let (alice, bob) = two_friends().await;
    let (first, second) = (post(&alice, "first").await, post(&alice, "second").await);
    let run = restarted(&alice, 90);
    write_entry(&run, Body::Edit { of: first, post: note("first, again") }).await;
    write_entry(&run, Body::Tombstone { of: second }).await;
    let all = all_entries(&alice, &person_id(&alice));
    retire(&alice).await;
    send_identity_log(&alice, &bob).await;
    for entry in &all {
        assert_eq!(shown_texts(&bob), [""; 0]);
        receive_all(&bob, &alice, std::slice::from_ref(entry)).await;
    }
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["first, again"]);
    assert!(!is_stored(&bob, "second"));
}

#[tokio::test]
async fn retirement_names_both_branches_after_a_backup() {
    let (alice, bob) = two_friends().await;
    let begin = chain(&alice, 7, None, 0, &[Body::Post(note("before the backup"))]);
    let one = chain(&alice, 8, Some(ids(&begin)[0]), 0, &[Body::Post(note("on the lost disk"))]);
    let other = chain(&alice, 9, Some(ids(&begin)[0]), 0, &[Body::Post(note("on the new disk"))]);
    let all = [begin, one, other].concat();
    let run = restarted(&alice, 60);
    receive_all(&run, &alice, &all).await;
    let request =
        identity_log::request_retirement(&run, run.identity.node_key(), false, VoidPolicy::Refuse)
            .unwrap();
    let OpBody::RetireNode(named) = request.body().clone() else { panic!() };
    assert_eq!(named.cutoffs.len(), 2);
    sign(&run, 1, OpBody::RetireNode(named)).await;
    send_identity_log(&run, &bob).await;
    receive_all(&bob, &alice, &all).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["before the backup", "on the lost disk", "on the new disk"]);
    assert_eq!(all_entries(&bob, &person_id(&alice)).len(), 3);
}

#[tokio::test]
async fn waiting_entries_count_once_retirement_is_void() {
    let (alice, bob) = two_friends().await;
    let run = restarted(&alice, 60);
    let all = [post(&run, "one").await, post(&run, "two").await];
    let entries = all_entries(&run, &person_id(&run));
    retire(&run).await;
    send_identity_log(&run, &bob).await;
    receive_all(&bob, &alice, &entries[..1]).await;
    run_due(&bob).await.unwrap();
    assert_eq!((shown_texts(&bob).len(), ids(&entries)), (0, all.to_vec()));
    // Another op has the same predecessor and no rule decides: the identity log is frozen before
    // both.
    let other = claimed_node(1).await;
    sign(&other, 1, OpBody::SetDomain(Some("alice.example".to_owned()))).await;
    send_identity_log(&other, &bob).await;
    assert!(identity_log::dispute(&bob, &person_id(&alice)).unwrap().is_some());
    run_due(&bob).await.unwrap();
    assert_eq!(shown_texts(&bob), ["one"]);
    receive_all(&bob, &alice, &entries[1..]).await;
    assert_eq!(shown_texts(&bob), ["one", "two"]);
}
