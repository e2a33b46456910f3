//! Mail from the owner's programs (RFC 6409): authors are checked, missing fields are added, and
//! the message is queued.

use data_encoding::HEXLOWER;
use freehold_core::aliases;
use freehold_core::blocking::{blocking, try_blocking};
use freehold_core::friends;
use freehold_core::mailbox::queue::{NewRecipient, ReportRequest, SubmitError};
use freehold_core::mailbox::{self, IdempotencyKey, Submission};
use freehold_core::profile;
use freehold_core::shares::Reservation;
use freehold_core::store::StoreError;
use freehold_mime::{address, header};

use super::address::Mailbox;
use super::envelope::{Envelope, Recipient, Sender};
use super::headers::{Missing, Treatment};
use super::incoming::{Incoming, Received};
use super::reply::Reply;
use super::trace::{self, Peer};
use crate::queue::route;
use crate::state::MailState;

/// The envelope's sender must be one of the owner's addresses (RFC 6409 6.1), or null for a
/// receipt. Blocks.
pub(super) fn sender(state: &MailState, sender: &Sender) -> Reply {
    let Some(mailbox) = &sender.mailbox else { return Reply::new(250, "2.1.0", "ok") };
    match aliases::owns(&state.node, &mailbox.to_string()) {
        Ok(true) => Reply::new(250, "2.1.0", "ok"),
        Ok(false) => Reply::new(553, "5.7.1", "not one of your addresses"),
        Err(error) => error.into(),
    }
}

/// A recipient without a route is refused at once, instead of by a report later. Blocks.
pub(super) fn recipient(state: &MailState, recipient: &Recipient) -> Reply {
    let Some(mailbox) = &recipient.mailbox else { return Reply::new(250, "2.1.5", "ok") };
    // Federation has a route of its own.
    match friends::mail_friend(&state.node, &mailbox.to_string()) {
        Ok(Some(_)) => return Reply::new(250, "2.1.5", "ok"),
        Ok(None) => {}
        Err(error) => return error.into(),
    }
    match route::to(state, &mailbox.to_string()) {
        Ok(route::Route::Nowhere(reason)) => Reply::new(550, "5.1.2", reason),
        Ok(route::Route::Unknown) => Reply::new(550, "5.1.1", "no such user here"),
        Ok(route::Route::Local | route::Route::NextHop(_) | route::Route::Friend(_)) => {
            Reply::new(250, "2.1.5", "ok")
        }
        Err(error) => error.into(),
    }
}

/// Begins the message with its trace field and prepares the fields that may be missing (RFC 6409
/// 8).
pub(super) async fn begin(
    state: &MailState,
    envelope: Envelope,
    peer: &Peer,
    hostname: &str,
) -> Result<Incoming, StoreError> {
    let node = &state.node;
    let now = node.clock.now();
    let id = HEXLOWER.encode(&node.random.array::<8>());
    let received = trace::submitted(&envelope, peer, hostname, &id, now);
    let from = match &envelope.sender.mailbox {
        Some(mailbox) => mailbox.to_string(),
        None => {
            let reading = node.clone();
            let owner = try_blocking(move || profile::get(&reading)).await?;
            owner.map(|owner| profile::address(&owner)).unwrap_or_default()
        }
    };
    let missing = Missing {
        from: format!("From: <{from}>\r\n"),
        date: format!("Date: {}\r\n", trace::date(now)),
        message_id: format!(
            "Message-ID: <{}@{hostname}>\r\n",
            HEXLOWER.encode(&node.random.array::<16>())
        ),
    };
    let uncharged = Reservation::new(&state.node.arriving, Vec::new());
    Incoming::begin(state, envelope, Treatment::Complete(missing), id, &received, uncharged).await
}

/// Checks the authors and queues the message, with a copy in Sent. 250 is sent after the commit.
pub(super) async fn finish(state: &MailState, incoming: Incoming) -> Reply {
    let received = match incoming.finish().await {
        Ok(received) => received,
        Err(refused) => return refused.reply,
    };
    let (reception, checking) = (received.id.clone(), state.clone());
    let submission = blocking(move || {
        check_authors(&checking, &received)?;
        submission(&checking, received)
    });
    let submission = match submission.await {
        Ok(Ok(submission)) => submission,
        Ok(Err(reply)) => return reply,
        Err(error) => return StoreError::from(error).into(),
    };
    match mailbox::submit(&state.node, submission).await {
        Ok(id) => {
            tracing::info!(%id, %reception, "a message was queued");
            Reply::new(250, "2.0.0", format!("queued as {reception}"))
        }
        Err(SubmitError::NoRecipient | SubmitError::BadAddress) => {
            Reply::new(501, "5.1.3", "a recipient's address is invalid")
        }
        Err(SubmitError::TooManyRecipients(_)) => Reply::new(452, "4.5.3", "too many recipients"),
        Err(SubmitError::TooMuchHeld) => {
            tracing::warn!("a message was refused: too much mail is held already");
            let text = "too much mail waits for your decision; send it or drop it first";
            Reply::new(452, "4.3.1", text)
        }
        Err(SubmitError::Copy(error)) => {
            tracing::error!(%error, "a message was not queued: its copy for Sent could not be stored");
            Reply::unavailable()
        }
        Err(SubmitError::Store(error)) => error.into(),
    }
}

/// The message for the queue. Blocks.
fn submission(state: &MailState, received: Received) -> Result<Submission, Reply> {
    let mut recipients = Vec::new();
    for recipient in &received.envelope.recipients {
        let address = match &recipient.mailbox {
            Some(mailbox) => Some(mailbox.to_string()),
            None => profile::get(&state.node)?.map(|owner| format!("postmaster@{}", owner.domain)),
        };
        recipients.extend(address.map(|address| NewRecipient {
            address,
            notify: recipient.notify,
            original: recipient.original.clone(),
        }));
    }
    let sender = &received.envelope.sender;
    let request =
        ReportRequest { return_full: sender.return_full, envelope_id: sender.envelope_id.clone() };
    Ok(Submission {
        id: IdempotencyKey::new(&state.node),
        from: received.envelope.sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default(),
        recipients,
        blob: received.blob,
        copy_to_sent: true,
        request,
        limits: state.config.send_limits(),
        not_before: None,
    })
}

/// A message to the owner alone may have any author: programs forward mail to their user, and
/// nobody else is deceived.
fn is_to_owner_only(state: &MailState, received: &Received) -> Result<bool, Reply> {
    for mailbox in
        received.envelope.recipients.iter().filter_map(|recipient| recipient.mailbox.as_ref())
    {
        if !aliases::owns(&state.node, &mailbox.to_string())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Every address in From and Sender must be the owner's (RFC 6409 8.1), unless only the owner
/// receives the message. Blocks.
fn check_authors(state: &MailState, received: &Received) -> Result<(), Reply> {
    let foreign = || Reply::new(550, "5.7.1", "From or Sender has an address that is not yours");
    if received.headers.from_count() > 1 {
        return Err(Reply::new(550, "5.6.0", "the message has more than one From"));
    }
    if is_to_owner_only(state, received)? {
        return Ok(());
    }
    let authors = received.headers.authors().ok_or_else(foreign)?;
    if authors.is_empty() {
        // From was missing, and the one added by this server is the envelope's sender.
        return Ok(());
    }
    let mut named = 0;
    let lists = header::fields(authors).filter(|field| field.is("from") || field.is("sender"));
    for entries in lists.map(|field| address::parse(field.value)) {
        for author in address::mailboxes(&entries) {
            let text = Mailbox::parse(&author.address()).ok_or_else(foreign)?.to_string();
            if !aliases::owns(&state.node, &text)? {
                return Err(foreign());
            }
            named += 1;
        }
    }
    if named == 0 { Err(foreign()) } else { Ok(()) }
}
