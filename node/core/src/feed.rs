//! What a person says: signed entries in append-only logs that friends copy and verify without
//! trusting whoever hands them over.
//!
//! There is one log per (person, node key, lane, epoch). An entry is a signed header and a body
//! that can be deleted. Every process start opens a new epoch, whose first entry names the last
//! known one: a disk rolled back to an older state branches by epoch and never forks.

mod append;
mod check;
mod cutoff;
mod due;
mod effects;
mod forks;
mod jobs;
mod latest;
mod missing;
mod read;
mod receive;
mod refs;
mod retraction_limit;
mod rows;
mod void;

pub use append::{AppendError, append, append_expiring, moment};
pub use freehold_proto::entry::*;

pub use check::{Checked, check};
pub use cutoff::tips;
pub use due::{next_due, run_due};
pub use forks::{Fork, forks};
pub(crate) use jobs::follow_log;
pub use missing::missing;
pub use read::{Place, entry, head, heads, latest, latest_entry, opened, place, profile_of, read};
pub use receive::{RECEIVE_MAX, Received, Refused, receive};

#[cfg(test)]
mod tests;
