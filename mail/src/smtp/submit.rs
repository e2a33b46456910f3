//! Mail from the owner's programs (RFC 6409): only in the owner's name, completed, and into the
//! queue.

use data_encoding::HEXLOWER;
use freehold_core::mailbox::{self, IdempotencyKey, Submission, queue::SubmitError};
use freehold_core::profile;
use freehold_core::store::StoreError;
use mail_parser::{HeaderName, MessageParser};

use super::address::Mailbox;
use super::envelope::{Envelope, Recipient, Sender};
use super::exchange::store_reply;
use super::headers::{Missing, Treatment};
use super::incoming::{Incoming, Whole};
use super::reply::Reply;
use super::trace::{self, Peer};
use crate::queue::route;
use crate::state::MailState;

/// The envelope's sender must be one of the owner's addresses (RFC 6409 6.1); the null sender is
/// for receipts.
pub(super) fn sender(state: &MailState, sender: &Sender) -> Reply {
    let Some(mailbox) = &sender.mailbox else { return Reply::new(250, "2.1.0", "ok") };
    match profile::owns(&state.node, &mailbox.to_string()) {
        Ok(true) => Reply::new(250, "2.1.0", "ok"),
        Ok(false) => Reply::new(553, "5.7.1", "that is not one of your addresses"),
        Err(error) => store_reply(&error),
    }
}

/// A recipient that can't be reached is refused at once: better than a report an hour later.
pub(super) fn recipient(state: &MailState, recipient: &Recipient) -> Reply {
    let Some(mailbox) = &recipient.mailbox else { return Reply::new(250, "2.1.5", "ok") };
    match route::to(state, &mailbox.to_string()) {
        Ok(route::Route::Nowhere(reason)) => Reply::new(550, "5.1.2", reason),
        Ok(route::Route::Unknown) => Reply::new(550, "5.1.1", "nobody of that address lives here"),
        Ok(route::Route::Here | route::Route::Hop(_)) => Reply::new(250, "2.1.5", "ok"),
        Err(error) => store_reply(&error),
    }
}

/// Begins the message with its trace, and has missing fields ready (RFC 6409 8).
pub(super) fn begin(
    state: &MailState,
    envelope: Envelope,
    peer: &Peer,
) -> Result<Incoming, StoreError> {
    let node = &state.node;
    let (hostname, now) = (state.hostname(), node.clock.now());
    let id = HEXLOWER.encode(&node.random.array::<8>());
    let above = trace::submitted(&envelope, peer, &hostname, &id, now);
    let from = match &envelope.sender.mailbox {
        Some(mailbox) => mailbox.to_string(),
        None => profile::get(node)?.map(|owner| profile::address(&owner)).unwrap_or_default(),
    };
    let missing = Missing {
        from: format!("From: <{from}>\r\n"),
        date: format!("Date: {}\r\n", trace::date(now)),
        message_id: format!(
            "Message-ID: <{}@{hostname}>\r\n",
            HEXLOWER.encode(&node.random.array::<16>())
        ),
    };
    Incoming::begin(state, envelope, Treatment::Complete(missing), id, &above)
}

/// Judges who the message says it is from and queues it with a copy in Sent; 250 comes after the
/// commit.
pub(super) async fn finish(state: &MailState, incoming: Incoming) -> Reply {
    let whole = match incoming.finish().await {
        Ok(whole) => whole,
        Err(reply) => return reply,
    };
    if let Err(reply) = written_by_the_owner(state, &whole) {
        return reply;
    }
    let address = |recipient: &Recipient| match &recipient.mailbox {
        Some(mailbox) => Some(mailbox.to_string()),
        None => profile::get(&state.node)
            .ok()
            .flatten()
            .map(|owner| format!("postmaster@{}", owner.domain)),
    };
    let submission = Submission {
        id: IdempotencyKey::new(&state.node),
        from: whole.envelope.sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default(),
        recipients: whole.envelope.recipients.iter().filter_map(address).collect(),
        blob: whole.blob,
        copy_to_sent: true,
    };
    match mailbox::submit(&state.node, submission).await {
        Ok(id) => {
            tracing::info!(%id, reception = %whole.id, "a message was queued");
            Reply::new(250, "2.0.0", format!("queued as {}", whole.id))
        }
        Err(SubmitError::NoRecipient | SubmitError::BadAddress) => {
            Reply::new(501, "5.1.3", "a recipient's address can't be used")
        }
        Err(SubmitError::TooManyRecipients(_)) => Reply::new(452, "4.5.3", "too many recipients"),
        Err(SubmitError::Copy(error)) => {
            tracing::error!(%error, "a message was not queued: no copy could be kept");
            Reply::unavailable()
        }
        Err(SubmitError::Store(error)) => store_reply(&error),
    }
}

/// A message for nobody but the owner may name any author: programs pass mail on to oneself, and
/// nobody else is told anything false.
fn goes_to_the_owner_alone(state: &MailState, whole: &Whole) -> Result<bool, Reply> {
    for mailbox in
        whole.envelope.recipients.iter().filter_map(|recipient| recipient.mailbox.as_ref())
    {
        if !profile::owns(&state.node, &mailbox.to_string()).map_err(|error| store_reply(&error))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every author named in From and Sender must be the owner (RFC 6409 8.1), where others may read
/// it.
fn written_by_the_owner(state: &MailState, whole: &Whole) -> Result<(), Reply> {
    let foreign =
        || Reply::new(550, "5.7.1", "the message says it is from an address that is not yours");
    if whole.headers.from_count() > 1 {
        return Err(Reply::new(550, "5.6.0", "the message has more than one From"));
    }
    if goes_to_the_owner_alone(state, whole)? {
        return Ok(());
    }
    let authors = whole.headers.authors().ok_or_else(foreign)?;
    if authors.is_empty() {
        // There was none, so the one we added is the envelope's.
        return Ok(());
    }
    let header = [authors, b"\r\n"].concat();
    let message = MessageParser::default().parse_headers(&header).ok_or_else(foreign)?;
    let lists = message
        .headers()
        .iter()
        .filter(|header| matches!(header.name, HeaderName::From | HeaderName::Sender));
    let mut named = 0;
    for address in lists.filter_map(|header| header.value.as_address()).flat_map(|list| list.iter())
    {
        let text =
            address.address.as_deref().and_then(Mailbox::parse).ok_or_else(foreign)?.to_string();
        if !profile::owns(&state.node, &text).map_err(|error| store_reply(&error))? {
            return Err(foreign());
        }
        named += 1;
    }
    if named == 0 { Err(foreign()) } else { Ok(()) }
}
