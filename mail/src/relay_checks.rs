//! Verifies the signatures (DKIM, RFC 6376) of friends' messages that this node is to send to the
//! world, and queues those that are good.

use std::time::Duration;

use freehold_core::blobs::Blobs;
use freehold_core::blocking::try_blocking;
use freehold_core::events::Event;
use freehold_core::mailbox::relay::{self, RelayRefusal, Unverified};
use freehold_core::store::{BlobId, StoreError};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::authentication::{Digest, Digested, Signed, by_authors};
use crate::state::MailState;

/// The messages of one walk.
const WALK_LEN: usize = 100;
/// The pause before a message is checked again for whose key DNS did not answer.
const PAUSE: Duration = Duration::from_secs(60);
/// A message that can't be checked for so long is dropped, in milliseconds; its sender still has
/// it.
const KEPT_MS: u64 = 60 * 60 * 1000;
/// The size of one read, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Checks messages until mail stops.
pub(crate) async fn run(state: MailState) {
    let mut events = state.node.events.subscribe();
    loop {
        tokio::select! {
            () = Box::pin(check_all(&state)) => {}
            () = state.drain.stopping() => return,
        }
        tokio::select! {
            () = relay_event(&mut events) => {}
            () = tokio::time::sleep(PAUSE) => {}
            () = state.drain.stopping() => return,
        }
    }
}

async fn relay_event(events: &mut Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event::Relay) | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

async fn check_all(state: &MailState) {
    let node = state.node.clone();
    let waiting = match try_blocking(move || relay::unverified(&node, WALK_LEN)).await {
        Ok(waiting) => waiting,
        Err(error) => return tracing::warn!(%error, "friends' messages can't be read"),
    };
    for message in waiting {
        if let Err(error) = check(state, &message).await {
            tracing::warn!(%error, "a friend's message is not checked yet");
        }
    }
}

async fn check(state: &MailState, message: &Unverified) -> Result<(), StoreError> {
    let (blobs, blob) = (state.node.blobs.clone(), message.blob);
    let digested = try_blocking(move || digest(&blobs, &blob)).await?;
    let signed = match state.dns.get() {
        Some(dns) => by_authors(dns, &digested, &message.authors).await,
        None => Signed::Unknown,
    };
    tracing::info!(?signed, "the signature of a friend's message was checked");
    match signed {
        Signed::Yes => relay::accept(&state.node, message.key).await,
        Signed::No => relay::refuse(&state.node, message.key, RelayRefusal::Unsigned).await,
        Signed::Unknown => {
            let now = state.node.clock.now();
            match now.millis_since(message.arrived) >= KEPT_MS {
                true => relay::forget(&state.node, message.key).await,
                false => Ok(()),
            }
        }
    }
}

/// Reads the message. Blocks.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn digest(blobs: &Blobs, id: &BlobId) -> Result<Digested, StoreError> {
    let reader = blobs.open(id)?;
    let (mut digest, mut piece, mut at) = (Digest::default(), vec![0; PIECE_LEN], 0u64);
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return Ok(digest.finish());
        }
        digest.read(piece.get(..len).unwrap_or_default());
        at = at.saturating_add(len as u64);
    }
}
