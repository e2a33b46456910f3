mod claims;
mod disputes;
mod logs;
mod requests;
mod suites;

use super::op::{Op, OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::keys::{KemSecret, SecretKey};
use crate::node::Node;
use crate::words::Words;

fn unclaimed(seed: u64) -> Node {
    Node::in_memory(Clock::manual(Timestamp(1_777_636_800_000)), Random::seeded(seed)).unwrap()
}

fn words(byte: u8) -> Words {
    Words::from_entropy([byte; 32])
}

async fn claimed(seed: u64) -> Node {
    let node = unclaimed(seed);
    create_with(&node, words(u8::try_from(seed).unwrap())).await.unwrap();
    node
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32])
}

fn node_keys(byte: u8) -> NodeKeys {
    NodeKeys { sign: key(byte), kem: KemSecret::from_bytes([byte; 32]) }
}

fn card(keys: &NodeKeys) -> NodeCard {
    NodeCard { sign: keys.sign.public(), kem: keys.kem.public() }
}

/// A genesis with these root keys, for node 100, with guardians 50, 51 and 52 of whom two are
/// needed.
fn genesis(roots: &[u8]) -> IdentityLog {
    let node = node_keys(100);
    let guardians =
        [50, 51, 52].map(|guardian| log::commitment(&key(guardian).public(), [guardian; 16]));
    let body = OpBody::Genesis(op::Genesis {
        roots: roots.iter().map(|root| key(*root).public()).collect(),
        recovery: Recovery { needed: 2, guardians: guardians.to_vec(), delay_secs: 86_400 },
        recovery_kem: KemSecret::from_bytes([9; 32]).public(),
        node: card(&node),
    });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    let signatures =
        vec![sign_op(Role::Root, &key(roots[0]), &bytes), sign_op(Role::Node, &node.sign, &bytes)];
    IdentityLog::from_ops(vec![SignedOp::new(bytes, signatures).unwrap()]).unwrap()
}

/// The next op of a log, signed by root key `root`, countersigned by these guardians and this node.
fn next(log: &IdentityLog, body: OpBody, root: u8, guardians: &[u8], node: Option<u8>) -> SignedOp {
    let bytes = log.next_op(body).to_canonical();
    let mut signatures = vec![sign_op(Role::Root, &key(root), &bytes)];
    for guardian in guardians {
        let signature = sign_op(Role::Guardian, &key(*guardian), &bytes);
        signatures.push(op::OpSignature { salt: Some([*guardian; 16]), ..signature });
    }
    signatures.extend(node.map(|node| sign_op(Role::Node, &key(node), &bytes)));
    SignedOp::new(bytes, signatures).unwrap()
}

/// The log with one more op, signed by root key `root`.
fn with(log: &IdentityLog, body: OpBody, root: u8) -> IdentityLog {
    with_op(log, next(log, body, root, &[], None)).unwrap()
}

fn with_op(log: &IdentityLog, op: SignedOp) -> Result<IdentityLog, LogError> {
    let mut log = log.clone();
    log.extend(op)?;
    Ok(log)
}
