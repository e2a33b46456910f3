mod claims;
mod disputes;
mod requests;
mod suites;

use super::op::{OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::*;
use crate::clock::{Clock, Timestamp};
use crate::mnemonic::Mnemonic;
use crate::node::Node;
use freehold_proto::testing::identity::{card, genesis, key, next, node_keys, with, with_op};

fn unclaimed(seed: u64) -> Node {
    Node::in_memory(Clock::manual(Timestamp(1_777_636_800_000)), Random::seeded(seed)).unwrap()
}

fn words(byte: u8) -> Mnemonic {
    Mnemonic::from_entropy([byte; 32])
}

async fn claimed(seed: u64) -> Node {
    let node = unclaimed(seed);
    create_with(&node, words(u8::try_from(seed).unwrap())).await.unwrap();
    node
}
