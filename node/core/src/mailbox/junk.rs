//! Junk: which messages of strangers are put into Junk, and why.
//!
//! The filter learns from the owner: a message that is moved into Junk, from any program, is a
//! lesson, and so is one that is moved out of it or filed elsewhere (`lessons`). A lesson counts
//! the words and traits of its message (`tokens`, `learnt`) and gives its author and its network a
//! reputation. A new message is judged by these (`judge`), after the owner's own lists of senders
//! (`listed`) and the proof of its author. Nothing is ever deleted, and mail of people that the
//! owner wrote to is never junk.
//!
//! On disk: counts under keyed hashes of tokens and names, so the rows do not disclose words; the
//! judgement of a message in the message's row.

mod bayes;
#[cfg(test)]
mod corpus;
mod judge;
mod learnt;
mod lessons;
mod listed;
mod reputation;
mod tokens;

pub use judge::{Disowned, Evidence, Judgement, JunkReason, ReasonKind, is_good_network};
pub use lessons::{forget_old_lessons, learn_from_inbox, learn_next, lessons_learnt};
pub use listed::{
    LISTED_MAX, ListError, ListedSender, Listing, list_sender, listed_senders, unlist_sender,
};

pub(super) use judge::{judge, judge_unchecked};
pub(super) use lessons::{record_known, record_transfer};
pub(super) use tokens::tokens;
