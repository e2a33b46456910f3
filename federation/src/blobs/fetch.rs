//! Fetching: the blobs that a friend's posts show and that are not here, one after the other, each range verified.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Mutex, PoisonError};

use freehold_core::blobs::{BlobWriter, Form};
use freehold_core::identity::PersonId;
use freehold_core::store::{BlobId, StoreError};
use freehold_core::timeline::{self, WantedBlob};

use super::slice;
use crate::limits::{ANSWER_TIMEOUT, BLOB_FRAME_LEN_MAX, BLOB_LEN_MAX, BLOB_RANGE_LEN_MAX};
use crate::network::ByteStream;
use crate::peers::{self, Peer, Shared};
use crate::wire::blob::{Answer, Get, PROTOCOL};
use crate::wire::frame::{self, FrameError};

/// Wanted blobs looked at in one go.
const PAGE: usize = 64;

/// A blob that has come in part: how far, and where it is being written.
struct Partial {
    writer: BlobWriter,
    len: u64,
}

/// Blobs that have come in part. They outlive a connection, not the process.
#[derive(Default)]
pub(crate) struct Partials(Mutex<HashMap<BlobId, Partial>>);

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("{0}")]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("what came is not what its hash promises: {0}")]
    Lie(io::Error),
}

impl From<io::Error> for FetchError {
    fn from(error: io::Error) -> Self {
        Self::Frame(error.into())
    }
}

/// Fetches what this friend's posts show, now and whenever more is wanted.
pub(crate) async fn fetch_wanted(shared: &Shared, peer: &Peer, friend: PersonId) {
    // What the friend does not have now is asked for again on the next connection.
    let mut missing = HashSet::new();
    loop {
        let more = shared.wanted.notified();
        tokio::pin!(more);
        // Enabled before looking, so that what is wanted while looking is not missed.
        more.as_mut().enable();
        match fetch_all(shared, peer, friend, &mut missing).await {
            Ok(()) => more.await,
            Err(FetchError::Lie(error)) => {
                tracing::warn!(peer = %peer.key, %error, "a blob was refused");
                more.await;
            }
            Err(error) => {
                tracing::debug!(peer = %peer.key, %error, "a blob was cut off");
                tokio::time::sleep(peers::pause(shared) * 4).await;
            }
        }
    }
}

async fn fetch_all(shared: &Shared, peer: &Peer, friend: PersonId, missing: &mut HashSet<BlobId>) -> Result<(), FetchError> {
    let mut stream = None;
    let mut after = None;
    loop {
        let page = timeline::wanted_blobs(&shared.node, after, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.blob);
        for wanted in page.into_iter().filter(|wanted| wanted.author == friend && wanted.len <= BLOB_LEN_MAX) {
            if missing.contains(&wanted.blob) {
                continue;
            }
            let stream = match &mut stream {
                Some(stream) => stream,
                None => stream.insert(shared.network.open(peer.key, PROTOCOL).await?),
            };
            if !fetch(shared, stream, &wanted).await? {
                missing.insert(wanted.blob);
            }
        }
    }
}

/// Fetches one blob from where it was left; whether the friend has it.
async fn fetch(shared: &Shared, stream: &mut ByteStream, wanted: &WantedBlob) -> Result<bool, FetchError> {
    let mut done = shared.partials.len(&wanted.blob);
    while done < wanted.len || wanted.len == 0 {
        let len = BLOB_RANGE_LEN_MAX.min(wanted.len - done);
        let get = Get { hash: wanted.blob.0, start: done, len };
        let range = tokio::time::timeout(ANSWER_TIMEOUT * 6, get_range(stream, &get, wanted.len)).await;
        let Some(bytes) = range.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? else { return Ok(false) };
        shared.partials.append(shared, wanted, done, &bytes)?;
        done += len;
        if wanted.len == 0 {
            break;
        }
    }
    let Some(writer) = shared.partials.take(&wanted.blob) else { return Ok(false) };
    let pinned = tokio::task::spawn_blocking(move || writer.finish()).await.map_err(io::Error::other)??;
    // The groups were verified one by one against this very hash.
    timeline::blob_arrived(&shared.node, pinned).await?;
    Ok(true)
}

async fn get_range(stream: &mut ByteStream, get: &Get, total: u64) -> Result<Option<Vec<u8>>, FetchError> {
    frame::write(stream, get).await?;
    match frame::read::<Answer, _>(stream).await? {
        Answer::Missing => return Ok(None),
        Answer::Found(len) if len != total => return Err(FetchError::Lie(io::Error::other("another length than the post says"))),
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
    let decode = move || slice::decode(hash, total, start, len, &bytes);
    let decoded = tokio::task::spawn_blocking(decode).await.map_err(io::Error::other)?;
    decoded.map(Some).map_err(FetchError::Lie)
}

impl Partials {
    fn len(&self, blob: &BlobId) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(blob).map_or(0, |partial| partial.len)
    }

    /// Adds what comes at `start`; something else may have brought it meanwhile, which is as good.
    fn append(&self, shared: &Shared, wanted: &WantedBlob, start: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let mut partials = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let partial = match partials.entry(wanted.blob) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                new.insert(Partial { writer: shared.node.blobs.writer(Form::Public, wanted.len)?, len: 0 })
            }
        };
        if partial.len == start {
            partial.writer.write(bytes)?;
            partial.len += bytes.len() as u64;
        }
        Ok(())
    }

    fn take(&self, blob: &BlobId) -> Option<BlobWriter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(blob).map(|partial| partial.writer)
    }
}
