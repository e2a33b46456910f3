//! Receives one message of a friend's node. Nothing is written before the sender is known to be a
//! friend with a share of the disk left, and Accepted is sent after the commit.

use std::io;

use freehold_core::aliases;
use freehold_core::blobs::{BlobWriter, Pinned};
use freehold_core::blocking::try_blocking;
use freehold_core::domains;
use freehold_core::identity::PersonId;
use freehold_core::mailbox::{
    DeliverError, FriendMail, FriendMailError, arrive_from_friend, friend_allowance,
    has_friend_mail,
};
use freehold_core::sealed_stream::{Opener, PIECE_OVERHEAD, Piece};
use freehold_core::shares::Reservation;
use freehold_core::store::StoreError;

use super::info;
use crate::blob_parts;
use crate::limits::{
    MAIL_ADDRESS_LEN_MAX, MAIL_PIECE_LEN, MAIL_PIECE_TIMEOUT, MAIL_RECIPIENTS_MAX,
};
use crate::network::ByteStream;
use crate::peer_identity::Relation;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::mail::{Envelope, Offer, Refusal, Reply};

/// The pause after which a friend over its rate may try again, in seconds.
pub(super) const RATE_PAUSE_SECS: u32 = 60;
/// The pause after which a friend over its share, or that finds the disk full, may try again, in
/// seconds.
pub(super) const FULL_PAUSE_SECS: u32 = 60 * 60;

/// Serves one stream: one message.
pub(crate) async fn serve(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    // An honest node sends its messages one after the other.
    let Ok(_permit) = peer.mail_stream.try_acquire() else { return Ok(()) };
    if peer.identified().await.is_none() {
        return Ok(());
    }
    let offer = answered_in_time(frame::read::<Offer, _>(&mut stream)).await?;
    let reply = match Box::pin(take(state, peer, &mut stream, offer)).await {
        Ok(reply) => reply,
        Err(Stop::Refused(refusal)) => Reply::Refused(refusal),
        Err(Stop::Later(seconds)) => Reply::Later(seconds),
        Err(Stop::Store(error)) => {
            tracing::warn!(peer = %peer.key, %error, "a friend's message could not be stored");
            Reply::Later(RATE_PAUSE_SECS)
        }
        Err(Stop::Frame(error)) => return Err(error),
    };
    answered_in_time(async { Ok(frame::write(&mut stream, &reply).await?) }).await
}

/// Why a message is not taken.
enum Stop {
    Refused(Refusal),
    Later(u32),
    Store(StoreError),
    Frame(FrameError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full => Self::Later(FULL_PAUSE_SECS),
            error => Self::Store(error),
        }
    }
}

impl From<FrameError> for Stop {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<FriendMailError> for Stop {
    fn from(error: FriendMailError) -> Self {
        match error {
            FriendMailError::NotFriends => Self::Refused(Refusal::NotFriends),
            FriendMailError::Spoofed => Self::Refused(Refusal::Spoofed),
            FriendMailError::Unconfirmed => Self::Refused(Refusal::Unconfirmed),
            FriendMailError::Loop | FriendMailError::HeaderTooLong => {
                Self::Refused(Refusal::BadHeader)
            }
            FriendMailError::Deliver(DeliverError::RefusedByRule) => Self::Refused(Refusal::ByRule),
            FriendMailError::Deliver(DeliverError::ShareUsedUp(_)) => Self::Later(FULL_PAUSE_SECS),
            FriendMailError::Deliver(DeliverError::Store(error)) => error.into(),
            FriendMailError::Deliver(error) => {
                Self::Store(StoreError::Unavailable(error.to_string()))
            }
        }
    }
}

/// Why the text of a message did not come to its end.
pub(super) enum Broken {
    Unreadable,
    Store(StoreError),
    Frame(FrameError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<FrameError> for Broken {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Unreadable => Self::Refused(Refusal::Unreadable),
            Broken::Store(error) => error.into(),
            Broken::Frame(error) => Self::Frame(error),
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
    let person = friend(peer).ok_or(Stop::Refused(Refusal::NotFriends))?;
    if !state.quotas.mail.take(person, state.node.clock.now()) {
        return Err(Stop::Later(RATE_PAUSE_SECS));
    }
    if offer.size > state.config.mail_len_max {
        return Err(Stop::Refused(Refusal::TooLarge));
    }
    let info = info(domains::MAIL, peer.key, state.network.me(), &offer.id);
    let unreadable = |_| Stop::Refused(Refusal::Unreadable);
    let mut opener =
        state.node.identity.opener(offer.suite, &offer.encapsulated, &info).map_err(unreadable)?;
    let envelope = opener.open(&offer.envelope, Piece::Head).map_err(unreadable)?;
    let envelope = wire::decode::<Envelope>(&envelope).ok().filter(is_valid);
    let Envelope { from, to } = envelope.ok_or(Stop::Refused(Refusal::Unreadable))?;
    let (node, id, size) = (state.node.clone(), offer.id, offer.size);
    let check = move || {
        let (mut recipients, mut unknown) = (Vec::new(), Vec::new());
        for (place, address) in (0u16..).zip(to) {
            match aliases::accepts(&node, &address)? {
                true => recipients.push(address),
                false => unknown.push(place),
            }
        }
        let is_known = has_friend_mail(&node, &person, &id)?;
        let allowance = friend_allowance(person);
        let mut reservation = Reservation::new(&node.arriving, vec![allowance]);
        let has_room = reservation.grow(&node.store, node.clock.now(), size)?.is_ok();
        Ok::<_, StoreError>((recipients, unknown, is_known, reservation, has_room))
    };
    let (recipients, unknown, is_known, _reservation, has_room) = try_blocking(check).await?;
    if recipients.is_empty() {
        return Err(Stop::Refused(Refusal::NoSuchRecipient));
    }
    if is_known {
        return Ok(Reply::Accepted(unknown));
    }
    if !has_room {
        return Err(Stop::Later(FULL_PAUSE_SECS));
    }
    let blobs = state.node.blobs.clone();
    let writer = try_blocking(move || blob_parts::begin(&blobs, size)).await?;
    let go_on = Reply::Send(unknown.clone());
    answered_in_time(async { Ok(frame::write(stream, &go_on).await?) }).await?;
    let text = receive_text(stream, opener, writer, size).await?;
    let mail = FriendMail { person, id, sender: from, recipients, text };
    let stored = arrive_from_friend(&state.node, mail).await;
    let (person, is_stored) = (person.short(), stored.is_ok());
    tracing::info!(%person, is_stored, "a friend's node brought a message");
    stored?;
    Ok(Reply::Accepted(unknown))
}

/// The person of a peer that is a friend's node now.
pub(super) fn friend(peer: &Peer) -> Option<PersonId> {
    let identity = peer.identity.borrow();
    let identity = identity.as_ref()?;
    identity.person.filter(|_| identity.relation == Relation::Friend)
}

fn is_valid(envelope: &Envelope) -> bool {
    (1..=MAIL_RECIPIENTS_MAX).contains(&envelope.to.len())
        && envelope.to.iter().chain([&envelope.from]).all(|address| is_address(address))
}

/// True for a text that can stand in an envelope, the empty one included.
pub(super) fn is_address(address: &str) -> bool {
    address.len() <= MAIL_ADDRESS_LEN_MAX
        && !address.chars().any(|c| c.is_control() || matches!(c, '<' | '>'))
}

/// Writes the pieces as they come, so the message is never whole in memory.
pub(super) async fn receive_text(
    stream: &mut ByteStream,
    mut opener: Opener,
    mut writer: Box<BlobWriter>,
    size: u64,
) -> Result<Pinned, Broken> {
    let mut left = size;
    loop {
        let frame = frame::read_bytes(stream, MAIL_PIECE_LEN.saturating_add(PIECE_OVERHEAD));
        let timed_out = |_| FrameError::Io(io::ErrorKind::TimedOut.into());
        let sealed = tokio::time::timeout(MAIL_PIECE_TIMEOUT, frame).await.map_err(timed_out)??;
        // The last piece is the one with which the message is whole.
        let is_last = left <= MAIL_PIECE_LEN as u64;
        let len = left.min(MAIL_PIECE_LEN as u64);
        if sealed.len() as u64 != len.saturating_add(PIECE_OVERHEAD as u64) {
            return Err(Broken::Unreadable);
        }
        let kind = if is_last { Piece::Last } else { Piece::Part };
        let write = move || {
            let Ok(bytes) = opener.open(&sealed, kind) else { return Ok(None) };
            Ok::<_, StoreError>(Some((blob_parts::append(writer, &bytes)?, opener)))
        };
        let written = try_blocking(write).await?;
        (writer, opener) = written.ok_or(Broken::Unreadable)?;
        left -= len;
        if is_last {
            return Ok(try_blocking(move || blob_parts::finish(writer)).await?);
        }
    }
}
