//! Mail between friends' nodes: sends what waits in core's queue for a friend's node, and receives
//! what friends' nodes send, for the owner or for the world (`relay`).
//!
//! Each recipient in the queue belongs to this crate or to mail; one commit gives it to mail when
//! the friend's node is not reached. A message is sent again with the same id until its outcome is
//! recorded, and the receiver stores it once.

mod exchange;
mod outcome;
mod receive;
mod relay;
mod schedule;
mod text;

pub(crate) use receive::serve;
pub(crate) use relay::serve as serve_relay;
pub(crate) use schedule::run;

use freehold_core::domains::Domain;
use freehold_core::mailbox::{IdempotencyKey, QueueId};

use crate::network::PeerKey;

/// The facts that the sealed stream of a message is bound to: its two nodes, and its id.
fn info(domain: Domain, from: PeerKey, to: PeerKey, id: &[u8; 16]) -> Vec<u8> {
    [domain.bytes(), &from.0, &to.0, id].concat()
}

/// The id under which an item of the queue is offered.
fn offer_id(item: QueueId) -> [u8; 16] {
    IdempotencyKey::of(&[b"offer to a friend's node", &item.0]).0
}
