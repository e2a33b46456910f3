//! Suites and roles of a newer program: the ops before them apply, the unknown ones are stored.

use super::*;
use crate::cbor::{CborError, Value};
use crate::identity::op::{OpSignature, RetireNode};

/// A key of suite 2.
fn newer_key(byte: u8, len: usize) -> Value {
    Value::Array(vec![Value::Uint(2), Value::Bytes(vec![byte; len])])
}

fn rotate_to_newer() -> OpBody {
    OpBody::Unknown { kind: 2, body: Value::Map(vec![(0, Value::Array(vec![newer_key(9, 897)]))]) }
}

/// A signature as a newer program would write it.
fn newer(role: u64, byte: u8, salt: Option<u8>) -> Value {
    let mut fields =
        vec![(0, Value::Uint(role)), (2, newer_key(byte, 897)), (4, Value::Bytes(vec![3; 666]))];
    fields.extend(salt.map(|salt| (6, Value::Bytes(vec![salt; 16]))));
    Value::Map(fields)
}

/// The bytes of a signed op with these signatures, in this order.
fn wrapped(op: &[u8], signatures: Vec<Value>) -> Vec<u8> {
    Value::Map(vec![(0, Value::Bytes(op.to_vec())), (2, Value::Array(signatures))]).to_canonical()
}

fn values(signed: &SignedOp) -> Vec<Value> {
    let Value::Map(fields) = Value::from_canonical(signed.as_bytes()).unwrap() else { panic!() };
    let (_, Value::Array(signatures)) = fields[1].clone() else { panic!() };
    signatures
}

/// The log with one more op, which has these signatures in addition to its own.
fn with_more(
    log: &IdentityLog,
    signed: &SignedOp,
    more: Vec<Value>,
) -> Result<IdentityLog, IdentityLogError> {
    let mut signatures = values(signed);
    signatures.extend(more);
    let role = |value: &Value| match value {
        Value::Map(fields) => fields.first().map(|(_, role)| role.to_canonical()),
        _ => None,
    };
    signatures.sort_by_key(role);
    let ops: Vec<_> =
        log.to_bytes().into_iter().chain([wrapped(signed.op_bytes(), signatures)]).collect();
    let read = IdentityLog::verify(&ops)?;
    assert_eq!(read.to_bytes(), ops, "kept byte for byte");
    Ok(read)
}

#[test]
fn op_of_a_newer_root_key_is_kept() {
    let log = with(&genesis(&[1]), OpBody::SetDomain(Some("alice.example".to_owned())), 1);
    let retired = RetireNode { node: key(100).public(), cutoffs: Vec::new(), compromised: true };
    let log = with(&log, OpBody::RetireNode(retired), 1);
    let log = with(&log, rotate_to_newer(), 1);
    let next = log.next_op(OpBody::SetDomain(None)).to_canonical();
    let ops: Vec<_> =
        log.to_bytes().into_iter().chain([wrapped(&next, vec![newer(0, 9, None)])]).collect();
    let read = IdentityLog::verify(&ops).unwrap();
    assert_eq!(
        (read.state().domain.as_deref(), read.live_nodes().count()),
        (Some("alice.example"), 0)
    );
    assert_eq!((read.state().frozen_at, read.ops().len()), (Some(3), 5));
    assert_eq!(read.to_bytes(), ops);
    assert_eq!(read.ops()[4].unknown_signatures().len(), 1);
}

#[tokio::test]
async fn log_with_a_newer_suite_is_stored_and_forwarded() {
    let log = with(&genesis(&[1]), rotate_to_newer(), 1);
    let next = log.next_op(OpBody::Tombstone).to_canonical();
    let ops: Vec<_> =
        log.to_bytes().into_iter().chain([wrapped(&next, vec![newer(0, 9, None)])]).collect();
    let bob = unclaimed(2);
    assert_eq!(learn(&bob, ops.clone()).await.unwrap(), (log.person(), Learned::Newer));
    let stored = log_of(&bob, &log.person()).unwrap().unwrap();
    assert_eq!((stored.to_bytes(), stored.state().ended), (ops, false));
}

#[test]
fn unverifiable_signature_counts_for_nothing() {
    let log = genesis(&[1]);
    let domain = OpBody::SetDomain(Some("alice.example".to_owned()));
    let signed = next(&log, domain.clone(), 1, &[], None);
    // An unknown role in addition to a valid signature does not freeze the log: any node that
    // forwards the log could have added it.
    let read = with_more(&log, &signed, vec![newer(6, 9, None)]).unwrap();
    assert_eq!(
        (read.state().domain.as_deref(), read.state().frozen_at),
        (Some("alice.example"), None)
    );
    // Without a valid signature, or as a second root or node signature, the op is refused.
    let bytes = log.next_op(domain).to_canonical();
    let alone: Vec<_> =
        log.to_bytes().into_iter().chain([wrapped(&bytes, vec![newer(0, 9, None)])]).collect();
    assert_eq!(IdentityLog::verify(&alone), Err(IdentityLogError::Signature(1)));
    for role in [0, 2] {
        assert_eq!(
            with_more(&log, &signed, vec![newer(role, 9, None)]),
            Err(IdentityLogError::Signature(1)),
            "role {role}"
        );
    }
    let add = next(&log, OpBody::AddNode(card(&node_keys(101))), 1, &[], Some(101));
    assert_eq!(with_more(&log, &add, vec![newer(2, 9, None)]), Err(IdentityLogError::Signature(1)));
    let genesis_op = log.ops()[0].clone();
    for role in [0, 2, 4] {
        let mut signatures = values(&genesis_op);
        signatures.insert(usize::try_from(role / 2 + 1).unwrap().min(2), newer(role, 9, None));
        assert_eq!(
            IdentityLog::verify(&[wrapped(genesis_op.op_bytes(), signatures)]),
            Err(IdentityLogError::Signature(0)),
            "role {role}"
        );
    }
}

#[test]
fn recovery_of_newer_suite_is_stored_and_not_applied() {
    let start = genesis(&[1]);
    let opened = |byte: u8| log::commitment_to(&[byte; 897], [byte; 16]);
    let one = log::commitment(&key(50).public(), [50; 16]);
    let recovery = Recovery { needed: 2, guardians: vec![one, opened(60)], delay_secs: 60 };
    let log = with(&start, OpBody::SetGuardians(recovery), 1);
    let recover = next(&log, OpBody::Recover(vec![key(5).public()]), 5, &[50], None);
    assert_eq!(
        with_op(&log, recover.clone()),
        Err(IdentityLogError::Signature(2)),
        "one guardian is not enough"
    );
    assert_eq!(
        with_more(&log, &recover, vec![newer(4, 61, Some(61))]),
        Err(IdentityLogError::Signature(2)),
        "not a guardian"
    );
    let read = with_more(&log, &recover, vec![newer(4, 60, Some(60))]).unwrap();
    assert_eq!((read.state().frozen_at, read.pending_recovery()), (Some(2), None));
    assert_eq!(read.clone().recovered().state().roots, [key(1).public()]);

    // A recovery to root keys of a newer suite, by guardians of a known suite.
    let body = OpBody::Unknown {
        kind: 12,
        body: Value::Map(vec![(0, Value::Array(vec![newer_key(9, 897)]))]),
    };
    let bytes = start.next_op(body).to_canonical();
    let countersign = |byte: u8| OpSignature {
        salt: Some([byte; 16]),
        ..sign_op(Role::Guardian, &key(byte), &bytes)
    };
    let two = SignedOp::new(bytes.clone(), vec![countersign(50), countersign(51)]).unwrap();
    assert_eq!(
        with_more(&start, &two, vec![newer(0, 9, None)]).unwrap().state().frozen_at,
        Some(1)
    );
    let one = SignedOp::new(bytes.clone(), vec![countersign(50)]).unwrap();
    assert_eq!(
        with_more(&start, &one, vec![newer(0, 9, None)]),
        Err(IdentityLogError::Signature(1))
    );
}

#[test]
fn unknown_op_key_freezes_the_log() {
    let log = genesis(&[1]);
    let Value::Map(mut fields) =
        Value::from_canonical(&log.next_op(OpBody::SetDomain(None)).to_canonical()).unwrap()
    else {
        panic!()
    };
    fields.push((12, Value::Uint(1)));
    let bytes = Value::Map(fields).to_canonical();
    let signed = SignedOp::new(bytes.clone(), vec![sign_op(Role::Root, &key(1), &bytes)]).unwrap();
    assert_eq!(with_op(&log, signed).unwrap().state().frozen_at, Some(1));
}

#[test]
fn unknown_signatures_are_bounded() {
    let log = with(&genesis(&[1]), rotate_to_newer(), 1);
    let next = log.next_op(OpBody::SetDomain(None)).to_canonical();
    let read = |signatures| SignedOp::from_canonical(&wrapped(&next, signatures)).map(|_| ());
    let short = |byte| {
        Value::Map(vec![
            (0, Value::Uint(0)),
            (2, newer_key(byte, 40)),
            (4, Value::Bytes(vec![3; 20])),
        ])
    };
    assert_eq!(read(vec![short(8), short(9)]), Ok(()));
    assert_eq!(read(vec![short(9), short(8)]), Err(CborError::NotCanonical));
    assert_eq!(read(vec![short(9), short(9)]), Err(CborError::NotCanonical));
    assert_eq!(
        read((0..25).map(short).collect()),
        Err(CborError::Invalid(2)),
        "more signatures than an op may have"
    );
    assert!(read(vec![newer(0, 8, None), newer(0, 9, None)]).is_err(), "over 3 KiB");
    assert_eq!(
        read(vec![Value::Map(vec![
            (0, Value::Uint(0)),
            (2, newer_key(1, 5)),
            (4, Value::Uint(7))
        ])]),
        Ok(()),
        "any value"
    );
    assert_eq!(read(vec![Value::Map(vec![(0, Value::Uint(8))])]), Err(CborError::Missing(2)));
    let suite = |number| {
        Value::Map(vec![
            (0, Value::Uint(0)),
            (2, Value::Array(vec![Value::Uint(number), Value::Bytes(vec![1; 5])])),
        ])
    };
    assert_eq!(read(vec![suite(256)]), Err(CborError::Invalid(2)));
    assert_eq!(read(vec![suite(1)]), Err(CborError::Invalid(2)));
}
