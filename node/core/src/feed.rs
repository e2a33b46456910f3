//! The feed of a person: signed entries in append-only logs. Friends copy and verify them without
//! trusting the peer that sends them.
//!
//! There is one log per (person, node key, lane, epoch). An entry is a signed header and a body
//! that can be deleted. Every process start opens a new epoch, whose first entry names the last
//! known one: a disk rolled back to an older state branches by epoch and never forks.

mod append;
mod batch;
pub(crate) mod change;
mod check;
mod cutoff;
mod due;
mod effects;
pub(crate) mod forget;
mod forks;
mod jobs;
mod judge;
mod latest;
mod missing;
mod read;
mod refs;
mod retraction_limit;
mod rows;
pub(crate) mod steps;
mod take;
mod void;

#[cfg(any(test, feature = "testing"))]
pub use append::append_only;
pub use append::{AppendError, moment};
pub(crate) use append::{append, next_hlc};
pub(crate) use batch::{Batch, verify};
pub use batch::{RECEIVE_MAX, Received, Refused};
pub use freehold_proto::entry::*;

pub use check::{Checked, check};
pub use cutoff::{entries_held, tips};
pub use due::next_due;
pub use forks::{Fork, forks};
pub(crate) use jobs::follow_log;
pub use missing::missing;
pub use read::{
    LanePosition, entry, head, header_at, header_of, heads, homes_of, latest, latest_entry, opened,
    position, profile_of, read,
};
pub(crate) use take::take_all;

#[cfg(test)]
mod tests;
