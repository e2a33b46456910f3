//! Events: hints sent after a commit. A lost event loses nothing, because every listener reads the
//! rows themselves.

use freehold_store::hints::Hints;

use freehold_proto::identity::PersonId;

/// A change that may have happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The outbox has new records: federation should read it.
    Outbox,
    /// Public content changed, such as a post or a photo: cached pages are stale.
    Public,
    /// The owner's timeline changed.
    Timeline,
    /// A post of this friend has photos that are not stored here: federation should fetch them.
    Wanted(PersonId),
    /// Entries of this person are valid again whose bodies are missing: federation should request
    /// the bodies.
    Missing(PersonId),
    /// The mail folder with this id changed.
    Mailbox(u32),
    /// The subscriptions of the mailbox changed.
    Subscriptions,
    /// Annotations of a mail folder, or of the mailbox as a whole, changed.
    Annotations,
    /// The mail queue has a message to send.
    Queue,
    /// The smarthost or the outgoing friend changed, or the login was tried.
    Smarthost,
    /// A friend's message waits for the check of its signature before it is relayed, or the check
    /// has ended.
    Relay,
    /// Friends or invites changed.
    Friends,
    /// A friend's node has acknowledged entries of the owner.
    DeliveryStatus,
    /// The identity, an identity log or the homes changed.
    Identity,
    /// Content was deleted for good: its files and traces are to be erased.
    Erased,
}

/// The channel of this node's events.
pub type Events = Hints<Event>;
