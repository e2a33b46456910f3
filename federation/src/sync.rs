//! One sync stream, without IO: messages and local changes in, actions out. `wire::sync` tells the
//! exchange in steps.
//!
//! What an attacker gets: a friend can make this node verify [`crate::limits::PUSH_PER_SECOND`]
//! entries a second, those of logs that it has offered as fast as they come, and hold
//! [`crate::limits::CREDIT`] bytes; but of all together, on however many streams, no more is taken
//! than the day's share [`crate::limits::ENTRIES_MIB_PER_FRIEND_DAY`], which `stream` counts; what
//! is beyond waits, unacknowledged. Other messages cost it
//! [`crate::limits::FRIEND_FRAMES_PER_SECOND`]. A stranger can read the public lane slowly and give
//! nothing.

mod incoming;
mod outgoing;
pub(crate) mod stream;
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
use crate::rate::Bucket;
use crate::wire::sync::{Entry, Head, Log, Reason, Sync};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A friend, by this person id.
    Friend([u8; 32]),
    /// Anyone else.
    Stranger,
}

/// What the session asks of the loop around it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this.
    Send(Sync),
    /// Read entries of an own log and call [`Session::read`].
    Read {
        /// Which log.
        log: Log,
        /// The first entry.
        from: u64,
        /// At most so many.
        count_max: usize,
        /// Bytes they may weigh, though never fewer than one entry.
        len_max: usize,
    },
    /// Look up what is held of these logs and call [`Session::compared`].
    Compare(Vec<Head>),
    /// Verify and store these, then call [`Session::stored`] or [`Session::refused`].
    Store(Vec<Entry>),
    /// The peer lacks the bodies of these entries: look up those it may have and call
    /// [`Session::found`].
    Find(Vec<EntryId>),
    /// The peer holds this log durably up to here.
    Arrived {
        /// Which log.
        log: Log,
        /// The last entry it holds.
        through: u64,
    },
    /// The peer shows a fork.
    Forked(Box<(Entry, Entry)>),
    /// End the stream, after sending Bye.
    End(Reason),
    /// The peer has ended the stream and wants to be left alone for so many seconds.
    Ended {
        /// Why.
        reason: Reason,
        /// Seconds.
        retry_after: u32,
    },
}

/// An own entry that has just become durable.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    /// Its log, up to and with this entry.
    pub(crate) head: Head,
    /// The entry.
    pub(crate) entry: Entry,
}

/// A log that the peer offers, with the number and id of the last entry held of what it offers of
/// it.
pub(crate) type Compared = (Head, Option<(u64, [u8; 32])>);

/// One end of a sync stream.
#[derive(Debug)]
pub(crate) struct Session {
    trust: Trust,
    outgoing: Outgoing,
    incoming: Incoming,
    frames: Bucket,
    ended: bool,
}

impl Session {
    /// Begins: offers `ours`, which must hold only what this peer may see.
    pub(crate) fn start(trust: Trust, ours: Vec<Head>, now: Timestamp) -> (Self, Vec<Action>) {
        let (outgoing, actions) = Outgoing::start(ours, trust != Trust::Stranger, now);
        let frames = match trust {
            Trust::Friend(_) => {
                Bucket::per_second(FRIEND_FRAMES_PER_SECOND, FRIEND_FRAMES_BURST, now)
            }
            Trust::Stranger => {
                Bucket::per_second(STRANGER_FRAMES_PER_SECOND, STRANGER_FRAMES_BURST, now)
            }
        };
        (Self { trust, outgoing, incoming: Incoming::new(now), frames, ended: false }, actions)
    }

    /// A message has come.
    pub(crate) fn received(&mut self, message: Sync, now: Timestamp) -> Vec<Action> {
        if self.ended {
            return Vec::new();
        }
        // Each log that a friend names is looked up; a stranger's are not.
        let cost = match (&message, self.trust) {
            (Sync::Have(heads), Trust::Friend(_)) => heads.len().max(1),
            (Sync::Lacking(entries), Trust::Friend(_)) => entries.len().max(1),
            _ => 1,
        };
        if !self.frames.take(cost, now) {
            return self.end(Reason::Rate);
        }
        let done = match (message, self.trust) {
            (Sync::Have(heads), _) if heads.len() > HAVE_MAX => Err(Reason::Invalid),
            // Each node offers its own person's logs; others' would come from mirrors.
            (Sync::Have(heads), Trust::Friend(person)) => Ok(Incoming::offered(
                heads.into_iter().filter(|head| head.log.person == person).collect(),
            )),
            (Sync::Have(_) | Sync::Lacking(_), Trust::Stranger) => Ok(Vec::new()),
            (Sync::Lacking(entries), _) if entries.len() > ENTRIES_MAX => Err(Reason::Invalid),
            (Sync::Lacking(entries), _) => {
                Ok(vec![Action::Find(entries.into_iter().map(|id| EntryId(id.into())).collect())])
            }
            (Sync::Want { log, from }, _) => self.outgoing.wanted(&log, from),
            (Sync::Ack { log, through }, _) => Ok(self.outgoing.acknowledged(&log, through)),
            (Sync::Entries(_) | Sync::Push(_) | Sync::Fork { .. }, Trust::Stranger) => {
                Err(Reason::NotFriends)
            }
            (Sync::Entries(entries) | Sync::Push(entries), _) if entries.len() > ENTRIES_MAX => {
                Err(Reason::Invalid)
            }
            (Sync::Push(entries), _) if entries.is_empty() => Err(Reason::Invalid),
            (Sync::Entries(entries), _) => self.incoming.answered(entries, now),
            (Sync::Push(entries), _) => self.incoming.pushed(entries, now),
            (Sync::Fork { one, other }, _) => self.incoming.forked(one, other, now),
            (Sync::Bye { reason, retry_after }, _) => {
                self.ended = true;
                return vec![Action::Ended { reason, retry_after }];
            }
        };
        done.unwrap_or_else(|reason| self.end(reason))
    }

    /// An own entry has become durable.
    pub(crate) fn grown(&mut self, fresh: &Fresh, now: Timestamp) -> Vec<Action> {
        if self.ended { Vec::new() } else { self.outgoing.grown(fresh, now) }
    }

    /// Own logs may have grown unseen: offers them as they are now.
    pub(crate) fn offer_again(&mut self, ours: Vec<Head>) -> Vec<Action> {
        if self.ended { Vec::new() } else { self.outgoing.offer_again(ours) }
    }

    /// The answer to [`Action::Read`].
    pub(crate) fn read(&mut self, log: &Log, entries: Vec<Entry>) -> Vec<Action> {
        if self.ended { Vec::new() } else { self.outgoing.read(log, entries) }
    }

    /// The answer to [`Action::Find`].
    pub(crate) fn found(&mut self, entries: Vec<Entry>) -> Vec<Action> {
        if self.ended { Vec::new() } else { vec![Action::Send(Sync::Entries(entries))] }
    }

    /// Bodies are missing here that this peer may have: asks for those it has not been asked for on
    /// this stream.
    pub(crate) fn lacking(&mut self, entries: Vec<EntryId>) -> Vec<Action> {
        if self.ended || self.trust == Trust::Stranger {
            Vec::new()
        } else {
            self.incoming.lacking(entries)
        }
    }

    /// The answer to [`Action::Compare`].
    pub(crate) fn compared(&mut self, heads: Vec<Compared>) -> Vec<Action> {
        if self.ended {
            return Vec::new();
        }
        self.incoming.compared(heads).unwrap_or_else(|reason| self.end(reason))
    }

    /// The oldest [`Action::Store`] is durable: how far each log in it now reaches.
    pub(crate) fn stored(&mut self, reach: &[(Log, u64)]) -> Vec<Action> {
        if self.ended { Vec::new() } else { self.incoming.stored(reach) }
    }

    /// The oldest [`Action::Store`] was refused.
    pub(crate) fn refused(&mut self, reason: Reason) -> Vec<Action> {
        self.end(reason)
    }

    fn end(&mut self, reason: Reason) -> Vec<Action> {
        if std::mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        vec![
            Action::Send(Sync::Bye { reason, retry_after: retry_after(reason) }),
            Action::End(reason),
        ]
    }
}

/// Seconds a peer should stay away after a stream ended for this reason.
pub(crate) fn retry_after(reason: Reason) -> u32 {
    match reason {
        Reason::Leaving => 1,
        Reason::Busy => 10,
        Reason::Rate => 60,
        Reason::Invalid | Reason::NotFriends => 3600,
    }
}
