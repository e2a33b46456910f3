//! A retirement names the newest entry of each branch; what that chains back to stays, in whatever
//! order a friend meets it.

use super::retired::{sign, tell};
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

/// Retires Alice's node by what it holds itself.
async fn retire(alice: &Node) {
    let asked = identity_log::request_retirement(
        alice,
        alice.identity.node_key(),
        true,
        VoidPolicy::Refuse,
    )
    .unwrap();
    let OpBody::RetireNode(named) = asked.body().clone() else { panic!() };
    assert_eq!(named.cutoffs.len(), 1, "the newest stands for all");
    sign(alice, 1, OpBody::RetireNode(named)).await;
    run_due(alice).await.unwrap();
}

/// What a thief says after the retirement: beyond the last good entry, in an old epoch, and in new
/// ones that continue from good entries.
fn thefts(alice: &Node, good: &[RawEntry]) -> Vec<RawEntry> {
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
    let (alice, bob) = friends_of_two().await;
    let days = forty_starts(&alice).await;
    let all = everything(&alice, &who(&alice));
    sync(&alice, &bob).await;
    retire(&alice).await;
    assert_eq!(everything(&alice, &who(&alice)), all);
    tell(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert_eq!((everything(&bob, &who(&alice)), shown(&bob)), (all.clone(), days.clone()));
    // A thief is heard neither at the node's own copy nor at the friend's.
    for thing in thefts(&alice, &all) {
        for node in [&alice, &bob] {
            let received = take_in(node, &alice, std::slice::from_ref(&thing)).await;
            assert_eq!((received.accepted, received.voided, received.forked.len()), (0, 1, 0));
        }
    }
    run_due(&bob).await.unwrap();
    assert_eq!((everything(&bob, &who(&alice)), shown(&bob)), (all, days));
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn retirement_undoes_only_entries_of_the_thief() {
    let (alice, bob) = friends_of_two().await;
    let days = forty_starts(&alice).await;
    let all = everything(&alice, &who(&alice));
    sync(&alice, &bob).await;
    let asked = identity_log::request_retirement(
        &alice,
        alice.identity.node_key(),
        true,
        VoidPolicy::Refuse,
    )
    .unwrap();
    take_in(&bob, &alice, &thefts(&alice, &all)).await;
    assert!(shown(&bob).len() == 42 && !shown(&bob).contains(&days[5]));
    sign(&alice, 1, asked.body().clone()).await;
    tell(&alice, &bob).await;
    run_due(&bob).await.unwrap();
    assert!(!is_anywhere(&bob, "stolen"));
    take_in(&bob, &alice, &all).await;
    assert_eq!((everything(&bob, &who(&alice)), shown(&bob)), (all, days));
    assert_eq!(check(&bob).unwrap().wrong, Vec::<String>::new());
}

#[tokio::test]
async fn catch_up_after_retirement_gets_vouched_entries_only() {
    let (alice, bob) = friends_of_two().await;
    let days = forty_starts(&alice).await;
    let all = everything(&alice, &who(&alice));
    retire(&alice).await;
    tell(&alice, &bob).await;
    // The thief's come before what would tell that they are void: they are kept without effect so
    // far.
    let thefts = thefts(&alice, &all);
    take_in(&bob, &alice, &all[..30]).await;
    take_in(&bob, &alice, &[thefts[1].clone(), thefts[3].clone()]).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), [""; 0]);
    let bob = restarted(&bob, 50);
    take_in(&bob, &alice, &all[30..]).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), days);
    assert_eq!(take_in(&bob, &alice, &thefts).await.voided, 4);
    assert_eq!(everything(&bob, &who(&alice)), all);
    assert!(!is_anywhere(&bob, "stolen"));
    assert_eq!((check(&bob).unwrap().wrong, next_due(&bob).unwrap()), (Vec::new(), None));
}

#[tokio::test]
async fn waiting_edits_and_tombstones_take_effect_when_due() {
    let (alice, bob) = friends_of_two().await;
    let (first, second) = (post(&alice, "first").await, post(&alice, "second").await);
    let run = restarted(&alice, 90);
    say(&run, Body::Edit { of: first, post: note("first, again") }).await;
    say(&run, Body::Tombstone { of: second }).await;
    let all = everything(&alice, &who(&alice));
    retire(&alice).await;
    tell(&alice, &bob).await;
    for entry in &all {
        assert_eq!(shown(&bob), [""; 0]);
        take_in(&bob, &alice, std::slice::from_ref(entry)).await;
    }
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), ["first, again"]);
    assert!(!is_anywhere(&bob, "second"));
}

#[tokio::test]
async fn retirement_names_both_branches_after_a_backup() {
    let (alice, bob) = friends_of_two().await;
    let begin = chain(&alice, 7, None, 0, &[Body::Post(note("before the backup"))]);
    let one = chain(&alice, 8, Some(ids(&begin)[0]), 0, &[Body::Post(note("on the lost disk"))]);
    let other = chain(&alice, 9, Some(ids(&begin)[0]), 0, &[Body::Post(note("on the new disk"))]);
    let all = [begin, one, other].concat();
    let run = restarted(&alice, 60);
    take_in(&run, &alice, &all).await;
    let asked =
        identity_log::request_retirement(&run, run.identity.node_key(), false, VoidPolicy::Refuse)
            .unwrap();
    let OpBody::RetireNode(named) = asked.body().clone() else { panic!() };
    assert_eq!(named.cutoffs.len(), 2);
    sign(&run, 1, OpBody::RetireNode(named)).await;
    tell(&run, &bob).await;
    take_in(&bob, &alice, &all).await;
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), ["before the backup", "on the lost disk", "on the new disk"]);
    assert_eq!(everything(&bob, &who(&alice)).len(), 3);
}

#[tokio::test]
async fn waiting_entries_count_once_retirement_is_void() {
    let (alice, bob) = friends_of_two().await;
    let run = restarted(&alice, 60);
    let all = [post(&run, "one").await, post(&run, "two").await];
    let entries = everything(&run, &who(&run));
    retire(&run).await;
    tell(&run, &bob).await;
    take_in(&bob, &alice, &entries[..1]).await;
    run_due(&bob).await.unwrap();
    assert_eq!((shown(&bob).len(), ids(&entries)), (0, all.to_vec()));
    // Another op follows the same one, and nothing decides: the log is frozen before both.
    let other = person(1).await;
    sign(&other, 1, OpBody::SetDomain(Some("alice.example".to_owned()))).await;
    tell(&other, &bob).await;
    assert!(identity_log::dispute(&bob, &who(&alice)).unwrap().is_some());
    run_due(&bob).await.unwrap();
    assert_eq!(shown(&bob), ["one"]);
    take_in(&bob, &alice, &entries[1..]).await;
    assert_eq!(shown(&bob), ["one", "two"]);
}
