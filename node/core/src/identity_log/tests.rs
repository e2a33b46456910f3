mod disputes;
mod requests;
mod suites;

use super::*;
use crate::identity::op::{self, OpBody, Recovery, Role, SignedOp, sign as sign_op};
use crate::identity::tests::{claimed, mnemonic, unclaimed};
use crate::identity::*;
use crate::node::Node;
use freehold_proto::testing::identity::{card, genesis, key, next, node_keys, with, with_op};
