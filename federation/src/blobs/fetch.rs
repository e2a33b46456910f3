//! Fetching: the blobs that a friend's posts show and that are not here, one after the other, each
//! range verified.
//!
//! What an attacker gets: a friend's node can make this one fetch the friend's share of the day,
//! and have one part of a blob lie on the disk for some minutes. A byte that the hash does not
//! promise is not written. A blob that they never bring, or whose stream they always break, holds
//! up none of their others.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use freehold_core::blobs::AtRest;
use freehold_core::clock::Timestamp;
use freehold_core::identity::PersonId;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::{self, WantedBlob};
use tokio::time::Instant;

use super::slice;
use crate::aside;
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_FRAME_LEN_MAX, BLOB_RANGE_LEN_MAX, FETCH_WAIT_MAX, MISSING_WAIT,
};
use crate::network::ByteStream;
use crate::peers::{self, Peer, Shared};
use crate::wire::blob::{Answer, Get, PROTOCOL};
use crate::wire::frame::{self, FrameError};

/// Wanted blobs looked at in one go.
const PAGE: usize = 64;
/// The longest wait before the blob behind one whose stream broke.
const BREAK_WAIT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("what came is not what its hash promises: {0}")]
    Lie(io::Error),
    #[error("the friend has brought what one may bring in a day")]
    Share,
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// What did not come over this connection, though it was asked for.
struct Setbacks {
    /// The friend does not have it, or lies about it: asked for again on the next connection, or
    /// after [`MISSING_WAIT`].
    missing: HashSet<BlobId>,
    /// When nothing was missing.
    since: Timestamp,
    /// The stream broke: asked for again after a while.
    broken: HashSet<BlobId>,
}

/// Fetches what this friend's posts show, now and whenever more is wanted.
pub(crate) async fn fetch_wanted(shared: &Shared, peer: &Peer, friend: PersonId) {
    let mut setbacks = Setbacks::none(shared.node.clock.now());
    let mut failures = 0u32;
    loop {
        setbacks.forget_old(shared.node.clock.now());
        let fetched = fetch_all(shared, peer, friend, &mut setbacks).await;
        if let Err(error) = &fetched {
            tracing::debug!(peer = %peer.key, %error, "blobs do not come");
        }
        if fetched.is_ok() && setbacks.broken.is_empty() {
            failures = 0;
            // Rung or not, it is time to look again.
            let _ = tokio::time::timeout(MISSING_WAIT, peer.wanted.notified()).await;
            continue;
        }
        let again = Instant::now() + wait(peers::pause(shared), failures);
        failures = failures.saturating_add(1);
        // For want of room, or of a connection, all wait. What is broken keeps nothing new waiting.
        while fetched.is_ok()
            && tokio::time::timeout_at(again, peer.wanted.notified()).await.is_ok()
        {
            if fetch_all(shared, peer, friend, &mut setbacks).await.is_err() {
                break;
            }
        }
        tokio::time::sleep_until(again).await;
        setbacks.broken.clear();
    }
}

/// A full disk, a share used up and a broken node mend themselves slowly: the wait doubles.
fn wait(pause: Duration, failures: u32) -> Duration {
    pause.saturating_mul(4 << failures.min(16)).min(FETCH_WAIT_MAX)
}

/// Between one blob whose stream breaks and the next, which may be a good one.
fn wait_between(pause: Duration, breaks: u32) -> Duration {
    wait(pause, breaks).min(BREAK_WAIT_MAX)
}

/// Asks for everything that is wanted of this friend, one blob after the other. One that does not
/// come holds up none behind it.
async fn fetch_all(
    shared: &Shared,
    peer: &Peer,
    friend: PersonId,
    setbacks: &mut Setbacks,
) -> Result<(), FetchError> {
    let (mut stream, mut after, mut breaks) = (None, None, 0);
    loop {
        let node = shared.node.clone();
        let page =
            aside::reading(move || timeline::wanted_blobs(&node, &friend, after, PAGE)).await?;
        let Some(last) = page.last() else {
            let node = shared.node.clone();
            if aside::computing(async move { timeline::want_left_out(&node, friend).await })
                .await??
            {
                after = None;
                continue;
            }
            return Ok(());
        };
        after = Some(last.blob);
        for wanted in page {
            if setbacks.missing.contains(&wanted.blob) || setbacks.broken.contains(&wanted.blob) {
                continue;
            }
            let open = match &mut stream {
                Some(open) => open,
                None => stream.insert(shared.network.open(peer.key, PROTOCOL).await?),
            };
            match fetch(shared, open, &wanted).await {
                Ok(true) => breaks = 0,
                Ok(false) => {
                    setbacks.miss(wanted.blob);
                    breaks = 0;
                }
                Err(error @ (FetchError::Share | FetchError::Store(StoreError::Full))) => {
                    return Err(error);
                }
                // What is wrong with one says nothing of the others; nobody knows where the stream
                // stands, though.
                Err(FetchError::Lie(error)) => {
                    tracing::warn!(peer = %peer.key, %error, "a blob was refused");
                    setbacks.miss(wanted.blob);
                    (stream, breaks) = (None, 0);
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.key, %error, "a blob did not come");
                    setbacks.broken.insert(wanted.blob);
                    stream = None;
                    // A node on which every stream breaks is not asked for thousands of blobs in a
                    // row.
                    tokio::time::sleep(wait_between(peers::pause(shared), breaks)).await;
                    breaks += 1;
                }
            }
        }
    }
}

impl Setbacks {
    fn none(now: Timestamp) -> Self {
        Self { missing: HashSet::new(), since: now, broken: HashSet::new() }
    }

    fn forget_old(&mut self, now: Timestamp) {
        if u128::from(now.millis_since(self.since)) >= MISSING_WAIT.as_millis() {
            *self = Self::none(now);
        }
    }

    fn miss(&mut self, blob: BlobId) {
        // More than can be wanted: most of these are no longer. Asking again for the others does no
        // harm.
        if self.missing.len() as u64 >= timeline::WANTS_MAX {
            self.missing.clear();
        }
        self.missing.insert(blob);
    }
}

/// Fetches one blob from where it was left; whether the friend has it. Nothing is asked for that
/// there is no room for.
pub(crate) async fn fetch(
    shared: &Shared,
    stream: &mut ByteStream,
    wanted: &WantedBlob,
) -> Result<bool, FetchError> {
    let mut taking = shared.partials.take(wanted.blob, shared.node.clock.now());
    let mut done = taking.writer.as_ref().map_or(0, |writer| writer.len());
    let (blobs, total, begun) = (shared.node.blobs.clone(), wanted.len, taking.writer.take());
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    let begin = move || match begun {
        Some(writer) => Ok(writer),
        None => blobs.room_for(total).and_then(|()| blobs.writer(AtRest::Plain, total)),
    };
    taking.writer = Some(aside::blocking(begin).await??);
    while done < wanted.len {
        let len = BLOB_RANGE_LEN_MAX.min(wanted.len - done);
        if !shared.shares.take(wanted.author, len, shared.node.clock.now()) {
            return Err(FetchError::Share);
        }
        let get = Get { hash: wanted.blob.0, start: done, len };
        let range =
            tokio::time::timeout(ANSWER_TIMEOUT * 6, get_range(stream, &get, wanted.len)).await;
        let Some(bytes) = range.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? else {
            return Ok(false);
        };
        let Some(mut writer) = taking.writer.take() else { return Ok(false) };
        #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
        let write = move || writer.write(&bytes).map(|()| writer);
        taking.writer = Some(aside::blocking(write).await??);
        done += len;
    }
    let Some(writer) = taking.writer.take() else { return Ok(false) };
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    let pinned = aside::blocking(move || writer.finish()).await??;
    // Each range was verified on its own; what lies on the disk must be the whole.
    if pinned.id != wanted.blob {
        return Err(FetchError::Lie(io::Error::other("the parts do not make the whole")));
    }
    timeline::blob_arrived(&shared.node, wanted.author, pinned).await?;
    Ok(true)
}

async fn get_range(
    stream: &mut ByteStream,
    get: &Get,
    total: u64,
) -> Result<Option<Vec<u8>>, FetchError> {
    frame::write(stream, get).await?;
    match frame::read::<Answer, _>(stream).await? {
        Answer::Missing => return Ok(None),
        Answer::Found(len) if len != total => {
            return Err(FetchError::Lie(io::Error::other("another length than the post says")));
        }
        Answer::Found(_) => {}
    }
    let len_max = slice::len_max(get.len);
    let mut bytes = Vec::new();
    loop {
        let part = frame::read_bytes(stream, BLOB_FRAME_LEN_MAX).await?;
        if part.is_empty() {
            break;
        }
        if bytes.len() + part.len() > len_max {
            return Err(FetchError::Lie(io::Error::other("more than was asked for")));
        }
        bytes.extend_from_slice(&part);
    }
    let (hash, start, len) = (get.hash, get.start, get.len);
    aside::blocking(move || slice::decode(hash, total, start, len, &bytes))
        .await?
        .map(Some)
        .map_err(FetchError::Lie)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_come_is_asked_for_ever_more_slowly() {
        let pause = Duration::from_secs(1);
        assert_eq!(
            [wait(pause, 0), wait(pause, 1), wait(pause, 40)],
            [pause * 4, pause * 8, FETCH_WAIT_MAX]
        );
    }

    #[test]
    fn a_few_blobs_whose_streams_break_hold_up_those_behind_them_for_minutes_at_most() {
        let waited: Duration =
            (0..8).map(|breaks| wait_between(Duration::from_secs(1), breaks)).sum();
        assert!(waited < Duration::from_secs(4 * 60), "{waited:?}");
    }
}
