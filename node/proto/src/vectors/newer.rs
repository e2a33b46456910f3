//! Signatures and keys of a newer program that this one must keep: unknown suites and roles.

use super::*;
use crate::cbor::Value as Cbor;
use crate::identity::IdentityLog;
use crate::identity::NodeCard;
use crate::identity::op::{Genesis, Op, OpBody, Recovery, Role, SignedOp, sign};
use crate::keys::{KemSecret, SecretKey};
use crate::mnemonic::Mnemonic;

/// A key of suite 2, of a length that suite 1 does not have.
fn key() -> Cbor {
    Cbor::Array(vec![Cbor::Uint(2), Cbor::Bytes(vec![9; 897])])
}

fn signature(role: u64) -> Cbor {
    Cbor::Map(vec![(0, Cbor::Uint(role)), (2, key()), (4, Cbor::Bytes(vec![3; 666]))])
}

#[test]
fn ops_of_newer_suite_are_stored_byte_for_byte() {
    let (mnemonic, node) = (Mnemonic::from_entropy([1; 32]), SecretKey::from_bytes(&[100; 32]));
    let card = NodeCard { sign: node.public(), kem: KemSecret::from_bytes([100; 32]).public() };
    let keys = mnemonic.keys();
    let recovery_kem = keys.recovery.public();
    let body = OpBody::Genesis(Genesis {
        roots: vec![keys.root.public()],
        recovery: Recovery::default(),
        recovery_kem,
        node: card,
    });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    let genesis = SignedOp::new(
        bytes.clone(),
        vec![sign(Role::Root, &keys.root, &bytes), sign(Role::Node, &node, &bytes)],
    );
    let mut log = IdentityLog::from_ops(vec![genesis.unwrap()]).unwrap();

    let rotate = OpBody::Unknown { kind: 2, body: Cbor::Map(vec![(0, Cbor::Array(vec![key()]))]) };
    let bytes = log.next_op(rotate).to_canonical();
    let signed = SignedOp::new(bytes.clone(), vec![sign(Role::Root, &keys.root, &bytes)]).unwrap();
    let Cbor::Map(mut fields) = Cbor::from_canonical(signed.as_bytes()).unwrap() else { panic!() };
    let (_, Cbor::Array(signatures)) = &mut fields[1] else { panic!() };
    signatures.push(signature(6));
    log.extend(SignedOp::from_canonical(&Cbor::Map(fields).to_canonical()).unwrap()).unwrap();

    let bytes = log.next_op(OpBody::SetDomain(Some("alice.example".to_owned()))).to_canonical();
    let signed = Cbor::Map(vec![(0, Cbor::Bytes(bytes)), (2, Cbor::Array(vec![signature(0)]))])
        .to_canonical();
    let ops: Vec<_> = log.to_bytes().into_iter().chain([signed]).collect();
    let read = IdentityLog::verify(&ops).unwrap();
    assert_eq!(
        (read.to_bytes(), read.state().frozen_at, read.state().domain.clone()),
        (ops.clone(), Some(1), None)
    );

    let unverifiable: Vec<_> = read.ops().iter().map(|op| op.unknown_signatures().len()).collect();
    let vectors = json!({
        "person": hex(&read.person().0),
        "log": ops.iter().map(|op| hex(op)).collect::<Vec<_>>(),
        "frozen_at": 1,
        "unverifiable": unverifiable,
        "header": hex(&header()),
        "header_tree": tree_of(&header()),
    });
    check_file("newer", &vectors);
}

/// The header of an entry by a node whose key is of suite 2.
fn header() -> Vec<u8> {
    let fields = vec![
        (0, Cbor::Uint(1)),
        (2, Cbor::Bytes(vec![1; 32])),
        (4, Cbor::Array(vec![Cbor::Uint(2), Cbor::Bytes(vec![9; 600])])),
        (6, Cbor::Bytes(b"freehold.public\0".to_vec())),
        (8, Cbor::Uint(7)),
        (10, Cbor::Uint(0)),
        (14, Cbor::Uint(1_777_636_800_000 << 16)),
        (16, Cbor::Uint(0)),
        (18, Cbor::Uint(300)),
        (20, Cbor::Bytes(vec![5; 32])),
        (22, Cbor::Map(vec![(0, Cbor::Uint(0))])),
        (24, Cbor::Array(Vec::new())),
    ];
    Cbor::Map(fields).to_canonical()
}

#[test]
fn header_of_a_newer_suite_is_told_from_malformed() {
    let refused = crate::entry::EntryHeader::from_canonical(&header()).unwrap_err();
    assert!(crate::entry::EntryHeader::is_of_a_newer_suite(&refused));
}
