//! Logs that part: what freezes, what thaws, and when a recovery by friends counts.

use super::super::paper::{self, Signed};
use super::*;
use crate::node::Node;

const DAY_MS: u64 = 86_400_000;

fn domain(name: &str) -> OpBody {
    OpBody::SetDomain(Some(name.to_owned()))
}

fn side(log: &IdentityLog, body: OpBody, root: u8, guardians: &[u8]) -> IdentityLog {
    with_op(log, next(log, body, root, guardians, None)).unwrap()
}

async fn told(node: &Node, log: &IdentityLog) -> Learned {
    learn(node, log.to_bytes()).await.unwrap().1
}

/// The node asks, the words sign, the node takes it back.
async fn signed_by(node: &Node, body: OpBody, seed: u8) -> Result<(), PaperError> {
    let asked = request(&node.identity.log().unwrap(), body).unwrap();
    let Signed::Done(done) = paper::sign(&asked, &words(seed))? else { panic!("no node is added") };
    upload(node, &done).await.unwrap();
    Ok(())
}

/// Somebody who has met both sides of a dispute at the second op, each of which goes on.
async fn disputed() -> (Node, IdentityLog, IdentityLog, IdentityLog) {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let one = with(&side(&log, domain("one.example"), 2, &[]), domain("more.example"), 2);
    let other = side(&log, domain("other.example"), 2, &[]);
    assert_eq!(told(&bob, &one).await, Learned::Newer);
    assert_eq!(told(&bob, &other).await, Learned::Disputed);
    (bob, log, one, other)
}

#[tokio::test]
async fn a_disputed_log_thaws_when_a_higher_root_key_decides() {
    let (bob, log, one, other) = disputed().await;
    let person = log.person();
    for tied in [&one, &other, &side(&log, domain("third.example"), 2, &[])] {
        assert_eq!(told(&bob, tied).await, Learned::Disputed);
        assert_eq!(log_of(&bob, &person).unwrap().as_ref(), Some(&log));
    }
    let decided = side(&log, domain("decided.example"), 1, &[]);
    assert_eq!(told(&bob, &decided).await, Learned::Newer);
    assert_eq!((dispute(&bob, &person).unwrap(), log_of(&bob, &person).unwrap().as_ref()), (None, Some(&decided)));
    assert_eq!(told(&bob, &one).await, Learned::Worse);
    assert_eq!(told(&bob, &with(&decided, domain("and on.example"), 2)).await, Learned::Newer);
}

#[tokio::test]
async fn a_disputed_log_thaws_when_guardians_countersign_one_side() {
    let (bob, log, one, other) = disputed().await;
    // The very op, now with the countersignatures of enough guardians; one alone decides nothing.
    let alone = side(&log, domain("one.example"), 2, &[50]);
    assert_eq!(told(&bob, &alone).await, Learned::Disputed);
    let backed = with(&side(&log, domain("one.example"), 2, &[50, 51]), domain("more.example"), 2);
    assert_eq!(told(&bob, &backed).await, Learned::Newer);
    assert_eq!(log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(), Some("more.example"));
    assert_eq!(told(&bob, &other).await, Learned::Worse);
    assert_eq!(told(&bob, &one).await, Learned::Known);
}

#[tokio::test]
async fn a_dispute_that_begins_earlier_takes_the_place_of_a_later_one() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let common = side(&log, domain("common.example"), 2, &[]);
    for name in ["one.example", "other.example"] {
        told(&bob, &side(&common, domain(name), 2, &[])).await;
    }
    assert_eq!(dispute(&bob, &log.person()).unwrap(), Some(2));
    assert_eq!(told(&bob, &side(&log, domain("early.example"), 2, &[])).await, Learned::Disputed);
    assert_eq!(dispute(&bob, &log.person()).unwrap(), Some(1));
    assert_eq!(log_of(&bob, &log.person()).unwrap(), Some(log.clone()));
    assert_eq!(told(&bob, &side(&log, domain("decided.example"), 1, &[])).await, Learned::Newer);
}

#[tokio::test]
async fn everybody_comes_to_the_same_log_in_whatever_order_they_hear_of_the_sides() {
    let log = genesis(&[1, 2]);
    let sides = [
        side(&log, domain("one.example"), 2, &[]),
        side(&log, domain("other.example"), 2, &[]),
        side(&log, domain("decided.example"), 1, &[]),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let bob = unclaimed(2);
        for side in order {
            told(&bob, &sides[side]).await;
        }
        assert_eq!(log_of(&bob, &log.person()).unwrap().as_ref(), Some(&sides[2]), "{order:?}");
    }
}

#[tokio::test]
async fn a_recovery_by_friends_counts_after_its_delay() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let recovering = side(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);
    assert_eq!(told(&bob, &recovering).await, Learned::Newer);
    let roots = |node: &Node| log_of(node, &log.person()).unwrap().unwrap().state().roots.clone();
    assert_eq!(roots(&bob), log.state().roots, "it waits");
    // What follows must be signed by the keys it brings, even before it counts.
    assert!(with_op(&recovering, next(&recovering, domain("x.example"), 1, &[], None)).is_err());
    let on = with(&recovering, domain("new.example"), 5);
    assert_eq!(told(&bob, &on).await, Learned::Newer);
    bob.clock.advance(DAY_MS - 1);
    assert_eq!(roots(&bob), log.state().roots);
    assert_eq!(told(&bob, &on).await, Learned::Known, "hearing of it again does not begin the delay anew");
    bob.clock.advance(1);
    assert_eq!(roots(&bob), [key(5).public()]);
    assert_eq!(log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(), Some("new.example"));
    // The lost key comes too late, and what the new one says goes on.
    assert_eq!(told(&bob, &side(&log, domain("veto.example"), 1, &[])).await, Learned::Worse);
    let more = with(&on, domain("newer.example"), 5);
    assert_eq!(told(&bob, &more).await, Learned::Newer);
    assert_eq!(log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(), Some("newer.example"));
}

#[tokio::test]
async fn a_live_root_key_vetoes_a_recovery_in_time() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let recovering = side(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);
    told(&bob, &recovering).await;
    bob.clock.advance(DAY_MS - 1);
    let veto = side(&log, domain("veto.example"), 2, &[]);
    assert_eq!(told(&bob, &veto).await, Learned::Newer);
    bob.clock.advance(DAY_MS);
    assert_eq!(told(&bob, &recovering).await, Learned::Worse);
    assert_eq!(log_of(&bob, &log.person()).unwrap(), Some(veto));
}

#[tokio::test]
async fn ones_own_recovery_counts_without_a_restart() {
    let alice = claimed(1).await;
    let guard = Recovery { needed: 1, guardians: vec![log::commitment(&key(50).public(), [50; 16])], delay_secs: 60 };
    signed_by(&alice, OpBody::SetGuardians(guard), 1).await.unwrap();
    let held = alice.identity.log().unwrap();
    let bytes = held.next_op(OpBody::Recover(vec![words(7).keys().root.public()])).to_canonical();
    let guardian = op::OpSignature { salt: Some([50; 16]), ..sign_op(Role::Guardian, &key(50), &bytes) };
    let signed = SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &words(7).keys().root, &bytes), guardian]).unwrap();
    let recovering = with_op(&held, signed).unwrap();
    learn(&alice, recovering.to_bytes()).await.unwrap();
    // The new words may sign what follows at once; it counts with the recovery.
    assert!(matches!(signed_by(&alice, domain("alice.example"), 1).await, Err(PaperError::OtherWords(_))));
    signed_by(&alice, domain("alice.example"), 7).await.unwrap();
    assert_eq!(alice.identity.log().unwrap().state().domain, None);
    alice.clock.advance(60_000);
    crate::feed::run_due(&alice).await.unwrap();
    let state = alice.identity.log().unwrap().state().clone();
    assert_eq!((state.roots, state.domain.as_deref()), (vec![words(7).keys().root.public()], Some("alice.example")));
}
