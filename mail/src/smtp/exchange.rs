//! What the node answers in an SMTP conversation: who may log in, who lives here, and whether a
//! message is safe.

use freehold_core::logins::{self, LoginError};
use freehold_core::store::StoreError;

use super::envelope::{Envelope, Recipient, Sender};
use super::incoming::Incoming;
use super::reply::Reply;
use super::session::{Question, Role};
use super::trace::Peer;
use super::{receive, submit};
use crate::state::MailState;
use crate::stream::TlsSummary;

/// The node's side of one conversation.
pub struct Exchange {
    pub(super) state: MailState,
    pub(super) peer: Peer,
    role: Role,
    incoming: Option<Incoming>,
}

impl Exchange {
    /// The node's side of a conversation with `peer`.
    pub fn new(state: MailState, role: Role, peer: Peer) -> Self {
        Self { state, peer, role, incoming: None }
    }

    /// The connection is encrypted now.
    pub fn encrypted(&mut self, tls: Option<TlsSummary>) {
        self.peer.tls = tls;
    }

    /// Answers what only the node can decide.
    pub async fn answer(&mut self, question: Question) -> Reply {
        match question {
            Question::Login { user, password } => self.login(&user, &password.0).await,
            Question::Sender(sender, _) => self.sender(&sender),
            Question::Recipient(recipient) => self.recipient(&recipient),
            Question::Begin(envelope) => self.begin(*envelope),
            Question::Finish => self.finish().await,
        }
    }

    /// A piece of the message that was begun.
    pub fn content(&mut self, text: &[u8]) {
        if let Some(incoming) = &mut self.incoming {
            incoming.write(text);
        }
    }

    /// The message that was begun is not wanted any more.
    pub fn abandon(&mut self) {
        self.incoming = None;
    }

    /// RFC 4954 6: 535 for a wrong password and an unknown user alike, 454 while guessing is too
    /// fast.
    async fn login(&self, user: &str, password: &str) -> Reply {
        match logins::check_app_password(&self.state.node, user, password, self.peer.address.into())
            .await
        {
            Ok(_) => Reply::new(235, "2.7.0", "welcome"),
            Err(LoginError::Wrong) => {
                tracing::info!("a login to send mail failed");
                Reply::new(535, "5.7.8", "that is not the name and an app password of the owner")
            }
            Err(LoginError::TooOften { retry_after_ms }) => Reply::new(
                454,
                "4.7.0",
                format!("too many wrong passwords, wait {} s", retry_after_ms.div_ceil(1000)),
            ),
            Err(LoginError::Store(error)) => store_reply(&error),
        }
    }

    fn sender(&self, sender: &Sender) -> Reply {
        match self.role {
            Role::Receive => Reply::new(250, "2.1.0", "ok"),
            Role::Submit => submit::sender(&self.state, sender),
        }
    }

    fn recipient(&self, recipient: &Recipient) -> Reply {
        match self.role {
            Role::Receive => receive::recipient(&self.state, recipient),
            Role::Submit => submit::recipient(&self.state, recipient),
        }
    }

    fn begin(&mut self, envelope: Envelope) -> Reply {
        let begun = match self.role {
            Role::Receive => receive::begin(&self.state, envelope, &self.peer),
            Role::Submit => submit::begin(&self.state, envelope, &self.peer),
        };
        match begun {
            Ok(incoming) => {
                self.incoming = Some(incoming);
                Reply::new(354, "", "")
            }
            Err(error) => store_reply(&error),
        }
    }

    async fn finish(&mut self) -> Reply {
        let Some(incoming) = self.incoming.take() else { return Reply::unavailable() };
        match self.role {
            Role::Receive => receive::finish(&self.state, incoming).await,
            Role::Submit => submit::finish(&self.state, incoming).await,
        }
    }
}

/// What a sender is told of a store that refuses; the cause is for the log.
pub(super) fn store_reply(error: &StoreError) -> Reply {
    match error {
        StoreError::Full => {
            tracing::warn!("a message was not taken: the disk is full");
            Reply::storage_full()
        }
        StoreError::TooLarge { what: "blob", len_max, .. } => Reply::too_large(*len_max as u64),
        error => {
            tracing::error!(%error, "a message was not taken");
            Reply::unavailable()
        }
    }
}
