//! Receives one message that this node is to send for a friend. Nothing is written before core has
//! judged the offer, and Accepted is sent after the commit that queues the message.

use std::time::Duration;

use freehold_core::blocking::try_blocking;
use freehold_core::domains;
use freehold_core::events::Event;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::queue::{NewRecipient, Notify};
use freehold_core::mailbox::relay::{
    self, Offered, RelayError, RelayPause, RelayRefusal, RelayRequest, RelayVerdict, offered,
};
use freehold_core::sealed_stream::{Opener, Piece};
use freehold_core::store::StoreError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::blob_parts;
use crate::limits::{MAIL_RECIPIENTS_MAX, RELAY_CHECK_TIMEOUT};
use crate::mail::info;
use crate::mail::receive::{
    Broken, FULL_PAUSE_SECS, RATE_PAUSE_SECS, friend, is_address, receive_text,
};
use crate::network::ByteStream;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::mail::Offer;
use crate::wire::relay::{Cause, Envelope, REPORT_DELAY, REPORT_FAILURE, Refusal, Reply, To};

/// The pause after which a sender asks again whose message is being checked, in seconds.
const CHECK_PAUSE_SECS: u32 = 30;

/// Serves one stream: one message.
pub(crate) async fn serve(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    let Ok(_permit) = peer.mail_stream.try_acquire() else { return Ok(()) };
    if peer.identified().await.is_none() {
        return Ok(());
    }
    let offer = answered_in_time(frame::read::<Offer, _>(&mut stream)).await?;
    let reply = match Box::pin(take(state, peer, &mut stream, offer)).await {
        Ok(reply) | Err(Stop::Answered(reply)) => reply,
        Err(Stop::Store(StoreError::Full)) => Reply::Later(FULL_PAUSE_SECS, Cause::Full),
        Err(Stop::Store(error)) => {
            tracing::warn!(peer = %peer.key, %error, "a friend's message could not be taken");
            Reply::Later(RATE_PAUSE_SECS, Cause::Busy)
        }
        Err(Stop::Frame(error)) => return Err(error),
    };
    answered_in_time(async { Ok(frame::write(&mut stream, &reply).await?) }).await
}

/// Why a message is not taken.
enum Stop {
    Answered(Reply),
    Store(StoreError),
    Frame(FrameError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FrameError> for Stop {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Answered(Reply::Refused(refusal))
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unreadable => Refusal::Unreadable.into(),
            Broken::Store(error) => Self::Store(error),
            Broken::Frame(error) => Self::Frame(error),
        }
    }
}

impl From<RelayError> for Stop {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Refused(refusal) => Self::Answered(Reply::Refused(of_core(refusal))),
            RelayError::Store(error) => Self::Store(error),
        }
    }
}

/// Takes the offer and the message.
async fn take(
    state: &FederationState,
    peer: &Peer,
    stream: &mut ByteStream,
    offer: Offer,
) -> Result<Reply, Stop> {
    let person = friend(peer).ok_or(Refusal::NotAllowed)?;
    if !state.quotas.relay.take(person, state.node.clock.now()) {
        return Ok(Reply::Later(RATE_PAUSE_SECS, Cause::Busy));
    }
    if offer.size > state.config.mail_len_max {
        return Err(Refusal::TooLarge.into());
    }
    let (opener, envelope) = open(state, peer, &offer)?;
    let (node, id, size) = (state.node.clone(), offer.id, offer.size);
    let sender = envelope.from.clone();
    let addresses: Vec<String> = envelope.to.iter().map(|to| to.address.clone()).collect();
    let judge = move || offered(&node, (person, &id), &sender, &addresses, size);
    // Subscribe before the message is stored, so that the verdict is not missed.
    let events = state.node.events.subscribe();
    let (refused, _reservation) = match try_blocking(judge).await? {
        Offered::Decided(verdict) => return Ok(of_verdict(verdict)),
        Offered::Later(RelayPause::Checking) => return checked(state, events, person, id).await,
        Offered::Later(RelayPause::OverLimit) => {
            return Ok(Reply::Later(FULL_PAUSE_SECS, Cause::OverLimit));
        }
        Offered::Wanted { refused, reservation } => (refused, reservation),
    };
    let blobs = state.node.blobs.clone();
    let writer = try_blocking(move || blob_parts::begin(&blobs, size)).await?;
    let go_on = Reply::Send(refused.clone());
    answered_in_time(async { Ok(frame::write(stream, &go_on).await?) }).await?;
    let text = receive_text(stream, opener, writer, size).await?;
    let Envelope { from: sender, to } = envelope;
    let is_sent = |(place, _): &(u16, To)| !refused.contains(place);
    let recipients = (0u16..).zip(to).filter(is_sent).map(|(_, to)| recipient(to)).collect();
    let request = RelayRequest { person, id, sender, recipients, refused, text };
    relay::take(&state.node, request).await?;
    tracing::info!(person = %person.short(), "a friend's node brought a message for the world");
    checked(state, events, person, id).await
}

/// Opens and checks the envelope.
fn open(state: &FederationState, peer: &Peer, offer: &Offer) -> Result<(Opener, Envelope), Stop> {
    let info = info(domains::RELAY, peer.key, state.network.me(), &offer.id);
    let unreadable = |_| Stop::from(Refusal::Unreadable);
    let mut opener =
        state.node.identity.opener(offer.suite, &offer.encapsulated, &info).map_err(unreadable)?;
    let envelope = opener.open(&offer.envelope, Piece::Head).map_err(unreadable)?;
    let is_valid = |envelope: &Envelope| {
        (1..=MAIL_RECIPIENTS_MAX).contains(&envelope.to.len())
            && is_address(&envelope.from)
            && envelope.to.iter().all(|to| is_address(&to.address))
    };
    let envelope = wire::decode::<Envelope>(&envelope).ok().filter(is_valid);
    Ok((opener, envelope.ok_or(Refusal::Unreadable)?))
}

/// Waits for the verdict of mail, which asks DNS.
async fn checked(
    state: &FederationState,
    mut events: Receiver<Event>,
    person: PersonId,
    id: [u8; 16],
) -> Result<Reply, Stop> {
    let node = &state.node;
    let verdict = async {
        loop {
            if let Some(verdict) = relay::verdict(node, &person, &id)? {
                return Ok(of_verdict(verdict));
            }
            while !matches!(
                events.recv().await,
                Ok(Event::Relay) | Err(RecvError::Lagged(_) | RecvError::Closed)
            ) {}
        }
    };
    let later = Reply::Later(CHECK_PAUSE_SECS, Cause::Checking);
    in_time(RELAY_CHECK_TIMEOUT, verdict).await.unwrap_or(Ok(later))
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(limit, work).await.ok()
}

fn of_verdict(verdict: RelayVerdict) -> Reply {
    match verdict {
        RelayVerdict::Accepted(refused) => Reply::Accepted(refused),
        RelayVerdict::Refused(refusal) => Reply::Refused(of_core(refusal)),
    }
}

fn of_core(refusal: RelayRefusal) -> Refusal {
    match refusal {
        RelayRefusal::NotAllowed => Refusal::NotAllowed,
        RelayRefusal::Spoofed => Refusal::Spoofed,
        RelayRefusal::Unconfirmed => Refusal::Unconfirmed,
        RelayRefusal::Unsigned => Refusal::Unsigned,
        RelayRefusal::BadHeader => Refusal::BadHeader,
        RelayRefusal::Loop => Refusal::Loop,
        RelayRefusal::NoRoute => Refusal::NoRoute,
        RelayRefusal::NoRecipient => Refusal::NoRecipient,
    }
}

/// A recipient in core's terms. Success is reported by the sender's own node.
fn recipient(to: To) -> NewRecipient {
    let notify = Notify {
        success: false,
        failure: to.reports & REPORT_FAILURE != 0,
        delay: to.reports & REPORT_DELAY != 0,
    };
    NewRecipient { address: to.address, notify: Some(notify), original: None }
}
