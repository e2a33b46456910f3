//! The refusals of a session, recorded for the owner: the recipients and messages of other servers
//! that were refused for good.

use freehold_core::blobs::{Pinned, SMALL_LEN_MAX};
use freehold_core::mailbox::{self, Refusal};
use freehold_core::node::Node;

use super::address::Mailbox;
use super::envelope::Recipient;
use super::reply::Reply;
use super::session::Question;
use super::trace::Peer;

/// The mail transaction of a session, as far as it has come.
#[derive(Default)]
pub(super) struct Refusals {
    /// The sender, once there is a transaction; empty for the null sender.
    sender: Option<String>,
    accepted: Vec<String>,
    /// The recipient that was asked for last.
    asked: Option<String>,
    /// The message that was refused after its text.
    text: Option<Pinned>,
}

/// How many accepted recipients are remembered.
const ACCEPTED_MAX: usize = 5;

impl Refusals {
    /// Notes a question before it is answered.
    pub(super) fn note(&mut self, question: &Question) {
        match question {
            Question::Sender(sender, _) => {
                let sender = sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
                *self = Self { sender: Some(sender), ..Self::default() };
            }
            Question::Recipient(recipient) => self.asked = Some(address(recipient)),
            _ => {}
        }
    }

    /// Keeps the text of the message that is about to be refused.
    pub(super) fn keep(&mut self, text: Pinned) {
        self.text = Some(text);
    }

    /// Records a reply that refuses a recipient or a message. The reply is sent in any case.
    pub(super) async fn replied(&mut self, node: &Node, peer: &Peer, reply: &Reply) {
        let asked = self.asked.take();
        if reply.is_positive() {
            if self.accepted.len() < ACCEPTED_MAX {
                self.accepted.extend(asked);
            }
            return;
        }
        let text = self.text.take();
        let file = text.as_ref().filter(|text| text.len > SMALL_LEN_MAX as u64).map(|text| text.id);
        // RFC 5321 4.2.3: these speak of the transaction. An attempt to relay is not the owner's
        // mail.
        let is_relaying = asked.is_some() && reply.status == "5.7.1";
        let Some(sender) = &self.sender else { return };
        if !(550..=556).contains(&reply.code) || is_relaying {
            return;
        }
        let recipients = asked.map_or_else(|| self.accepted.clone(), |asked| vec![asked]);
        let refusal = Refusal {
            address: peer.address,
            sender: sender.clone(),
            recipients,
            reply: reply.to_string(),
            text,
        };
        let recorded = mailbox::record_refusal(node, refusal).await;
        if let Err(error) = &recorded {
            tracing::warn!(%error, "a refusal could not be recorded");
        }
        // After an error the text may be recorded.
        let is_dropped = matches!(recorded, Ok(recorded) if !recorded.has_text);
        if let Some(file) = file.filter(|_| is_dropped)
            && let Err(error) = mailbox::discard(node, file).await
        {
            tracing::warn!(%error, "the file of a refused message is deleted later");
        }
    }
}

fn address(recipient: &Recipient) -> String {
    recipient.mailbox.as_ref().map_or_else(|| "postmaster".to_owned(), Mailbox::to_string)
}
