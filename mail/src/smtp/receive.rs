//! Mail from other servers: recipients are checked, and messages delivered into the inbox.

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use freehold_core::aliases::{self, Standing};
use freehold_core::blobs::SMALL_LEN_MAX;
use freehold_core::blocking::try_blocking;
use freehold_core::domain_name;
use freehold_core::mailbox::queue::{Delivered, NewRecipient};
use freehold_core::mailbox::{
    self, Arrival, DeliverError, IdempotencyKey, StrangersLimits, UsedUp,
};
use freehold_core::profile::{self, Profile};
use freehold_core::shares::{Limit, Reservation, Share};

use super::address::Mailbox;
use super::envelope::{Envelope, Recipient};
use super::headers::Treatment;
use super::incoming::{Checks, Incoming, Received, Refused};
use super::reply::Reply;
use super::trace::{self, Peer};
use crate::authentication::{Checker, Digest, Sender};
use crate::queue::route::{self, NextHop, Route};
use crate::state::MailState;

/// The status of a recipient at the owner's domain who does not exist (RFC 3463 3.2).
pub(super) const UNKNOWN: &str = "5.1.1";

/// Accepts only the owner's addresses. Nothing is ever relayed, in any form of the address
/// (RFC 5321 3.6.2, 7.9). Blocks.
pub(super) fn recipient(state: &MailState, recipient: &Recipient) -> Reply {
    let owner = match profile::get(&state.node) {
        Ok(Some(owner)) => owner,
        Ok(None) => return Reply::new(450, "4.2.1", "this server is not set up yet"),
        Err(error) => return error.into(),
    };
    let address =
        recipient.mailbox.as_ref().map_or_else(|| "postmaster".to_owned(), Mailbox::to_string);
    match aliases::standing(&state.node, &address) {
        Ok(Standing::Owner | Standing::Alias(_) | Standing::Caught(_)) => {
            Reply::new(250, "2.1.5", "ok")
        }
        Ok(Standing::Off | Standing::Foreign) if is_foreign(recipient, &owner) => {
            Reply::new(550, "5.7.1", "this server does not relay mail to other domains")
        }
        Ok(Standing::Off | Standing::Foreign) => Reply::new(550, UNKNOWN, "no such user here"),
        Err(error) => error.into(),
    }
}

/// The refusal of every recipient to a client whose network asked for too many unknown ones; `None`
/// for another client. An answer about one address would be the next guess. A network from which
/// the owner kept mail is a provider of others too. Blocks.
pub(super) fn closed_out(state: &MailState, address: IpAddr) -> Option<Reply> {
    if !state.guesses.is_closed_out(address, state.node.clock.now()) {
        return None;
    }
    match mailbox::is_good_network(&state.node, address) {
        Ok(true) => None,
        Ok(false) => {
            let text = "too many unknown recipients from your network, try again later";
            Some(Reply::closing("4.7.1", text))
        }
        Err(error) => Some(error.into()),
    }
}

/// Whether the recipient's domain is not the owner's.
fn is_foreign(recipient: &Recipient, owner: &Profile) -> bool {
    let domain = recipient.mailbox.as_ref().map(Mailbox::domain);
    domain.is_some_and(|domain| !domain_name::is_same(domain, &owner.domain))
}

/// Begins the message with its trace fields (RFC 5321 4.4). Anyone can write any sender, so for
/// every sender the disk is full before it is for the owner. This server makes the final delivery,
/// so Return-Path is among them.
pub(super) async fn begin(
    state: &MailState,
    envelope: Envelope,
    peer: &Peer,
    hostname: &str,
) -> Result<Incoming, Reply> {
    let (node, from, limits) = (state.node.clone(), peer.address, limits(state));
    let sender = envelope.sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
    let allowed = try_blocking(move || {
        node.blobs.check_space_for_strangers(0)?;
        mailbox::allowances(&node, from, &sender, &limits)
    });
    let charged = allowed.await?.map_err(refused_for)?;
    let id = HEXLOWER.encode(&state.node.random.array::<8>());
    let received = trace::received(&envelope, peer, hostname, &id, state.node.clock.now());
    let return_path = trace::return_path(envelope.sender.mailbox.as_ref());
    let reservation = Reservation::new(&state.node.arriving, charged);
    let treatment = Treatment::Keep { hostname: hostname.to_owned() };
    if peer.address.to_canonical().is_loopback() {
        // A program of this machine: no DNS speaks for it.
        let trace = format!("{return_path}{received}");
        return Ok(Incoming::begin(state, envelope, treatment, id, &trace, reservation).await?);
    }
    let sender = Sender {
        address: peer.address,
        hello: envelope.hello.name.clone(),
        mail_from: envelope.sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default(),
    };
    let mut incoming = Incoming::begin(state, envelope, treatment, id, "", reservation).await?;
    incoming.check(Checks {
        checker: Checker {
            dns: state.dns.clone(),
            hostname: hostname.to_owned(),
            block_lists: state.config.block_lists.clone(),
        },
        sender,
        return_path,
        received,
        digest: Digest::default(),
        undecided: state.undecided.clone(),
    });
    Ok(incoming)
}

fn limits(state: &MailState) -> StrangersLimits {
    StrangersLimits {
        network: Limit::mib(state.config.strangers_mib_per_network_day),
        total: Limit::mib(state.config.strangers_mib_per_day),
    }
}

/// The reply to a message beyond a share of the day.
pub(super) fn used_up(share: Share) -> Reply {
    refused_for(match share {
        Share::MailOfNetwork(_) => UsedUp::Network,
        _ => UsedUp::Total,
    })
}

/// The reply to a message beyond a share of the day: the sender tries again for some days.
fn refused_for(share: UsedUp) -> Reply {
    tracing::info!(?share, "a message was refused: a share of the disk is used up for today");
    let text = match share {
        UsedUp::Network => "your network has used its share of the disk for today, try tomorrow",
        UsedUp::Total => "mail from unknown senders has used its share of the disk, try tomorrow",
    };
    Reply::new(452, "4.3.1", text)
}

/// Delivers the message. 250 takes over the responsibility for it, so it is sent after the commit
/// (RFC 5321 6.1).
pub(super) async fn finish(state: &MailState, incoming: Incoming) -> Result<Reply, Refused> {
    let received = incoming.finish().await?;
    let text = received.blob.clone();
    let blob = (received.blob.len > SMALL_LEN_MAX as u64).then_some(received.blob.id);
    let (reply, is_kept) = match deliver(state, received).await {
        Ok(Stored { id, report, is_new }) => {
            tracing::info!(%id, "a message was received");
            if let Some(report) = report {
                report_delivery(state, report).await;
            }
            (Reply::new(250, "2.0.0", format!("stored as {id}")), is_new)
        }
        Err(DeliverError::ShareUsedUp(share)) => (used_up(share), false),
        Err(DeliverError::RefusedByRule) => {
            tracing::info!("a message was refused by a rule of the owner");
            let reply = Reply::new(550, "5.7.1", "the recipient does not take this message");
            return Err(Refused { reply, text: Some(text) });
        }
        // The outcome may be unknown, and the message there after the next start.
        Err(DeliverError::Store(error)) => (error.into(), true),
        Err(error) => {
            tracing::error!(%error, "a message could not be delivered");
            (Reply::unavailable(), false)
        }
    };
    // A pinned blob stays.
    drop(text);
    if let Some(blob) = blob.filter(|_| !is_kept)
        && let Err(error) = mailbox::discard(&state.node, blob).await
    {
        tracing::warn!(%error, "the file of a message that was not stored is deleted later");
    }
    Ok(reply)
}

/// A message that was stored, now or before.
struct Stored {
    id: String,
    /// The report that its sender wants.
    report: Option<Delivered>,
    is_new: bool,
}

/// Stores the message.
async fn deliver(state: &MailState, received: Received) -> Result<Stored, DeliverError> {
    let node = &state.node;
    let id = delivery_id(state, &received);
    let report = wanted_report(&received, id);
    let recipients = &received.envelope.recipients;
    let recipients = recipients.iter().filter_map(|recipient| recipient.mailbox.as_ref());
    let sender = received.envelope.sender.mailbox.as_ref();
    let arrival = Arrival {
        blob: received.blob,
        id,
        recipients: recipients.map(Mailbox::to_string).collect(),
        sender: sender.map(Mailbox::to_string).unwrap_or_default(),
        evidence: received.evidence,
    };
    let charged = received.reservation.allowances().to_vec();
    let arrived = mailbox::arrive(node, arrival, charged).await?;
    if let Some(answerable) = arrived.answerable {
        // The message is stored: a failure of the answer must not have it sent again.
        if let Err(error) = mailbox::answer(node, answerable).await {
            tracing::warn!(%error, "the answer while the owner is away could not be queued");
        }
    }
    let is_new = arrived.is_new;
    Ok(Stored { id: received.id, report, is_new })
}

/// The report of success that the sender wants (RFC 3461 5.2.6); none for the null sender.
fn wanted_report(received: &Received, id: IdempotencyKey) -> Option<Delivered> {
    let Received { envelope, blob, .. } = received;
    let wanted = |recipient: &&Recipient| recipient.notify.is_some_and(|notify| notify.success);
    let recipients = envelope.recipients.iter().filter(wanted).map(|recipient| NewRecipient {
        address: recipient.mailbox.as_ref().map_or("postmaster".to_owned(), Mailbox::to_string),
        notify: None,
        original: recipient.original.clone(),
    });
    let recipients: Vec<NewRecipient> = recipients.collect();
    Some(Delivered {
        id,
        sender: envelope.sender.mailbox.as_ref()?.to_string(),
        recipients,
        envelope_id: envelope.sender.envelope_id.clone(),
        blob: blob.id,
    })
    .filter(|report| !report.recipients.is_empty())
}

/// Queues a report, if there is a route to the sender. The sender may be forged, so the route is
/// one of the configuration's: nothing that a stranger names is looked up or connected to.
async fn report_delivery(state: &MailState, report: Delivered) {
    let (routing, sender) = (state.clone(), report.sender.clone());
    let route = try_blocking(move || route::to(&routing, &sender)).await;
    if !matches!(route, Ok(Route::NextHop(NextHop::Configured(_)))) {
        return;
    }
    // The message is delivered, and the sender must not send it again.
    if let Err(error) = mailbox::queue::report_delivered(&state.node, report).await {
        tracing::warn!(%error, "a wanted report of success could not be queued");
    }
}

/// A sender that did not receive the 250 sends the message again. If the envelope has an identifier
/// (ENVID, RFC 3461 4.4), the message is recognised by identifier, sender and text, and stored
/// once. Without one the same text may be two messages, and both are stored.
fn delivery_id(state: &MailState, received: &Received) -> IdempotencyKey {
    let sender = &received.envelope.sender;
    match &sender.envelope_id {
        None => IdempotencyKey::new(&state.node),
        Some(envelope_id) => {
            let from = sender.mailbox.as_ref().map(Mailbox::to_string).unwrap_or_default();
            IdempotencyKey::of(&[b"smtp", envelope_id.as_bytes(), from.as_bytes(), &received.hash])
        }
    }
}
