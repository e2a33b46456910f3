//! Idempotency keys: a sender that missed our reply repeats its delivery or submission, and nothing
//! is stored or queued twice.

use crate::ids::id16;
use crate::node::Node;
use crate::row;

id16! {
    /// The idempotency key of a delivery: a second delivery with the same key returns the message of
    /// the first and stores nothing.
    IdempotencyKey
}

impl IdempotencyKey {
    /// The key derived from `parts`: equal parts give equal keys.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(row::key_part(hasher.finalize().as_bytes(), 0))
    }

    /// A random key, for a delivery that is never repeated.
    pub fn new(node: &Node) -> Self {
        Self(node.random.array())
    }
}
