//! The result of one attempt for one recipient.

use freehold_core::store::StoreError;

/// An attempt's result, before it is decided whether there will be another attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AttemptResult {
    /// Accepted, with the reply.
    Delivered(String),
    /// Refused permanently, with the reply or the reason.
    Refused(String),
    /// Deferred, with the reply or the reason.
    Deferred(String),
}

impl From<StoreError> for AttemptResult {
    fn from(_: StoreError) -> Self {
        Self::Deferred("451 4.3.0 this node could not read the message".to_owned())
    }
}
