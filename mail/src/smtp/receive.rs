//! Mail from other servers: who lives here, and the delivery into the inbox.

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, DeliverError, Delivery, Flags, IdempotencyKey, SpecialUse};
use freehold_core::profile;
use freehold_core::store::StoreError;

use super::address::Mailbox;
use super::envelope::{Envelope, Recipient};
use super::exchange::store_reply;
use super::headers::Treatment;
use super::incoming::{Incoming, Whole};
use super::reply::Reply;
use super::trace::{self, Peer};
use crate::state::MailState;

/// Does this recipient live here? Nothing is ever passed on to anywhere else, however the address
/// is dressed up (RFC 5321 3.6.2, 7.9).
pub(super) fn recipient(state: &MailState, recipient: &Recipient) -> Reply {
    match profile::get(&state.node) {
        Ok(Some(_)) => {}
        Ok(None) => return Reply::new(450, "4.2.1", "nobody has moved in here yet"),
        Err(error) => return store_reply(&error),
    }
    let address =
        recipient.mailbox.as_ref().map_or_else(|| "postmaster".to_owned(), Mailbox::to_string);
    match profile::owns(&state.node, &address) {
        Ok(true) => Reply::new(250, "2.1.5", "ok"),
        Ok(false) => Reply::new(550, "5.1.1", "nobody of that address lives here"),
        Err(error) => store_reply(&error),
    }
}

/// Begins the message with its trace (RFC 5321 4.4). It is delivered here and nowhere else, so
/// Return-Path is written now.
pub(super) fn begin(
    state: &MailState,
    envelope: Envelope,
    peer: &Peer,
) -> Result<Incoming, StoreError> {
    let id = HEXLOWER.encode(&state.node.random.array::<8>());
    let received = trace::received(&envelope, peer, &state.hostname(), &id, state.node.clock.now());
    let above = format!("{}{received}", trace::return_path(envelope.sender.mailbox.as_ref()));
    Incoming::begin(state, envelope, Treatment::Keep, id, &above)
}

/// Delivers the message; 250 is the promise that it will never be lost, so it comes after the
/// commit (RFC 5321 6.1).
pub(super) async fn finish(state: &MailState, incoming: Incoming) -> Reply {
    let whole = match incoming.finish().await {
        Ok(whole) => whole,
        Err(reply) => return reply,
    };
    match deliver(state, whole).await {
        Ok(id) => {
            tracing::info!(%id, "a message was received");
            Reply::new(250, "2.0.0", format!("kept as {id}"))
        }
        Err(DeliverError::Store(error)) => store_reply(&error),
        Err(error) => {
            tracing::error!(%error, "a message was not kept");
            Reply::unavailable()
        }
    }
}

async fn deliver(state: &MailState, whole: Whole) -> Result<String, DeliverError> {
    let node = &state.node;
    let inbox =
        mailbox::special_folder(node, SpecialUse::Inbox)?.ok_or(DeliverError::NoSuchFolder)?;
    let delivery = Delivery {
        folder: inbox.id,
        id: delivery_id(state, &whole),
        blob: whole.blob,
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    mailbox::deliver(node, delivery).await?;
    Ok(whole.id)
}

/// A sender that missed our 250 sends the message again. One that names its envelopes (ENVID, RFC
/// 3461 4.4) is then recognised by the name, the sender and the text together, and the message is
/// not kept twice. Without a name the same text twice may well be two messages, and both are kept.
fn delivery_id(state: &MailState, whole: &Whole) -> IdempotencyKey {
    let sender = &whole.envelope.sender;
    match &sender.envelope_id {
        None => IdempotencyKey::new(&state.node),
        Some(name) => {
            let from = sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
            IdempotencyKey::of(&[b"smtp", name.as_bytes(), from.as_bytes(), &whole.hash])
        }
    }
}
