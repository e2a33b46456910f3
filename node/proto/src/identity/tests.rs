mod logs;

use super::op::{OpBody, Recovery, Role, SignedOp, sign as sign_op};
use super::*;
use crate::testing::identity::{card, genesis, key, next, node_keys, with, with_op};
