//! Forked identity logs: frozen and decided forks, and recoveries by friends.

use super::*;
use crate::identity::transfer::{self, Signed};
use crate::node::Node;

const DAY_MS: u64 = 86_400_000;

fn domain(name: &str) -> OpBody {
    OpBody::SetDomain(Some(name.to_owned()))
}

fn side(log: &IdentityLog, body: OpBody, root: u8, guardians: &[u8]) -> IdentityLog {
    with_op(log, next(log, body, root, guardians, None)).unwrap()
}

async fn learned(node: &Node, log: &IdentityLog) -> Learned {
    learn(node, log.to_bytes()).await.unwrap().1
}

/// Requests an op on the node, signs it with the mnemonic, and uploads it.
async fn signed_by(node: &Node, body: OpBody, seed: u8) -> Result<(), TransferError> {
    let request = request(&node.identity.log().unwrap(), body).unwrap();
    let Signed::Request(signed) = transfer::sign(&request, &mnemonic(seed))? else {
        panic!("no node is added")
    };
    upload(node, &signed).await.unwrap();
    Ok(())
}

/// A node that has learned both sides of a fork at the second op, with the common log and the
/// sides.
async fn disputed() -> (Node, IdentityLog, IdentityLog, IdentityLog) {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let one = with(&side(&log, domain("one.example"), 2, &[]), domain("more.example"), 2);
    let other = side(&log, domain("other.example"), 2, &[]);
    assert_eq!(learned(&bob, &one).await, Learned::Newer);
    assert_eq!(learned(&bob, &other).await, Learned::Disputed);
    (bob, log, one, other)
}

#[tokio::test]
async fn disputed_log_thaws_by_a_higher_root_key() {
    let (bob, log, one, other) = disputed().await;
    let person = log.person();
    for tied in [&one, &other, &side(&log, domain("third.example"), 2, &[])] {
        assert_eq!(learned(&bob, tied).await, Learned::Disputed);
        assert_eq!(log_of(&bob, &person).unwrap().as_ref(), Some(&log));
    }
    let decided = side(&log, domain("decided.example"), 1, &[]);
    assert_eq!(learned(&bob, &decided).await, Learned::Newer);
    assert_eq!(
        (dispute(&bob, &person).unwrap(), log_of(&bob, &person).unwrap().as_ref()),
        (None, Some(&decided))
    );
    assert_eq!(learned(&bob, &one).await, Learned::Worse);
    assert_eq!(learned(&bob, &with(&decided, domain("and on.example"), 2)).await, Learned::Newer);
}

#[tokio::test]
async fn disputed_log_thaws_by_guardian_countersignatures() {
    let (bob, log, one, other) = disputed().await;
    // The same op, with countersignatures: one guardian is not enough, two are.
    let alone = side(&log, domain("one.example"), 2, &[50]);
    assert_eq!(learned(&bob, &alone).await, Learned::Disputed);
    let backed = with(&side(&log, domain("one.example"), 2, &[50, 51]), domain("more.example"), 2);
    assert_eq!(learned(&bob, &backed).await, Learned::Newer);
    assert_eq!(
        log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(),
        Some("more.example")
    );
    assert_eq!(learned(&bob, &other).await, Learned::Worse);
    assert_eq!(learned(&bob, &one).await, Learned::Known);
}

#[tokio::test]
async fn earlier_log_fork_replaces_a_later_dispute() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let common = side(&log, domain("common.example"), 2, &[]);
    for name in ["one.example", "other.example"] {
        learned(&bob, &side(&common, domain(name), 2, &[])).await;
    }
    assert_eq!(dispute(&bob, &log.person()).unwrap(), Some(2));
    assert_eq!(
        learned(&bob, &side(&log, domain("early.example"), 2, &[])).await,
        Learned::Disputed
    );
    assert_eq!(dispute(&bob, &log.person()).unwrap(), Some(1));
    assert_eq!(log_of(&bob, &log.person()).unwrap(), Some(log.clone()));
    assert_eq!(learned(&bob, &side(&log, domain("decided.example"), 1, &[])).await, Learned::Newer);
}

#[tokio::test]
async fn fork_choice_is_independent_of_learning_order() {
    let log = genesis(&[1, 2]);
    let sides = [
        side(&log, domain("one.example"), 2, &[]),
        side(&log, domain("other.example"), 2, &[]),
        side(&log, domain("decided.example"), 1, &[]),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let bob = unclaimed(2);
        for side in order {
            learned(&bob, &sides[side]).await;
        }
        assert_eq!(log_of(&bob, &log.person()).unwrap().as_ref(), Some(&sides[2]), "{order:?}");
    }
}

#[tokio::test]
async fn recovery_by_friends_takes_effect_after_its_delay() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let recovering = side(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);
    assert_eq!(learned(&bob, &recovering).await, Learned::Newer);
    let roots = |node: &Node| log_of(node, &log.person()).unwrap().unwrap().state().roots.clone();
    assert_eq!(roots(&bob), log.state().roots, "it is pending");
    // The next op must be signed by the new keys, also while the recovery is pending.
    assert!(with_op(&recovering, next(&recovering, domain("x.example"), 1, &[], None)).is_err());
    let continued = with(&recovering, domain("new.example"), 5);
    assert_eq!(learned(&bob, &continued).await, Learned::Newer);
    bob.clock.advance(DAY_MS - 1);
    assert_eq!(roots(&bob), log.state().roots);
    assert_eq!(
        learned(&bob, &continued).await,
        Learned::Known,
        "learning it again does not restart the delay"
    );
    bob.clock.advance(1);
    assert_eq!(roots(&bob), [key(5).public()]);
    assert_eq!(
        log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(),
        Some("new.example")
    );
    // A veto by the lost key is too late, and the log of the new key can grow.
    assert_eq!(learned(&bob, &side(&log, domain("veto.example"), 1, &[])).await, Learned::Worse);
    let more = with(&continued, domain("newer.example"), 5);
    assert_eq!(learned(&bob, &more).await, Learned::Newer);
    assert_eq!(
        log_of(&bob, &log.person()).unwrap().unwrap().state().domain.as_deref(),
        Some("newer.example")
    );
}

#[tokio::test]
async fn live_root_key_vetoes_a_pending_recovery() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let recovering = side(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);
    learned(&bob, &recovering).await;
    bob.clock.advance(DAY_MS - 1);
    let veto = side(&log, domain("veto.example"), 2, &[]);
    assert_eq!(learned(&bob, &veto).await, Learned::Newer);
    bob.clock.advance(DAY_MS);
    assert_eq!(learned(&bob, &recovering).await, Learned::Worse);
    assert_eq!(log_of(&bob, &log.person()).unwrap(), Some(veto));
}

#[tokio::test]
async fn own_recovery_takes_effect_without_a_restart() {
    let alice = claimed(1).await;
    let guardian = Recovery {
        needed: 1,
        guardians: vec![log::commitment(&key(50).public(), [50; 16])],
        delay_secs: 60,
    };
    signed_by(&alice, OpBody::SetGuardians(guardian), 1).await.unwrap();
    let own = alice.identity.log().unwrap();
    let bytes = own.next_op(OpBody::Recover(vec![mnemonic(7).keys().root.public()])).to_canonical();
    let countersignature =
        op::OpSignature { salt: Some([50; 16]), ..sign_op(Role::Guardian, &key(50), &bytes) };
    let signed = SignedOp::new(
        bytes.clone(),
        vec![sign_op(Role::Root, &mnemonic(7).keys().root, &bytes), countersignature],
    )
    .unwrap();
    let recovering = with_op(&own, signed).unwrap();
    learn(&alice, recovering.to_bytes()).await.unwrap();
    // The new mnemonic may sign the next op at once; the op applies with the recovery.
    assert!(matches!(
        signed_by(&alice, domain("alice.example"), 1).await,
        Err(TransferError::OtherMnemonic(_))
    ));
    signed_by(&alice, domain("alice.example"), 7).await.unwrap();
    assert_eq!(alice.identity.log().unwrap().state().domain, None);
    alice.clock.advance(60_000);
    crate::apply::run_due(&alice).await.unwrap();
    let state = alice.identity.log().unwrap().state().clone();
    assert_eq!(
        (state.roots, state.domain.as_deref()),
        (vec![mnemonic(7).keys().root.public()], Some("alice.example"))
    );
}

#[tokio::test]
async fn recovery_in_effect_survives_an_earlier_fork() {
    let bob = unclaimed(2);
    let log = genesis(&[1, 2]);
    let before = with(&side(&log, domain("own.example"), 2, &[]), domain("more.example"), 2);
    let recovered = side(&before, OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);
    learned(&bob, &recovered).await;
    bob.clock.advance(DAY_MS);
    let recovered_log = log_of(&bob, &log.person()).unwrap();
    assert!(recovered_log.as_ref().is_some_and(|log| log.state().roots == [key(5).public()]));
    for (root, guardians) in [(1, [].as_slice()), (2, &[]), (1, &[50, 51])] {
        for from in [&log, &with_op(&log, before.ops()[1].clone()).unwrap(), &before] {
            assert_eq!(
                learned(&bob, &side(from, domain("old.example"), root, guardians)).await,
                Learned::Worse,
                "root key {root}"
            );
        }
        assert_eq!(
            learned(&bob, &side(&log, OpBody::Rotate(vec![key(9).public()]), root, guardians))
                .await,
            Learned::Worse
        );
    }
    assert_eq!(
        (log_of(&bob, &log.person()).unwrap(), dispute(&bob, &log.person()).unwrap()),
        (recovered_log, None)
    );
}

/// The log and the dispute of a node that has learned these sides; the same for every order.
async fn in_all_orders<const N: usize>(sides: [&IdentityLog; N]) -> (IdentityLog, Option<u16>) {
    let mut orders: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..N {
        let longer = |order: &Vec<usize>| {
            let free = (0..N).filter(|next| !order.contains(next));
            free.map(|next| [order.as_slice(), &[next]].concat()).collect::<Vec<_>>()
        };
        orders = orders.iter().flat_map(longer).collect();
    }
    let mut all = Vec::new();
    for order in &orders {
        let (bob, person) = (unclaimed(2), sides[0].person());
        for side in order {
            learned(&bob, sides[*side]).await;
        }
        all.push((log_of(&bob, &person).unwrap().unwrap(), dispute(&bob, &person).unwrap()));
        assert_eq!(all.first(), all.last(), "{order:?}");
    }
    all.remove(0)
}

#[tokio::test]
async fn key_removed_by_guardians_wins_no_earlier_fork() {
    let log = genesis(&[1, 2]);
    let start = side(&log, domain("own.example"), 2, &[]);
    let removed = side(&start, OpBody::Rotate(vec![key(2).public()]), 2, &[50, 51]);
    let gone = with(&removed, domain("and on.example"), 2);
    let undoing = side(&log, domain("stolen.example"), 1, &[]);
    let rotating = side(&log, OpBody::Rotate(vec![key(9).public()]), 1, &[]);
    assert_eq!(in_all_orders([&start, &gone, &undoing, &rotating]).await, (gone, None));
    // Without enough guardians, or with guardians that it named itself, the lower key removes no
    // key.
    let alone = side(&start, OpBody::Rotate(vec![key(2).public()]), 2, &[50]);
    assert_eq!(in_all_orders([&start, &alone, &undoing]).await, (undoing.clone(), None));
    let friends = [60, 61].map(|guardian| log::commitment(&key(guardian).public(), [guardian; 16]));
    let own =
        OpBody::SetGuardians(Recovery { needed: 2, guardians: friends.to_vec(), delay_secs: 60 });
    let named = side(&side(&log, own, 2, &[]), OpBody::Rotate(vec![key(2).public()]), 2, &[60, 61]);
    assert_eq!(in_all_orders([&named, &undoing, &start]).await, (undoing.clone(), None));
    // A pending recovery can be vetoed, also when a rotation follows it.
    let recovering =
        side(&log, OpBody::Recover(vec![key(5).public(), key(1).public()]), 5, &[50, 51]);
    let rotated = side(&recovering, OpBody::Rotate(vec![key(5).public()]), 5, &[50, 51]);
    assert_eq!(in_all_orders([&rotated, &undoing]).await, (undoing, None));
}

#[tokio::test]
async fn replaced_mnemonic_wins_no_earlier_fork() {
    let log = genesis(&[1]);
    let new = |seed: u8| OpBody::Rotate(vec![key(seed).public()]);
    let node = OpBody::AddNode(card(&node_keys(101)));
    let start = with(&log, domain("own.example"), 1);
    let changed = with(&start, new(7), 1);
    let since = with_op(&changed, next(&changed, node, 7, &[], Some(101))).unwrap();
    // Forks by the old key at the rotation and before it, of one op and of two, and Tombstone.
    let there = with(&start, domain("old.example"), 1);
    let before = with(&with(&log, domain("older.example"), 1), OpBody::SetDomain(None), 1);
    let end = with(&log, OpBody::Tombstone, 1);
    assert_eq!(in_all_orders([&since, &there, &before, &end]).await, (since.clone(), None));
    assert_eq!(in_all_orders([&start, &there, &changed, &before]).await, (changed.clone(), None));
    // Two rotations of the same key: only guardians decide.
    let rival = with(&start, new(9), 1);
    assert_eq!(in_all_orders([&since, &rival, &there]).await, (start.clone(), Some(2)));
    let backed = side(&start, new(7), 1, &[50, 51]);
    assert_eq!(in_all_orders([&backed, &rival, &there]).await, (backed, None));
    // The earlier of two rotations does not win by its place.
    let earlier = with(&log, new(9), 1);
    assert_eq!(in_all_orders([&since, &earlier, &before]).await, (log.clone(), Some(1)));
    // The same if the key was first joined by another, which removed it later.
    let joined = with(&log, OpBody::Rotate(vec![key(7).public(), key(1).public()]), 1);
    let alone = with(&joined, new(7), 7);
    assert_eq!(in_all_orders([&alone, &earlier, &joined]).await, (log.clone(), Some(1)));
    // A side that has an op of another root key is not discarded.
    let two = genesis(&[1, 2]);
    let shared = with(&with(&two, domain("own.example"), 2), domain("more.example"), 1);
    let taken = with(&two, new(9), 2);
    assert_eq!(in_all_orders([&shared, &taken]).await, (two, Some(1)));
}

#[tokio::test]
async fn grown_side_of_a_dispute_is_stored() {
    let log = genesis(&[1]);
    let (one, other) =
        (with(&log, domain("one.example"), 1), with(&log, domain("other.example"), 1));
    let grown = with(&one, OpBody::Rotate(vec![key(7).public(), key(1).public()]), 1);
    let taken = with(&other, OpBody::Rotate(vec![key(9).public()]), 1);
    let bob = unclaimed(2);
    learned(&bob, &one).await;
    for side in [&other, &grown, &taken] {
        assert_eq!(learned(&bob, side).await, Learned::Disputed);
    }
    assert_eq!(log_of(&bob, &log.person()).unwrap(), Some(log));
}

#[tokio::test]
async fn longest_valid_log_is_stored_and_undecided_fork_frozen() {
    let bob = unclaimed(2);
    let log = genesis(&[1]);
    let person = log.person();
    assert_eq!(learn(&bob, log.to_bytes()).await.unwrap(), (person, Learned::Newer));
    let longer = with(&log, domain("a.example"), 1);
    assert_eq!(learn(&bob, longer.to_bytes()).await.unwrap().1, Learned::Newer);
    assert_eq!(learn(&bob, log.to_bytes()).await.unwrap().1, Learned::Known);
    assert_eq!(log_of(&bob, &person).unwrap(), Some(longer.clone()));

    let other = with(&with(&log, domain("b.example"), 1), domain("c.example"), 1);
    assert_eq!(learn(&bob, other.to_bytes()).await.unwrap().1, Learned::Disputed);
    assert_eq!(dispute(&bob, &person).unwrap(), Some(1));
    assert_eq!(log_of(&bob, &person).unwrap(), Some(log));
    // Offering a side again does not decide.
    assert_eq!(learn(&bob, longer.to_bytes()).await.unwrap().1, Learned::Disputed);
    assert!(matches!(learn(&bob, vec![vec![0xa0]]).await, Err(LearnError::Log(_))));
}
