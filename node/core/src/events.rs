//! Hints sent after a commit ("look now"). Losing one loses nothing: every listener also looks at
//! the rows themselves.

use freehold_store::hints::Hints;

use freehold_proto::identity::PersonId;

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The journal has new records: federation's outbox should look.
    Outbox,
    /// A post, photo or other public thing changed: cached pages are stale.
    Public,
    /// The owner's timeline changed.
    Timeline,
    /// A post of this friend's shows photos that are not here: federation should fetch them.
    Wanted(PersonId),
    /// Bodies of this person's entries are missing that count again: federation should ask for
    /// them.
    Missing(PersonId),
    /// A mail folder changed; the number is the folder's id.
    Mailbox(u32),
    /// The mail queue has something to send.
    Queue,
    /// Friends or invites changed.
    Friends,
    /// A friend's node has acknowledged entries of the owner's.
    DeliveryStatus,
    /// The identity, its log or its homes changed.
    Identity,
    /// Something was deleted for good: its files and its traces are to go.
    Erased,
}

/// The channel of this node's hints.
pub type Events = Hints<Event>;
