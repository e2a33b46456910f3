//! Offers one message to a friend's node over an open connection.

use std::io;
use std::sync::Arc;

use freehold_core::blocking::{blocking, try_blocking};
use freehold_core::domains::{self, Domain};
use freehold_core::keys::{KemKey, PublicKey, SUITE_25519};
use freehold_core::mailbox::QueuedMessage;
use freehold_core::mailbox::queue::mark_offered;
use freehold_core::sealed_stream::{Piece, Sealer};
use freehold_core::store::StoreError;
use futures::AsyncWriteExt;

use super::{info, offer_id, text};
use crate::limits::{MAIL_PIECE_LEN, MAIL_PIECE_TIMEOUT, MAIL_STORE_TIMEOUT};
use crate::network::ByteStream;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::frame::{self, FrameError, answered_in_time};
use crate::wire::mail::{Envelope, Offer, PROTOCOL, Refusal, Reply};
use crate::wire::{self, Message};

/// The answer of a friend's node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has the message, but for these recipients, whom it does not know.
    Accepted {
        /// The recipients whom it does not know.
        unknown: Vec<String>,
    },
    /// It does not take the message.
    Refused(Refusal),
    /// It may take it after so many seconds. It has not got the text.
    Later(u32),
    /// The same after the text: it may have stored it.
    NotStored(u32),
    /// It does not speak the protocol, or has no key that is known here.
    Unsupported,
    /// No recipient waits any more.
    Dropped,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExchangeError {
    /// The stream broke.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The message could not be read here.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The peer answered out of turn.
    #[error("the answer is out of turn")]
    OutOfTurn,
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// A message as it is offered.
pub(super) struct Outgoing<'a> {
    /// The protocol that it is offered by, and the domain of its seal.
    pub(super) protocol: (&'static str, Domain),
    /// Its id, the same in each try.
    pub(super) id: [u8; 16],
    pub(super) item: &'a QueuedMessage,
    /// Header fields before its text.
    pub(super) prefix: &'a str,
    /// The encoded envelope.
    pub(super) envelope: Vec<u8>,
}

impl Outgoing<'_> {
    fn size(&self) -> u64 {
        self.item.size.saturating_add(self.prefix.len() as u64)
    }
}

/// A message that was offered, with the first answer.
pub(super) struct Offered<R> {
    stream: ByteStream,
    sealer: Sealer,
    pub(super) reply: R,
}

/// Offers a message; `None` if the node does not speak the protocol, or has no key that is known
/// here.
pub(super) async fn offer<R: Message>(
    state: &FederationState,
    peer: &Peer,
    message: &Outgoing<'_>,
) -> Result<Option<Offered<R>>, ExchangeError> {
    let Some(kem) = kem_key(peer) else { return Ok(None) };
    let (protocol, domain) = message.protocol;
    let info = info(domain, state.network.me(), peer.key, &message.id);
    let Ok((mut sealer, encapsulated)) = Sealer::new(&kem, &info, &state.node.random) else {
        return Ok(None);
    };
    let envelope = sealer.seal(&message.envelope, Piece::Head).map_err(sealing)?;
    let (id, size) = (message.id, message.size());
    let offer = Offer { id, size, suite: SUITE_25519, encapsulated, envelope };
    let mut stream = match state.network.open(peer.key, protocol).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(None),
        stream => stream?,
    };
    let offered = async {
        frame::write(&mut stream, &offer).await?;
        frame::read::<R, _>(&mut stream).await
    };
    let reply = answered_in_time(offered).await?;
    Ok(Some(Offered { stream, sealer, reply }))
}

/// Sends the text of a message that is wanted, and returns the answer to it.
pub(super) async fn finish<R: Message>(
    state: &FederationState,
    mut offered: Offered<R>,
    message: &Outgoing<'_>,
) -> Result<R, ExchangeError> {
    send_text(state, &mut offered.stream, &mut offered.sealer, message).await?;
    let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stored = frame::read::<R, _>(&mut offered.stream);
    Ok(tokio::time::timeout(MAIL_STORE_TIMEOUT, stored).await.map_err(timed_out)??)
}

/// Offers the message for these recipients, and sends it if the node wants it.
pub(super) async fn send(
    state: &FederationState,
    peer: &Peer,
    item: &QueuedMessage,
    to: &[String],
) -> Result<Answer, ExchangeError> {
    let envelope = wire::encode(&Envelope { from: item.from.clone(), to: to.to_vec() });
    let protocol = (PROTOCOL, domains::MAIL);
    let message = Outgoing { protocol, id: offer_id(item.id), item, prefix: "", envelope };
    let Some(offered) = offer::<Reply>(state, peer, &message).await? else {
        return Ok(Answer::Unsupported);
    };
    let unknown = match &offered.reply {
        Reply::Send(unknown) => named(to, unknown),
        reply => return answer(reply.clone(), to),
    };
    let wanted = to.iter().filter(|address| !unknown.contains(address)).cloned().collect();
    if mark_offered(&state.node, item.id, wanted).await?.is_empty() {
        return Ok(Answer::Dropped);
    }
    match finish(state, offered, &message).await? {
        Reply::Send(_) => Err(ExchangeError::OutOfTurn),
        Reply::Later(seconds) => Ok(Answer::NotStored(seconds)),
        reply => answer(reply, to),
    }
}

fn answer(reply: Reply, to: &[String]) -> Result<Answer, ExchangeError> {
    Ok(match reply {
        Reply::Accepted(unknown) => Answer::Accepted { unknown: named(to, &unknown) },
        Reply::Refused(refusal) => Answer::Refused(refusal),
        Reply::Later(seconds) => Answer::Later(seconds),
        Reply::Send(_) => return Err(ExchangeError::OutOfTurn),
    })
}

/// The recipients at these places.
pub(super) fn named(to: &[String], places: &[u16]) -> Vec<String> {
    places.iter().filter_map(|place| to.get(usize::from(*place))).cloned().collect()
}

/// The KEM key of the peer's node, by its person's identity log.
fn kem_key(peer: &Peer) -> Option<KemKey> {
    let identity = peer.identity.borrow();
    let log = identity.as_ref()?.log.as_ref()?;
    let key = PublicKey::from_ed25519(peer.key.0).ok()?;
    log.state().nodes.get(&key).map(|node| node.kem.clone())
}

/// Sends the text piece by piece. If it can't be read to its end, the stream breaks without a last
/// piece, and the node stores nothing.
async fn send_text(
    state: &FederationState,
    stream: &mut ByteStream,
    sealer: &mut Sealer,
    message: &Outgoing<'_>,
) -> Result<(), ExchangeError> {
    let (blobs, id, size) = (state.node.blobs.clone(), message.item.blob, message.size());
    let prefix = message.prefix.to_owned();
    let text = try_blocking(move || text::open(&blobs, &id, prefix)).await?;
    let mut done = 0u64;
    loop {
        let reading = Arc::clone(&text);
        let bytes = blocking(move || text::piece(&reading, done)).await;
        let bytes = bytes.map_err(StoreError::from)??;
        done = done.saturating_add(bytes.len() as u64);
        let kind = if done >= size { Piece::Last } else { Piece::Part };
        if done > size || (kind == Piece::Part && bytes.len() < MAIL_PIECE_LEN) {
            return Err(io::Error::other("the message has another length than its row").into());
        }
        let sealed = sealer.seal(&bytes, kind).map_err(sealing)?;
        let sent = async {
            frame::write_bytes(stream, &sealed).await?;
            if kind == Piece::Last { stream.flush().await } else { Ok(()) }
        };
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        tokio::time::timeout(MAIL_PIECE_TIMEOUT, sent).await.map_err(timed_out)??;
        if kind == Piece::Last {
            return Ok(());
        }
    }
}

fn sealing(error: impl std::error::Error + Send + Sync + 'static) -> ExchangeError {
    io::Error::other(error).into()
}
