//! One end of a sync stream as a state machine without IO: messages and local changes in, actions
//! out. The exchange's steps are in `wire::sync`; `sync_stream` is the loop that does the actions.
//!
//! An attacker who is a friend can make this node verify [`crate::limits::PUSH_PER_SECOND`] pushed
//! entries per second, and the entries of the logs that the attacker has offered as fast as they
//! arrive. This node holds about [`crate::limits::CREDIT`] bytes of entries. The share of each
//! friend per day ([`freehold_core::apply::ENTRIES_PER_DAY`]) bounds what is stored, and the other
//! entries wait unacknowledged. [`crate::limits::FRIEND_FRAMES_PER_SECOND`] bounds the other
//! messages. A stranger can read the public lane slowly and send nothing.

mod incoming;
mod outgoing;
#[cfg(test)]
mod tests;

use freehold_core::clock::Timestamp;
use freehold_core::feed::EntryId;

use self::incoming::Incoming;
use self::outgoing::Outgoing;
use crate::limits::{
    ENTRIES_MAX, FRIEND_FRAMES_BURST, FRIEND_FRAMES_PER_SECOND, HAVE_MAX, STRANGER_FRAMES_BURST,
    STRANGER_FRAMES_PER_SECOND,
};
use crate::rate::TokenBucket;
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};

/// The role of the peer at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SyncPeer {
    /// A friend, with this person id.
    Friend([u8; 32]),
    /// Anyone else.
    Stranger,
}

/// An action that the session requests from the loop around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this message.
    Send(Sync),
    /// Read entries of an own log and call [`SyncSession::on_read`].
    Read {
        /// The log.
        log: Log,
        /// The first entry.
        from: u64,
        /// The most entries to read.
        count_max: usize,
        /// The most bytes to read, though never fewer than one entry.
        len_max: usize,
    },
    /// Compare these logs with the stored ones and call [`SyncSession::on_compared`].
    Compare(Vec<Head>),
    /// Verify and store these entries, then call [`SyncSession::on_stored`] or
    /// [`SyncSession::on_refused`].
    Store(Vec<Entry>),
    /// The peer lacks the bodies of these entries: look up those it may have and call
    /// [`SyncSession::on_bodies_found`].
    FindBodies(Vec<EntryId>),
    /// The peer holds this log durably.
    Acknowledged {
        /// The log.
        log: Log,
        /// The last entry it holds.
        through: u64,
        /// Milliseconds until that entry takes effect there, if it is held back.
        held_ms: Option<u64>,
    },
    /// Verify and store this proof of a fork, like [`Action::Store`].
    StoreFork(Box<(Entry, Entry)>),
    /// End the stream after sending Bye.
    End(Reason),
    /// The peer has ended the stream.
    Ended {
        /// The peer's reason.
        reason: Reason,
        /// Seconds to wait before the next stream.
        retry_after: u32,
    },
}

/// An own entry that has just become durable.
#[derive(Clone, Debug)]
pub(crate) struct NewEntry {
    /// Its log, up to and with this entry.
    pub(crate) head: Head,
    /// The entry.
    pub(crate) entry: Entry,
}

/// A log that the peer offers, with the number and id of the last entry stored here of the offered
/// range.
pub(crate) type ComparedHead = (Head, Option<(u64, [u8; 32])>);

/// One end of a sync stream.
#[derive(Debug)]
pub(crate) struct SyncSession {
    peer: SyncPeer,
    outgoing: Outgoing,
    incoming: Incoming,
    frames: TokenBucket,
    has_ended: bool,
}

impl SyncSession {
    /// Starts a session by offering `ours`, which must hold only logs that this peer may read.
    pub(crate) fn start(peer: SyncPeer, ours: Vec<Head>, now: Timestamp) -> (Self, Vec<Action>) {
        let (outgoing, actions) = Outgoing::start(ours, peer != SyncPeer::Stranger, now);
        let frames = match peer {
            SyncPeer::Friend(_) => {
                TokenBucket::per_second(FRIEND_FRAMES_PER_SECOND, FRIEND_FRAMES_BURST, now)
            }
            SyncPeer::Stranger => {
                TokenBucket::per_second(STRANGER_FRAMES_PER_SECOND, STRANGER_FRAMES_BURST, now)
            }
        };
        (Self { peer, outgoing, incoming: Incoming::new(now), frames, has_ended: false }, actions)
    }

    /// A message has been received.
    pub(crate) fn on_message(&mut self, message: Sync, now: Timestamp) -> Vec<Action> {
        if self.has_ended {
            return Vec::new();
        }
        // Each log or entry that a friend names causes a read of the store; a stranger's do not.
        let cost = match (&message, self.peer) {
            (Sync::Have(heads), SyncPeer::Friend(_)) => heads.len().max(1),
            (Sync::Lacking(entries), SyncPeer::Friend(_)) => entries.len().max(1),
            _ => 1,
        };
        if !self.frames.take(cost, now) {
            return self.end(Reason::Rate);
        }
        let actions = match (message, self.peer) {
            (Sync::Have(heads), _) if heads.len() > HAVE_MAX => Err(Reason::Invalid),
            // A node offers its own person's logs only.
            (Sync::Have(heads), SyncPeer::Friend(person)) => Ok(Incoming::on_have(
                heads.into_iter().filter(|head| head.log.person == person).collect(),
            )),
            (Sync::Have(_) | Sync::Lacking(_), SyncPeer::Stranger) => Ok(Vec::new()),
            (Sync::Lacking(entries), _) if entries.len() > ENTRIES_MAX => Err(Reason::Invalid),
            (Sync::Lacking(entries), _) => Ok(vec![Action::FindBodies(
                entries.into_iter().map(|id| EntryId(id.into())).collect(),
            )]),
            (Sync::Want { log, from }, _) => self.outgoing.on_want(&log, from),
            (Sync::Ack { log, through, held_ms }, _) => {
                Ok(self.outgoing.on_ack(&log, through, held_ms))
            }
            (Sync::Entries(_) | Sync::Push(_) | Sync::Fork { .. }, SyncPeer::Stranger) => {
                Err(Reason::NotFriends)
            }
            (Sync::Entries(entries) | Sync::Push(entries), _) if entries.len() > ENTRIES_MAX => {
                Err(Reason::Invalid)
            }
            (Sync::Push(entries), _) if entries.is_empty() => Err(Reason::Invalid),
            (Sync::Entries(entries), _) => self.incoming.on_entries(entries, now),
            (Sync::Push(entries), _) => self.incoming.on_push(entries, now),
            (Sync::Fork { one, other }, _) => self.incoming.on_fork(one, other, now),
            (Sync::Bye { reason, retry_after }, _) => {
                self.has_ended = true;
                return vec![Action::Ended { reason, retry_after }];
            }
        };
        actions.unwrap_or_else(|reason| self.end(reason))
    }

    /// An own entry has become durable.
    pub(crate) fn on_new_entry(&mut self, new: &NewEntry, now: Timestamp) -> Vec<Action> {
        if self.has_ended { Vec::new() } else { self.outgoing.on_new_entry(new, now) }
    }

    /// Own logs may have grown without [`SyncSession::on_new_entry`]: offers their present heads.
    pub(crate) fn offer_again(&mut self, ours: Vec<Head>) -> Vec<Action> {
        if self.has_ended { Vec::new() } else { self.outgoing.offer_again(ours) }
    }

    /// The result of [`Action::Read`].
    pub(crate) fn on_read(&mut self, log: &Log, entries: Vec<Entry>) -> Vec<Action> {
        if self.has_ended { Vec::new() } else { self.outgoing.on_read(log, entries) }
    }

    /// The result of [`Action::FindBodies`].
    pub(crate) fn on_bodies_found(&mut self, entries: Vec<Entry>) -> Vec<Action> {
        if self.has_ended { Vec::new() } else { vec![Action::Send(Sync::Entries(entries))] }
    }

    /// Requests the bodies of these entries, except those already requested on this stream.
    pub(crate) fn request_bodies(&mut self, entries: Vec<EntryId>) -> Vec<Action> {
        if self.has_ended || self.peer == SyncPeer::Stranger {
            Vec::new()
        } else {
            self.incoming.request_bodies(entries)
        }
    }

    /// The result of [`Action::Compare`].
    pub(crate) fn on_compared(&mut self, heads: Vec<ComparedHead>) -> Vec<Action> {
        if self.has_ended {
            return Vec::new();
        }
        self.incoming.on_compared(heads).unwrap_or_else(|reason| self.end(reason))
    }

    /// The oldest [`Action::Store`] is durable: the last stored entry of each log in it.
    pub(crate) fn on_stored(&mut self, stored: &[(Log, u64)]) -> Vec<Action> {
        if self.has_ended { Vec::new() } else { self.incoming.on_stored(stored) }
    }

    /// The oldest [`Action::Store`] was refused.
    pub(crate) fn on_refused(&mut self, reason: Reason) -> Vec<Action> {
        self.end(reason)
    }

    fn end(&mut self, reason: Reason) -> Vec<Action> {
        if std::mem::replace(&mut self.has_ended, true) {
            return Vec::new();
        }
        vec![
            Action::Send(Sync::Bye { reason, retry_after: retry_after(reason) }),
            Action::End(reason),
        ]
    }
}

/// Seconds that a peer must wait before the next stream, by the reason why the last one ended.
pub(crate) fn retry_after(reason: Reason) -> u32 {
    match reason {
        Reason::Leaving => 1,
        Reason::Busy => 10,
        Reason::Rate => 60,
        Reason::Invalid | Reason::NotFriends => 3600,
    }
}
