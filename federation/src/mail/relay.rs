//! Friends' nodes as outgoing hosts, for owners whose port 25 is closed: sends the owner's mail to
//! the chosen friend's node, and takes the mail of friends whom the owner allows to. Core judges it
//! (`core/mailbox/relay.rs`), and mail verifies its signature and sends it.

mod exchange;
mod outcome;
mod receive;

pub(super) use exchange::send;
pub(crate) use receive::serve;
