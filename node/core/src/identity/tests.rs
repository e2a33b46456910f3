mod claims;

use super::op::{Role, SignedOp, sign as sign_op};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::mnemonic::Mnemonic;
use crate::random::Random;
use freehold_proto::testing::identity::{genesis, key};

pub(crate) fn unclaimed(seed: u64) -> Node {
    Node::in_memory(Clock::manual(Timestamp(1_777_636_800_000)), Random::seeded(seed)).unwrap()
}

pub(crate) fn mnemonic(byte: u8) -> Mnemonic {
    Mnemonic::from_entropy([byte; 32])
}

pub(crate) async fn claimed(seed: u64) -> Node {
    let node = unclaimed(seed);
    create_with(&node, mnemonic(u8::try_from(seed).unwrap())).await.unwrap();
    node
}
