//! Giving a message to federation, for a friend's node as outgoing host. It takes only messages
//! that the owner's domain has signed, so the signatures are made here.

use freehold_core::blocking::try_blocking;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::QueuedMessage;
use freehold_core::mailbox::queue::{HandOver, hand_to_friend};
use freehold_core::store::StoreError;

use super::next_hop::Text;
use super::result::AttemptResult;
use crate::dkim;
use crate::state::MailState;

/// The reason why a message waits that can't be signed.
const UNSIGNED: &str = "451 4.7.20 a friend's node sends only signed mail, and DNS does not have \
                        this domain's keys yet; see `freehold dkim show`";

/// Signs a message and gives these recipients to federation. An error is the result of each.
pub(super) async fn hand_over(
    state: &MailState,
    item: &QueuedMessage,
    person: PersonId,
    addresses: Vec<String>,
) -> Result<(), AttemptResult> {
    let signers = dkim::signers(state).await?;
    let (blobs, blob) = (state.node.blobs.clone(), item.blob);
    let sign = move || Text::open(&blobs, &blob, false)?.signatures(&signers);
    let prefix = try_blocking::<_, StoreError>(sign).await?;
    if prefix.is_empty() {
        return Err(AttemptResult::Deferred(UNSIGNED.to_owned()));
    }
    let hand_over = HandOver { id: item.id, addresses, person, prefix };
    hand_to_friend(&state.node, hand_over).await?;
    tracing::info!(id = %item.id, person = %person.short(), "a friend's node is to send a message");
    Ok(())
}
