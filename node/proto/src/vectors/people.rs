//! Mnemonics, keys, node cards, claims and identity ops.

use super::*;
use crate::cbor::{Fields, Value as Cbor};
use crate::entry::{EpochKey, Lane};
use crate::identity::op::{
    Cutoff, Genesis, Op, OpBody, OpSignature, Recovery, RetireNode, Role, SignedOp, sign,
};
use crate::identity::{IdentityLog, NodeCard, PersonId, armour_payload, key_backup, log, transfer};
use crate::keys::{KemSecret, SecretKey};
use crate::mnemonic::Mnemonic;
use crate::random::Random;

fn mnemonic(byte: u8) -> Mnemonic {
    Mnemonic::from_entropy([byte; 32])
}

fn card(byte: u8) -> NodeCard {
    NodeCard {
        sign: SecretKey::from_bytes(&[byte; 32]).public(),
        kem: KemSecret::from_bytes([byte; 32]).public(),
    }
}

#[test]
fn mnemonic_key_vectors_match() {
    let all: Vec<Json> =
        [[0u8; 32], [0x7f; 32], std::array::from_fn(|at| u8::try_from(at * 7 % 256).unwrap())]
            .into_iter()
            .map(|entropy| {
                let mnemonic = Mnemonic::from_entropy(entropy);
                let words = bip39::Mnemonic::parse_normalized(mnemonic.phrase().as_str()).unwrap();
                let keys = mnemonic.keys();
                let backup_public =
                    x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(*keys.backup));
                json!({
                    "entropy": hex(&entropy),
                    "phrase": mnemonic.phrase().as_str(),
                    "indices": words.word_indices().collect::<Vec<_>>(),
                    "root_secret": hex(keys.root.to_bytes().as_slice()),
                    "root_public": hex(keys.root.public().as_bytes()),
                    "recovery_secret": hex(keys.recovery.to_bytes().as_slice()),
                    "recovery_public": hex(keys.recovery.public().as_bytes()),
                    "backup_secret": hex(keys.backup.as_slice()),
                    "backup_public": hex(backup_public.as_bytes()),
                })
            })
            .collect();
    check_file("words", &json!(all));
}

fn described(op: &SignedOp, what: &str) -> Json {
    json!({
        "what": what,
        "op": hex(op.op_bytes()),
        "op_tree": tree_of(op.op_bytes()),
        "id": hex(&op.id().0),
        "signatures": op.signatures().iter().map(|signature| json!({
            "role": match signature.role {
                Role::Root => "root",
                Role::Node => "node",
                Role::Guardian => "guardian",
            },
            "key": hex(signature.key.as_bytes()),
            "signature": hex(&signature.signature.0),
            "salt": signature.salt.map(|salt| hex(&salt)),
        })).collect::<Vec<_>>(),
        "signed": hex(op.as_bytes()),
        "signed_tree": tree_of(op.as_bytes()),
    })
}

#[test]
fn identity_op_vectors_match() {
    let (root, node) = (mnemonic(1).keys().root, SecretKey::from_bytes(&[100; 32]));
    let guardians = [50u8, 51].map(|byte| SecretKey::from_bytes(&[byte; 32]));
    let recovery = Recovery {
        needed: 2,
        guardians: guardians
            .iter()
            .zip([50u8, 51])
            .map(|(key, byte)| log::commitment(&key.public(), [byte; 16]))
            .collect(),
        delay_secs: 604_800,
    };
    let genesis = Genesis {
        roots: vec![root.public(), mnemonic(2).keys().root.public()],
        recovery: recovery.clone(),
        recovery_kem: mnemonic(1).keys().recovery.public(),
        node: card(100),
    };
    let bytes =
        Op { person: None, index: 0, prev: None, body: OpBody::Genesis(genesis) }.to_canonical();
    let signed = SignedOp::new(
        bytes.clone(),
        vec![sign(Role::Root, &root, &bytes), sign(Role::Node, &node, &bytes)],
    )
    .unwrap();
    let mut ops = vec![described(&signed, "genesis")];
    let mut log = IdentityLog::from_ops(vec![signed]).unwrap();
    let person = log.person();

    let cutoff = Cutoff { lane: Lane::PUBLIC.0, epoch: u64::MAX, seq: 41, entry: [6; 32] };
    let bodies = [
        ("add a node", OpBody::AddNode(card(101))),
        (
            "retire a node",
            OpBody::RetireNode(RetireNode {
                node: node.public(),
                cutoffs: vec![cutoff],
                compromised: true,
            }),
        ),
        ("set the domain", OpBody::SetDomain(Some("alice.example".to_owned()))),
        ("set no domain", OpBody::SetDomain(None)),
        ("set guardians", OpBody::SetGuardians(recovery)),
        ("rotate", OpBody::Rotate(vec![root.public(), mnemonic(3).keys().root.public()])),
        ("recover", OpBody::Recover(vec![mnemonic(4).keys().root.public()])),
    ];
    for (what, body) in bodies {
        let bytes = log.next_op(body.clone()).to_canonical();
        let mut signatures = match body {
            OpBody::Recover(_) => vec![sign(Role::Root, &mnemonic(4).keys().root, &bytes)],
            _ => vec![sign(Role::Root, &root, &bytes)],
        };
        if let OpBody::AddNode(_) = body {
            signatures.push(sign(Role::Node, &SecretKey::from_bytes(&[101; 32]), &bytes));
        }
        if let OpBody::Recover(_) = body {
            let countersign = |(key, byte): (&SecretKey, u8)| OpSignature {
                salt: Some([byte; 16]),
                ..sign(Role::Guardian, key, &bytes)
            };
            signatures.extend(guardians.iter().zip([50u8, 51]).map(countersign));
        }
        let signed = SignedOp::new(bytes, signatures).unwrap();
        ops.push(described(&signed, what));
        log.extend(signed).unwrap();
    }
    // Tombstone follows Genesis here: no op may follow Tombstone, and no op after a pending
    // recovery is applied.
    let first = IdentityLog::from_ops(log.ops().iter().take(1).cloned().collect()).unwrap();
    let bytes = first.next_op(OpBody::Tombstone).to_canonical();
    let tombstone = SignedOp::new(bytes.clone(), vec![sign(Role::Root, &root, &bytes)]).unwrap();
    let vectors = json!({
        "person": hex(&person.0),
        "person_text": person.to_string(),
        "log": ops,
        "tombstone_after_genesis": described(&tombstone, "tombstone"),
        "guardian": {
            "key": hex(guardians[0].public().as_bytes()),
            "salt": hex(&[50; 16]),
            "commitment": hex(&log::commitment(&guardians[0].public(), [50; 16])),
        },
    });
    check_file("identity", &vectors);
}

#[test]
fn node_card_and_claim_vectors_match() {
    let node = card(100);
    let claim = transfer::create_claim(&mnemonic(1), &node).unwrap();
    let payload = armour_payload("freehold claim 1", &claim.to_string());
    let mut fields = Fields::from_canonical(&payload).unwrap();
    assert!(matches!(fields.need(0), Ok(Cbor::Array(ops)) if ops.len() == 1));
    let vectors = json!({
        "node_card": {
            "text": node.to_string(),
            "sign": hex(node.sign.as_bytes()),
            "kem": hex(node.kem.as_bytes()),
        },
        "claim": { "text": claim.to_string(), "payload": hex(&payload), "tree": tree_of(&payload) },
    });
    check_file("texts", &vectors);
}

#[test]
fn wrapped_epoch_key_vectors_match() {
    let (recovery, person, key) =
        (mnemonic(1).keys().recovery, PersonId([2; 32]), EpochKey::new([3; 32]));
    let wrapped = key_backup::wrap(&recovery.public(), &person, &key, &Random::seeded(4)).unwrap();
    let vectors = json!({
        "recovery_secret": hex(recovery.to_bytes().as_slice()),
        "recovery_public": hex(recovery.public().as_bytes()),
        "person": hex(&person.0),
        "epoch_key": hex(key.as_bytes()),
        "lane": hex(&wrapped.lane.0),
        "encapsulated": hex(&wrapped.encapsulated),
        "wrapped": hex(&wrapped.wrapped),
    });
    check_file("key_backup", &vectors);
}
