use super::super::op::{Cutoff, OPS_MAX, OPS_RESERVED, RetireNode};
use super::*;
use crate::cbor::{CborError, Value};

fn domain(name: &str) -> OpBody {
    OpBody::SetDomain(Some(name.to_owned()))
}

fn every_body() -> Vec<OpBody> {
    let cutoff = Cutoff { lane: [1; 16], epoch: u64::MAX, seq: 9, entry: [2; 32] };
    vec![
        OpBody::Rotate(vec![key(2).public(), key(3).public()]),
        OpBody::AddNode(card(&node_keys(101))),
        OpBody::RetireNode(RetireNode {
            node: key(100).public(),
            cutoffs: vec![cutoff],
            compromised: true,
        }),
        domain("alice.example"),
        OpBody::SetDomain(None),
        OpBody::SetGuardians(Recovery { needed: 1, guardians: vec![[4; 32]], delay_secs: 3_600 }),
        OpBody::Recover(vec![key(4).public()]),
        OpBody::Tombstone,
    ]
}

#[test]
fn op_of_every_kind_decodes_to_itself() {
    let log = genesis(&[1, 2]);
    for body in every_body() {
        let op = next(&log, body.clone(), 1, &[], None);
        let decoded = SignedOp::from_canonical(op.as_bytes()).unwrap();
        assert_eq!(decoded, op);
        assert_eq!(decoded.op().body, body);
    }
}

#[test]
fn ops_of_a_whole_identity_log_apply() {
    let log = genesis(&[1, 2]);
    let log = with(&log, domain("alice.example"), 2);
    let add = next(&log, OpBody::AddNode(card(&node_keys(101))), 1, &[], Some(101));
    let log = with_op(&log, add).unwrap();
    let retire = RetireNode { node: key(100).public(), cutoffs: Vec::new(), compromised: false };
    let log = with(&log, OpBody::RetireNode(retire), 1);
    let log = with(&log, OpBody::Rotate(vec![key(3).public()]), 1);
    assert_eq!(log.live_nodes().copied().collect::<Vec<_>>(), [key(101).public()]);
    assert_eq!(
        (log.state().roots.clone(), log.state().domain.as_deref()),
        (vec![key(3).public()], Some("alice.example"))
    );
    assert_eq!(
        with_op(&log, next(&log, domain("x.example"), 1, &[], None)),
        Err(IdentityLogError::Signature(5)),
        "the old root key may not sign"
    );
    let log = with(&log, OpBody::Tombstone, 3);
    assert_eq!(
        with_op(&log, next(&log, domain("x.example"), 3, &[], None)),
        Err(IdentityLogError::Impossible(6))
    );
    assert_eq!(IdentityLog::verify(&log.to_bytes()), Ok(log));
}

#[test]
fn op_signed_by_the_wrong_key_is_refused() {
    let log = genesis(&[1, 2]);
    let add = |signed_by| OpBody::AddNode(card(&node_keys(signed_by)));
    let refused = [
        next(&log, domain("x.example"), 9, &[], None),
        next(&log, add(101), 1, &[], None),
        next(&log, add(101), 1, &[], Some(102)),
        next(&log, domain("x.example"), 1, &[], Some(101)),
        next(&log, domain("x.example"), 1, &[60], None),
        next(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50], None),
        next(&log, OpBody::Recover(vec![key(5).public()]), 6, &[50, 51], None),
    ];
    for (number, op) in refused.into_iter().enumerate() {
        assert_eq!(with_op(&log, op), Err(IdentityLogError::Signature(1)), "case {number}");
    }
    // Genesis for another person's node, without the node's countersignature.
    let bytes = log.ops()[0].op_bytes().to_vec();
    let alone = SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &key(1), &bytes)]).unwrap();
    assert_eq!(IdentityLog::from_ops(vec![alone]), Err(IdentityLogError::Signature(0)));
}

#[test]
fn identity_log_with_any_byte_changed_is_refused() {
    let log = with(&genesis(&[1]), domain("alice.example"), 1);
    for op in 0..2 {
        for at in 0..log.to_bytes()[op].len() {
            let mut ops = log.to_bytes();
            ops[op][at] ^= 0x01;
            assert!(IdentityLog::verify(&ops).is_err(), "byte {at} of op {op}");
        }
    }
}

#[test]
fn ops_out_of_order_or_of_others_are_refused() {
    let log = with(&with(&genesis(&[1]), domain("a.example"), 1), domain("b.example"), 1);
    let mut ops = log.to_bytes();
    ops.swap(1, 2);
    assert_eq!(IdentityLog::verify(&ops), Err(IdentityLogError::Chain(1)));
    assert_eq!(IdentityLog::verify(&log.to_bytes()[1..]), Err(IdentityLogError::Chain(0)));
    assert_eq!(IdentityLog::verify(&[]), Err(IdentityLogError::Empty));
    let other = with(&genesis(&[2, 1]), domain("a.example"), 1);
    assert_eq!(with_op(&genesis(&[1]), other.ops()[1].clone()), Err(IdentityLogError::Chain(1)));
}

#[test]
fn last_log_places_are_reserved_for_rescue_ops() {
    let mut log = genesis(&[1]);
    for number in 1..OPS_MAX - OPS_RESERVED {
        log = with(&log, domain(&format!("{number}.example")), 1);
    }
    let full = IdentityLogError::Full(OPS_MAX - OPS_RESERVED);
    assert_eq!(with_op(&log, next(&log, domain("more.example"), 1, &[], None)), Err(full));
    for _ in 0..OPS_RESERVED {
        log = with(&log, OpBody::Rotate(vec![key(1).public()]), 1);
    }
    assert_eq!(log.ops().len(), OPS_MAX);
    assert_eq!(
        with_op(&log, next(&log, OpBody::Tombstone, 1, &[], None)),
        Err(IdentityLogError::Full(OPS_MAX))
    );
}

#[test]
fn op_over_three_kibibytes_is_refused() {
    let log = genesis(&[1]);
    let body =
        OpBody::Unknown { kind: 100, body: Value::Map(vec![(1, Value::Bytes(vec![0; 3_000]))]) };
    let bytes = log.next_op(body).to_canonical();
    assert!(SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &key(1), &bytes)]).is_err());
}

#[test]
fn unknown_op_is_kept_and_freezes_the_log() {
    let log = genesis(&[1]);
    let unknown = OpBody::Unknown { kind: 100, body: Value::Map(vec![(0, Value::Uint(1))]) };
    let frozen = with(&log, unknown, 1);
    assert_eq!(frozen.state().frozen_at, Some(1));
    let more = with(&frozen, domain("x.example"), 1);
    assert_eq!((more.state().domain.as_deref(), more.ops().len()), (None, 3));
    assert_eq!(IdentityLog::verify(&more.to_bytes()), Ok(more));
    // Signed by a key that is not a root key, the op is refused.
    let unknown = OpBody::Unknown { kind: 100, body: Value::Map(vec![(0, Value::Uint(1))]) };
    assert_eq!(
        with_op(&log, next(&log, unknown, 7, &[], None)),
        Err(IdentityLogError::Signature(1))
    );
}

#[test]
fn recovery_by_enough_guardians_is_pending() {
    let log = genesis(&[1]);
    let recovered =
        with_op(&log, next(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50, 52], None))
            .unwrap();
    assert_eq!(recovered.state().frozen_at, Some(1));
    assert_eq!(recovered.state().roots, [key(1).public()]);
}

#[test]
fn fork_choice_is_the_same_from_both_sides() {
    let log = genesis(&[1, 2]);
    let side = |body: OpBody, root, guardians: &[u8]| {
        with_op(&log, next(&log, body, root, guardians, None)).unwrap()
    };
    let by_first = side(domain("first.example"), 1, &[]);
    let by_second = side(domain("second.example"), 2, &[]);
    let by_first_again = side(domain("again.example"), 1, &[]);
    let backed = side(domain("backed.example"), 1, &[50, 51]);
    let removing = side(OpBody::Rotate(vec![key(2).public()]), 2, &[50, 51]);
    let removing_alone = side(OpBody::Rotate(vec![key(2).public()]), 2, &[]);
    let recovering = side(OpBody::Recover(vec![key(5).public()]), 5, &[50, 51]);

    // (better, worse)
    let decided = [
        (&by_first, &by_second),
        (&backed, &by_first),
        (&removing, &by_first),
        (&removing, &by_first_again),
        (&by_first, &removing_alone),
        // A veto.
        (&by_second, &recovering),
    ];
    for (number, (better, worse)) in decided.into_iter().enumerate() {
        assert_eq!(choose(better, worse), Choice::First { forked: true }, "case {number}");
        assert_eq!(choose(worse, better), Choice::Second, "case {number}");
    }
    assert_eq!(choose(&by_first, &by_first_again), Choice::Frozen { at: 1 });
    assert_eq!(choose(&log, &by_first), Choice::Second);
    assert_eq!(choose(&by_first, &log), Choice::First { forked: false });
    assert_eq!(choose(&log, &log), Choice::Same);
}

#[test]
fn newer_root_key_freezes_and_weak_one_is_refused() {
    let log = genesis(&[1]);
    let rotate = |suite, bytes: Vec<u8>| {
        let roots = Value::Array(vec![Value::Array(vec![Value::Uint(suite), Value::Bytes(bytes)])]);
        OpBody::Unknown { kind: 2, body: Value::Map(vec![(0, roots)]) }
    };
    let newer = with(&log, rotate(2, vec![0; 1_312]), 1);
    assert_eq!(newer.state().frozen_at, Some(1));
    let mut identity_point = vec![0; 32];
    identity_point[0] = 1;
    let bytes = log.next_op(rotate(1, identity_point)).to_canonical();
    let weak = SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &key(1), &bytes)]);
    assert_eq!(weak, Err(CborError::Invalid(0)));
}
