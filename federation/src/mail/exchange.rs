//! Offers one message to a friend's node over an open connection.

use std::io;

use freehold_core::blocking::{blocking, try_blocking};
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
use crate::wire::{self};

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
    /// It may take it after so many seconds.
    Later(u32),
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

/// Offers the message for these recipients, and sends it if the node wants it.
pub(super) async fn send(
    state: &FederationState,
    peer: &Peer,
    item: &QueuedMessage,
    to: &[String],
) -> Result<Answer, ExchangeError> {
    let Some(kem) = kem_key(peer) else { return Ok(Answer::Unsupported) };
    let id = offer_id(item.id);
    let info = info(state.network.me(), peer.key, &id);
    let Ok((mut sealer, encapsulated)) = Sealer::new(&kem, &info, &state.node.random) else {
        return Ok(Answer::Unsupported);
    };
    let envelope = wire::encode(&Envelope { from: item.from.clone(), to: to.to_vec() });
    let envelope = sealer.seal(&envelope, Piece::Head).map_err(sealing)?;
    let offer = Offer { id, size: item.size, suite: SUITE_25519, encapsulated, envelope };
    let mut stream = match state.network.open(peer.key, PROTOCOL).await {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => return Ok(Answer::Unsupported),
        stream => stream?,
    };
    let offered = async {
        frame::write(&mut stream, &offer).await?;
        frame::read::<Reply, _>(&mut stream).await
    };
    let unknown = match answered_in_time(offered).await? {
        Reply::Send(unknown) => named(to, &unknown),
        reply => return answer(reply, to),
    };
    let wanted = to.iter().filter(|address| !unknown.contains(address)).cloned().collect();
    if mark_offered(&state.node, item.id, wanted).await?.is_empty() {
        return Ok(Answer::Dropped);
    }
    send_text(state, &mut stream, &mut sealer, item).await?;
    let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
    let stored = tokio::time::timeout(MAIL_STORE_TIMEOUT, frame::read::<Reply, _>(&mut stream));
    match stored.await.map_err(timed_out)?? {
        Reply::Send(_) => Err(ExchangeError::OutOfTurn),
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
fn named(to: &[String], places: &[u16]) -> Vec<String> {
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
    item: &QueuedMessage,
) -> Result<(), ExchangeError> {
    let (blobs, id) = (state.node.blobs.clone(), item.blob);
    let reader = try_blocking(move || text::open(&blobs, &id)).await?;
    let mut done = 0u64;
    loop {
        let reading = reader.clone();
        let bytes = blocking(move || text::piece(&reading, done)).await;
        let bytes = bytes.map_err(StoreError::from)??;
        done = done.saturating_add(bytes.len() as u64);
        let kind = if done >= item.size { Piece::Last } else { Piece::Part };
        if done > item.size || (kind == Piece::Part && bytes.len() < MAIL_PIECE_LEN) {
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
