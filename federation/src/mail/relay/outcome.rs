//! The outcome for a recipient whose message a friend's node is to send on. There is no other way
//! to the recipient while the owner sends by that friend.

use freehold_core::mailbox::Recipient;
use freehold_core::mailbox::queue::{Outbound, Outcome};

use crate::mail::outcome::{Facts, PATIENCE_MS, PAUSE_MS_MAX, UNREACHED, asked_pause_ms, pause_ms};
use crate::wire::relay::{Cause, Refusal};

/// The answer of a friend's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It sends the message on, but not to these recipients.
    Accepted {
        /// Those to whom it is not sent.
        refused: Vec<String>,
    },
    /// It does not take the message.
    Refused(Refusal),
    /// It may take it after so many seconds.
    Later(u32, Cause),
    /// It does not speak the protocol, or has no key that is known here.
    Unsupported,
    /// No recipient waits any more.
    Dropped,
}

impl Facts {
    /// True if the owner sends by another way now and this friend's node can't have the message.
    pub(in crate::mail) fn is_abandoned(&self, to: &Recipient) -> bool {
        let is_relayed = to.relay_batch().is_some();
        let is_current = to.friend().map(Outbound::Friend).as_ref() == Some(&self.outbound);
        is_relayed && !is_current && (to.offered.is_none() || self.has_passed(PATIENCE_MS))
    }

    /// The outcome for a recipient whose outgoing host is not connected; `None` while it waits.
    pub(in crate::mail) fn relay_unconnected(
        &self,
        to: &Recipient,
        is_friend: bool,
    ) -> Option<Outcome> {
        if self.is_abandoned(to) {
            return Some(by_another_way());
        }
        if !is_friend {
            let reply = "550 5.1.2 you send by a friend's node, and are friends no more";
            return Some(Outcome::Failed(reply.to_owned()));
        }
        (to.next_attempt <= self.now).then(|| self.later(PAUSE_MS_MAX, UNREACHED))
    }

    /// The outcome after a try that broke.
    pub(super) fn relay_broken(&self, to: &Recipient, cause: &str) -> Outcome {
        let reply = format!("451 4.4.2 the connection to the friend's node broke: {cause}");
        self.later(pause_ms(to.attempts), &reply)
    }

    /// The outcome after an answer; `None` if there is nothing to record.
    pub(super) fn relay_answered(&self, to: &Recipient, answer: &Answer) -> Option<Outcome> {
        Some(match answer {
            Answer::Accepted { refused } if refused.contains(&to.address) => Outcome::Failed(
                "550 5.7.1 the friend's node does not send mail to this address".to_owned(),
            ),
            Answer::Accepted { .. } => {
                Outcome::Relayed("250 2.0.0 the friend's node sends it on".to_owned())
            }
            Answer::Refused(refusal) => self.relay_refused(to, *refusal),
            Answer::Later(seconds, cause) => {
                let reply = match cause {
                    Cause::Busy => "451 4.3.2 the friend's node takes no message now",
                    Cause::OverLimit => {
                        "452 4.7.0 the friend's node has sent as much for you today as it may"
                    }
                    Cause::Full => "452 4.3.1 the disk of the friend's node is full",
                    Cause::Checking => "451 4.7.5 the friend's node verifies the signature still",
                };
                self.later(asked_pause_ms(*seconds), reply)
            }
            Answer::Unsupported => {
                let reply = "451 4.4.0 the friend's node does not send the mail of others yet";
                self.later(PAUSE_MS_MAX, reply)
            }
            Answer::Dropped => return None,
        })
    }

    fn relay_refused(&self, to: &Recipient, refusal: Refusal) -> Outcome {
        Outcome::Failed(
            match refusal {
                Refusal::NotAllowed => {
                    "550 5.7.1 the friend's node does not send your mail: its owner has not \
                     allowed it"
                }
                Refusal::NoRecipient => {
                    "550 5.7.1 the friend's node does not send mail to this address"
                }
                Refusal::TooLarge => "552 5.3.4 the message is too large for the friend's node",
                Refusal::Spoofed => "550 5.7.1 the sender or the author is not at your own domain",
                Refusal::Unsigned => {
                    "550 5.7.20 the friend's node found no good signature (DKIM) of your domain"
                }
                Refusal::BadHeader => "554 5.6.0 the header is too long, or the message loops",
                Refusal::Loop => "554 5.4.6 the friend's node has sent this message on before",
                Refusal::NoRoute => {
                    "550 5.7.1 the friend's node does not send mail to the world itself"
                }
                Refusal::Unconfirmed => {
                    let reply = "451 4.7.1 the friend's node could not confirm your domain yet";
                    return self.later(PAUSE_MS_MAX, reply);
                }
                Refusal::Unreadable => {
                    let reply = "451 4.5.2 the friend's node could not read it";
                    return self.later(pause_ms(to.attempts), reply);
                }
            }
            .to_owned(),
        )
    }
}

/// The outcome for a recipient that goes another way: mail finds it.
pub(super) fn by_another_way() -> Outcome {
    Outcome::BySmtp("451 4.4.0 another way was chosen".to_owned())
}
