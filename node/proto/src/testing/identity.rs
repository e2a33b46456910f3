//! Identity logs of invented people, with keys that are one byte repeated.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a log that can't be made fails its test"
)]

use crate::identity::op::{Genesis, Op, OpBody, OpSignature, Recovery, Role, SignedOp, sign};
use crate::identity::{IdentityLog, IdentityLogError, NodeCard, log};
use crate::keys::{KemSecret, NodeKeys, SecretKey};

/// A secret key of 32 equal bytes.
pub fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32])
}

/// A node's keys, both of 32 equal bytes.
pub fn node_keys(byte: u8) -> NodeKeys {
    NodeKeys { sign: key(byte), kem: KemSecret::from_bytes([byte; 32]) }
}

/// The card of a node with these keys.
pub fn card(keys: &NodeKeys) -> NodeCard {
    NodeCard { sign: keys.sign.public(), kem: keys.kem.public() }
}

/// A log of Genesis with these root keys, for node 100, with guardians 50, 51 and 52, of whom two
/// are needed.
pub fn genesis(roots: &[u8]) -> IdentityLog {
    let node = node_keys(100);
    let guardians =
        [50, 51, 52].map(|guardian| log::commitment(&key(guardian).public(), [guardian; 16]));
    let body = OpBody::Genesis(Genesis {
        roots: roots.iter().map(|root| key(*root).public()).collect(),
        recovery: Recovery { needed: 2, guardians: guardians.to_vec(), delay_secs: 86_400 },
        recovery_kem: KemSecret::from_bytes([9; 32]).public(),
        node: card(&node),
    });
    let bytes = Op { person: None, index: 0, prev: None, body }.to_canonical();
    let signatures =
        vec![sign(Role::Root, &key(roots[0]), &bytes), sign(Role::Node, &node.sign, &bytes)];
    IdentityLog::from_ops(vec![SignedOp::new(bytes, signatures).unwrap()]).unwrap()
}

/// The next op of a log, signed by root key `root`, countersigned by these guardians and this node.
pub fn next(
    log: &IdentityLog,
    body: OpBody,
    root: u8,
    guardians: &[u8],
    node: Option<u8>,
) -> SignedOp {
    let bytes = log.next_op(body).to_canonical();
    let mut signatures = vec![sign(Role::Root, &key(root), &bytes)];
    for guardian in guardians {
        let signature = sign(Role::Guardian, &key(*guardian), &bytes);
        signatures.push(OpSignature { salt: Some([*guardian; 16]), ..signature });
    }
    signatures.extend(node.map(|node| sign(Role::Node, &key(node), &bytes)));
    SignedOp::new(bytes, signatures).unwrap()
}

/// The log with one more op, signed by root key `root`.
pub fn with(log: &IdentityLog, body: OpBody, root: u8) -> IdentityLog {
    with_op(log, next(log, body, root, &[], None)).unwrap()
}

/// The log with one more op, or the error.
///
/// # Errors
/// As [`IdentityLog::extend`].
pub fn with_op(log: &IdentityLog, op: SignedOp) -> Result<IdentityLog, IdentityLogError> {
    let mut log = log.clone();
    log.extend(op)?;
    Ok(log)
}
