//! The outcome of a try for a recipient: delivered, failed, tried again, or given to SMTP.
//!
//! SMTP is the fallback, once. It comes soon if the friend's node is not reached, and late if the
//! node may have the message, because then it would come twice.

use freehold_core::clock::Timestamp;
use freehold_core::domain_name;
use freehold_core::mailbox::Recipient;
use freehold_core::mailbox::queue::{Outbound, Outcome};

use super::exchange::Answer;
use crate::wire::mail::Refusal;

/// The reply of a try for which there was no connection. Such a recipient is due as soon as there
/// is one.
pub(super) const UNREACHED: &str = "451 4.4.1 the friend's node is not reached";

/// How long a friend's node is waited for before SMTP is used, in milliseconds.
const GRACE_MS: u64 = 2 * 60 * 1000;
/// The same between nodes on one machine.
const GRACE_LOCAL_MS: u64 = 5 * 1000;
/// The same for a node that answers, or that may have the message.
const PATIENCE_MS: u64 = 60 * 60 * 1000;
/// After this time a message fails that SMTP can't carry, in milliseconds (RFC 5321 4.5.4.1).
const TRIED_MS: u64 = 48 * 60 * 60 * 1000;
/// The longest pause between two tries, in milliseconds.
const PAUSE_MS_MAX: u64 = 10 * 60 * 1000;
/// The first pause between two tries over a connection, in milliseconds.
const PAUSE_MS: u64 = 5 * 1000;

/// The facts on which an outcome depends.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The node is on this machine, and so are its friends'.
    pub(super) is_local: bool,
    pub(super) outbound: Outbound,
    /// The domains that mail reaches by SMTP whatever DNS says.
    pub(super) domains: Vec<String>,
    pub(super) created: Timestamp,
    pub(super) now: Timestamp,
}

impl Facts {
    /// True if SMTP can carry a message to this address.
    fn smtp_reaches(&self, address: &str) -> bool {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        let is_named = self.domains.iter().any(|known| domain_name::is_same(known, domain));
        is_named || domain_name::ascii(domain).is_some_and(|domain| self.outbound.reaches(&domain))
    }

    fn has_passed(&self, millis: u64) -> bool {
        self.now >= self.created.plus_millis(millis)
    }

    /// When SMTP is used for a recipient whose node is not connected.
    pub(super) fn fallback_at(&self, recipient: &Recipient) -> Timestamp {
        let grace = if self.is_local { GRACE_LOCAL_MS } else { GRACE_MS };
        self.created.plus_millis(if recipient.offered.is_some() { PATIENCE_MS } else { grace })
    }

    fn by_smtp_or(&self, address: &str, reply: &str, otherwise: Outcome) -> Outcome {
        match self.smtp_reaches(address) {
            true => Outcome::BySmtp(reply.to_owned()),
            false => otherwise,
        }
    }

    /// Another try, or failure after [`TRIED_MS`].
    fn later(&self, pause_ms: u64, reply: &str) -> Outcome {
        if self.has_passed(TRIED_MS) {
            return Outcome::Failed(format!("{reply} (tried for two days)"));
        }
        Outcome::Later { at: self.now.plus_millis(pause_ms), reply: reply.to_owned() }
    }

    /// The outcome for a recipient whose node is not connected; `None` while it is waited for.
    pub(super) fn unreached(&self, recipient: &Recipient) -> Option<Outcome> {
        if self.now < self.fallback_at(recipient) {
            return None;
        }
        let later = self.later(PAUSE_MS_MAX, UNREACHED);
        Some(self.by_smtp_or(&recipient.address, UNREACHED, later))
    }

    /// The outcome for a recipient whose person is no friend any more.
    pub(super) fn not_friends(&self, recipient: &Recipient) -> Outcome {
        let reply = "550 5.1.2 the person is no friend any more";
        self.by_smtp_or(&recipient.address, reply, Outcome::Failed(reply.to_owned()))
    }

    /// The outcome after a try that broke.
    pub(super) fn broken(&self, recipient: &Recipient, cause: &str) -> Outcome {
        let reply = format!("451 4.4.2 the connection to the friend's node broke: {cause}");
        let later = self.later(pause_ms(recipient.attempts), &reply);
        match self.has_passed(PATIENCE_MS) {
            true => self.by_smtp_or(&recipient.address, &reply, later),
            false => later,
        }
    }

    /// The outcome after an answer; `None` if there is nothing to record.
    pub(super) fn answered(&self, recipient: &Recipient, answer: &Answer) -> Option<Outcome> {
        let address = &recipient.address;
        Some(match answer {
            Answer::Accepted { unknown } if unknown.contains(address) => {
                let reply = "550 5.1.1 the friend's node has no such user";
                self.by_smtp_or(address, reply, Outcome::Failed(reply.to_owned()))
            }
            Answer::Accepted { .. } => {
                Outcome::Delivered("250 2.0.0 stored by the friend's node".to_owned())
            }
            Answer::Refused(refusal) => self.refused(recipient, *refusal),
            Answer::Later(seconds) => {
                let reply = "451 4.3.2 the friend's node takes no message now";
                let pause_ms = u64::from(*seconds).saturating_mul(1000);
                let later = self.later(pause_ms.clamp(PAUSE_MS, PATIENCE_MS), reply);
                match self.has_passed(PATIENCE_MS) {
                    true => self.by_smtp_or(address, reply, later),
                    false => later,
                }
            }
            Answer::Unsupported => {
                let reply = "451 4.4.0 the friend's node takes no mail this way yet";
                self.by_smtp_or(address, reply, self.later(PAUSE_MS_MAX, reply))
            }
            Answer::Dropped => return None,
        })
    }

    fn refused(&self, recipient: &Recipient, refusal: Refusal) -> Outcome {
        let failed = |reply: &str| Outcome::Failed(reply.to_owned());
        // SMTP gets the messages that its own checks may decide otherwise, and no others.
        let by_smtp = |reply: &str| {
            let later = self.later(pause_ms(recipient.attempts), reply);
            self.by_smtp_or(&recipient.address, reply, later)
        };
        match refusal {
            Refusal::NotFriends => by_smtp("451 4.7.1 the friend's node does not know you"),
            Refusal::Unconfirmed => {
                by_smtp("451 4.7.1 the friend's node could not confirm your domain yet")
            }
            Refusal::Unreadable => by_smtp("451 4.5.2 the friend's node could not read it"),
            Refusal::NoSuchRecipient => {
                let reply = "550 5.1.1 the friend's node has no such user";
                self.by_smtp_or(&recipient.address, reply, failed(reply))
            }
            Refusal::TooLarge => failed("552 5.3.4 the message is too large for the friend's node"),
            Refusal::Spoofed => failed("550 5.7.1 the author in From is not at your own domain"),
            Refusal::ByRule => failed("550 5.7.1 the recipient does not take this message"),
            Refusal::BadHeader => failed("554 5.6.0 the header is too long, or the message loops"),
        }
    }
}

/// The pause after so many tries.
fn pause_ms(attempts: u32) -> u64 {
    PAUSE_MS.saturating_mul(1 << attempts.min(16)).min(PAUSE_MS_MAX)
}

#[cfg(test)]
mod tests;
