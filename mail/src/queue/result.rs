//! The result of one attempt for one recipient.

use freehold_core::store::StoreError;

/// An attempt's result, before it is decided whether there will be another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttemptResult {
    /// In the owner's mailbox, with the reply.
    Delivered(String),
    /// Accepted by a server without DSN, with the reply.
    Relayed(String),
    /// Accepted by a server with DSN, with the reply.
    PassedOn(String),
    /// Refused permanently, with the reply or the reason.
    Refused(String),
    /// Deferred, with the reply or the reason.
    Deferred(String),
}

impl AttemptResult {
    /// The reply or the reason.
    pub(super) fn into_reply(self) -> String {
        match self {
            Self::Delivered(reply)
            | Self::Relayed(reply)
            | Self::PassedOn(reply)
            | Self::Refused(reply)
            | Self::Deferred(reply) => reply,
        }
    }
}

impl From<StoreError> for AttemptResult {
    fn from(_: StoreError) -> Self {
        Self::Deferred("451 4.3.0 this node could not read the message".to_owned())
    }
}
