//! Fetches the blobs that a friend's posts show and that are missing here, one after the other;
//! each range is verified.
//!
//! An attacker who is a friend can make this node fetch the friend's share of the day, and keep one
//! part of a blob on the disk for some minutes. A byte that does not match the hash is never
//! written. A blob that the friend never sends, or whose stream always breaks, does not delay the
//! friend's other blobs.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use freehold_core::blocking::{blocking, blocking_future, try_blocking};
use freehold_core::clock::Timestamp;
use freehold_core::identity::PersonId;
use freehold_core::shares::{self, Allowance, Limit, Share};
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::{self, WantedBlob};
use tokio::time::Instant;

use super::slice;
use crate::blob_parts;
use crate::limits::{
    ANSWER_TIMEOUT, BLOB_FRAME_LEN_MAX, BLOB_RANGE_LEN_MAX, FETCH_WAIT_MAX, MISSING_WAIT,
};
use crate::network::ByteStream;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::blob::{Answer, Get, PROTOCOL};
use crate::wire::frame::{self, FrameError};

/// Wanted blobs read at once.
const PAGE: usize = 64;
/// Longest wait between a blob whose stream broke and the next blob.
const BREAK_WAIT_MAX: Duration = Duration::from_secs(30);

/// Why a blob was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The stream failed.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The store failed, or the disk is full.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes do not match the hash.
    #[error("the received bytes do not match the blob's hash: {0}")]
    Invalid(io::Error),
    /// The friend's daily share is used up.
    #[error("the friend's daily share of photos is used up; the rest is fetched later")]
    Share,
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// Blobs that were requested on this connection and not received.
struct Unavailable {
    /// Missing at the friend, or sent with wrong bytes: requested again on the next connection, or
    /// after [`MISSING_WAIT`].
    missing: HashSet<BlobId>,
    /// The time at which `missing` was empty.
    since: Timestamp,
    /// The stream broke: requested again after a wait.
    broken: HashSet<BlobId>,
}

/// Fetches the wanted blobs of this friend, now and after each signal.
pub(crate) async fn fetch_wanted(state: &FederationState, peer: &Peer, friend: PersonId) {
    let mut unavailable = Unavailable::none(state.node.clock.now());
    let mut failures = 0u32;
    loop {
        unavailable.drop_expired(state.node.clock.now());
        let fetched = fetch_all(state, peer, friend, &mut unavailable).await;
        if let Err(error) = &fetched {
            tracing::debug!(peer = %peer.key, %error, "cannot fetch blobs");
        }
        if fetched.is_ok() && unavailable.broken.is_empty() {
            failures = 0;
            // Missing blobs are requested again after a timeout as well as after a signal.
            let _ = tokio::time::timeout(MISSING_WAIT, peer.blobs_wanted.notified()).await;
            continue;
        }
        let retry_at = Instant::now() + backoff(state.retry_pause(), failures);
        failures = failures.saturating_add(1);
        // Without disk space, or without a connection, every blob waits. A blob whose stream broke
        // does not delay blobs that become wanted meanwhile.
        while fetched.is_ok()
            && tokio::time::timeout_at(retry_at, peer.blobs_wanted.notified()).await.is_ok()
        {
            if fetch_all(state, peer, friend, &mut unavailable).await.is_err() {
                break;
            }
        }
        tokio::time::sleep_until(retry_at).await;
        unavailable.broken.clear();
    }
}

/// The wait before a retry. A full disk, a used-up share and a broken node recover slowly, so the
/// wait doubles with each failure.
fn backoff(pause: Duration, failures: u32) -> Duration {
    pause.saturating_mul(4 << failures.min(16)).min(FETCH_WAIT_MAX)
}

/// The wait between a blob whose stream broke and the next blob.
fn backoff_between(pause: Duration, breaks: u32) -> Duration {
    backoff(pause, breaks).min(BREAK_WAIT_MAX)
}

/// Requests every wanted blob of this friend once, one after the other.
async fn fetch_all(
    state: &FederationState,
    peer: &Peer,
    friend: PersonId,
    unavailable: &mut Unavailable,
) -> Result<(), FetchError> {
    let (mut stream, mut after, mut breaks) = (None, None, 0);
    loop {
        let node = state.node.clone();
        let read = move || timeline::wanted_blobs(&node, &friend, after, PAGE);
        let page = try_blocking(read).await?;
        let Some(last) = page.last() else {
            let node = state.node.clone();
            let want_more = async move { timeline::want_left_out(&node, friend).await };
            if blocking_future(want_more).await.map_err(StoreError::from)?? {
                after = None;
                continue;
            }
            return Ok(());
        };
        after = Some(last.blob);
        for wanted in page {
            if unavailable.contains(&wanted.blob) {
                continue;
            }
            let open_stream = match &mut stream {
                Some(open_stream) => open_stream,
                None => stream.insert(state.network.open(peer.key, PROTOCOL).await?),
            };
            match fetch(state, open_stream, &wanted).await {
                Ok(true) => breaks = 0,
                Ok(false) => {
                    unavailable.add_missing(wanted.blob);
                    breaks = 0;
                }
                Err(error @ (FetchError::Share | FetchError::Store(StoreError::Full))) => {
                    return Err(error);
                }
                // The position in the stream is unknown after an error, so the next blob gets a new
                // stream.
                Err(FetchError::Invalid(error)) => {
                    tracing::warn!(peer = %peer.key, %error, "refused a blob");
                    unavailable.add_missing(wanted.blob);
                    (stream, breaks) = (None, 0);
                }
                Err(error) => {
                    tracing::debug!(peer = %peer.key, %error, "cannot fetch a blob");
                    unavailable.broken.insert(wanted.blob);
                    stream = None;
                    // If every stream to the node breaks, thousands of blobs must not cause
                    // thousands of streams in a row.
                    tokio::time::sleep(backoff_between(state.retry_pause(), breaks)).await;
                    breaks += 1;
                }
            }
        }
    }
}

impl Unavailable {
    fn none(now: Timestamp) -> Self {
        Self { missing: HashSet::new(), since: now, broken: HashSet::new() }
    }

    fn contains(&self, blob: &BlobId) -> bool {
        self.missing.contains(blob) || self.broken.contains(blob)
    }

    fn drop_expired(&mut self, now: Timestamp) {
        if u128::from(now.millis_since(self.since)) >= MISSING_WAIT.as_millis() {
            *self = Self::none(now);
        }
    }

    fn add_missing(&mut self, blob: BlobId) {
        // More than can be wanted: most of these are wanted no longer, and another request for the
        // rest does no harm.
        if self.missing.len() as u64 >= timeline::WANTS_MAX {
            self.missing.clear();
        }
        self.missing.insert(blob);
    }
}

/// Fetches one blob, continuing from the part that is here; `false` if the friend does not have it.
/// Nothing is requested before its space on the disk is reserved.
pub(crate) async fn fetch(
    state: &FederationState,
    stream: &mut ByteStream,
    wanted: &WantedBlob,
) -> Result<bool, FetchError> {
    let limit = Limit::mib(state.config.photos_mib_per_friend_day);
    let allowance = Allowance { share: Share::Photos(wanted.author), limit };
    let node = state.node.clone();
    let has_room = move || shares::has_room(&node.store, node.clock.now(), &allowance);
    if !try_blocking(has_room).await? {
        return Err(FetchError::Share);
    }
    let mut partial = state.partial_blobs.take(wanted.blob, state.node.clock.now());
    let mut done = partial.writer.as_ref().map_or(0, |writer| writer.len());
    let (blobs, total, begun) = (state.node.blobs.clone(), wanted.len, partial.writer.take());
    partial.writer = Some(match begun {
        Some(writer) => writer,
        None => try_blocking(move || blob_parts::begin(&blobs, total)).await?,
    });
    while done < wanted.len {
        let len = BLOB_RANGE_LEN_MAX.min(wanted.len - done);
        if !state.quotas.photos.take(wanted.author, len, state.node.clock.now()) {
            shares::use_up(&state.node, allowance).await?;
            return Err(FetchError::Share);
        }
        let get = Get { hash: wanted.blob.0, start: done, len };
        let range =
            tokio::time::timeout(ANSWER_TIMEOUT * 6, get_range(stream, &get, wanted.len)).await;
        let Some(bytes) = range.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? else {
            return Ok(false);
        };
        let Some(writer) = partial.writer.take() else { return Ok(false) };
        partial.writer = Some(try_blocking(move || blob_parts::append(writer, &bytes)).await?);
        done += len;
    }
    let Some(writer) = partial.writer.take() else { return Ok(false) };
    let pinned = try_blocking(move || blob_parts::finish(writer)).await?;
    // Each range was verified on its own; the bytes on the disk must match as a whole, too.
    if pinned.id != wanted.blob {
        return Err(FetchError::Invalid(io::Error::other("wrong hash of the whole")));
    }
    timeline::blob_arrived(&state.node, wanted.author, pinned, limit).await?;
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
            return Err(FetchError::Invalid(io::Error::other("another length than in the post")));
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
            return Err(FetchError::Invalid(io::Error::other("more than was requested")));
        }
        bytes.extend_from_slice(&part);
    }
    let (hash, start, len) = (get.hash, get.start, get.len);
    blocking(move || slice::decode(hash, total, start, len, &bytes))
        .await
        .map_err(io::Error::from)?
        .map(Some)
        .map_err(FetchError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blob_retries_back_off_up_to_the_limit() {
        let pause = Duration::from_secs(1);
        assert_eq!(
            [backoff(pause, 0), backoff(pause, 1), backoff(pause, 40)],
            [pause * 4, pause * 8, FETCH_WAIT_MAX]
        );
    }

    #[test]
    fn broken_blob_streams_delay_later_blobs_briefly() {
        let waited: Duration =
            (0..8).map(|breaks| backoff_between(Duration::from_secs(1), breaks)).sum();
        assert!(waited < Duration::from_secs(4 * 60), "{waited:?}");
    }
}
