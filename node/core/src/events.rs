//! Hints sent after a commit ("look now"). Losing one loses nothing: every listener also looks at
//! the rows themselves.

use tokio::sync::broadcast;

use crate::friends::Awake;
use crate::identity::PersonId;

/// How many hints a slow listener may fall behind before it is told to look at everything.
const PENDING_MAX: usize = 1024;

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The journal has new records: federation's outbox should look.
    Journal,
    /// A post, photo or other public thing changed: cached pages are stale.
    Public,
    /// The owner's timeline changed.
    Timeline,
    /// A post of this friend's shows photos that are not here: federation should fetch them.
    Wanted(PersonId),
    /// Bodies of this person's entries are missing that count again: federation should ask for
    /// them.
    Lacking(PersonId),
    /// A mail folder changed; the number is the folder's id.
    Mailbox(u32),
    /// The mail queue has something to send.
    Queue,
    /// Friends or invites changed.
    Friends,
    /// A friend's node has acknowledged entries of the owner's.
    Arrivals,
    /// The identity, its log or its homes changed.
    Identity,
    /// Something was deleted for good: its files and its traces are to go.
    Erased,
}

/// What lasts no longer than the process: the channel of hints, and who is connected. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Events {
    hints: broadcast::Sender<Event>,
    awake: Awake,
}

impl Default for Events {
    fn default() -> Self {
        Self { hints: broadcast::channel(PENDING_MAX).0, awake: Awake::default() }
    }
}

impl Events {
    /// Sends a hint to whoever listens.
    pub fn send(&self, event: Event) {
        // Nobody listening is not an error: the rows are the truth.
        let _ = self.hints.send(event);
    }

    /// Listens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.hints.subscribe()
    }

    /// Which friends' nodes are connected.
    pub fn awake(&self) -> &Awake {
        &self.awake
    }
}
