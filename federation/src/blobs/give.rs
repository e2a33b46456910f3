//! Giving: slices of the owner's own photos, to whoever may see them. Knowing a blob's hash gives
//! no right to it: core is asked with every range, so what was taken back is not given to the end.
//! Photos of friends are kept here for the owner and given to nobody; who wants them asks their
//! author.
//!
//! What an attacker gets: nothing that the site does not show anyone, slower. Whether some hash
//! lies here can't be learnt: what is not there, what is damaged and what is not for whoever asks
//! give the same answer.

use std::io;
use std::sync::Arc;

use bao_tree::io::sync::ReadAt;
use freehold_core::audience::Visitor;
use freehold_core::blobs::BlobReader;
use freehold_core::node::Node;
use freehold_core::photos;
use freehold_core::store::BlobId;
use futures::AsyncWriteExt;

use super::slice::{self, GROUP_LEN, Outboard};
use crate::aside;
use crate::limits::{BLOB_FRAME_LEN_MAX, BLOB_LEN_MAX, BLOB_RANGE_LEN_MAX};
use crate::network::ByteStream;
use crate::peers::{Peer, Shared};
use crate::standing::Relation;
use crate::wire::blob::{Answer, Get};
use crate::wire::frame::{self, FrameError};

/// The blob that a stream has asked for last, with its tree: the next range needs no new hashing.
struct Open {
    id: BlobId,
    reader: BlobReader,
    outboard: Outboard,
}

struct At<'a>(&'a BlobReader);

impl ReadAt for At<'_> {
    #[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buf).map_err(io::Error::other)
    }
}

/// A reader from the beginning on.
struct From<'a>(&'a BlobReader, u64);

impl io::Read for From<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = At(self.0).read_at(self.1, buf)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// Answers Gets on one stream until the peer ends it.
pub(crate) async fn serve(
    shared: &Shared,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    // One more than allowed is simply closed: an honest peer keeps count.
    let Ok(_permit) = Arc::clone(&peer.blob_streams).try_acquire_owned() else { return Ok(()) };
    if peer.known().await.is_none() {
        return Ok(());
    }
    let mut open: Option<Arc<Open>> = None;
    loop {
        let get: Get = match frame::read(&mut stream).await {
            Err(FrameError::End) => return Ok(()),
            get => get?,
        };
        if get.len == 0
            || get.len > BLOB_RANGE_LEN_MAX
            || !get.start.is_multiple_of(GROUP_LEN)
            || !peer.may_take(shared, get.len)
        {
            return Ok(());
        }
        let Some(visitor) = visitor(peer) else { return Ok(()) };
        let (node, id) = (shared.node.clone(), BlobId(get.hash));
        let allowed = aside::blocking(move || readable(&node, &visitor, &id)).await?;
        open = match (allowed, open.take()) {
            (None, _) => None,
            (Some(_), Some(open)) if open.id == id => Some(open),
            (Some(reader), _) => {
                // To cut the smallest slice the whole is hashed, so the whole is what it costs.
                if !peer.may_take(shared, reader.len()) {
                    return Ok(());
                }
                Some(aside::blocking(move || hashed(id, reader)).await??)
            }
        };
        let slice = match open.clone().filter(|open| get.start < open.reader.len()) {
            Some(open) => {
                Some((open.reader.len(), aside::blocking(move || cut(&open, &get)).await??))
            }
            None => None,
        };
        match slice {
            Some((len, slice)) => {
                frame::write(&mut stream, &Answer::Found(len)).await?;
                for part in slice.chunks(BLOB_FRAME_LEN_MAX) {
                    frame::write_bytes(&mut stream, part).await?;
                }
                frame::write_bytes(&mut stream, &[]).await?;
                stream.flush().await?;
            }
            None => frame::write(&mut stream, &Answer::Missing).await?,
        }
    }
}

/// Who the peer is to core, now; nobody at all if the owner has blocked them since.
fn visitor(peer: &Peer) -> Option<Visitor> {
    let standing = peer.standing.borrow();
    let standing = standing.as_ref()?;
    match (standing.relation, standing.person) {
        (Relation::Blocked, _) => None,
        (Relation::Friend, Some(person)) => Some(Visitor::Friend(person)),
        _ => Some(Visitor::Stranger),
    }
}

/// A blob that may be given. Damaged, not for this visitor, and absent look alike from outside.
#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn readable(node: &Node, visitor: &Visitor, id: &BlobId) -> Option<BlobReader> {
    let found = photos::shared_blob(node, visitor, id)
        .inspect_err(|error| tracing::warn!(%error, "a photo cannot be given"));
    found.ok().flatten().filter(|reader| (1..=BLOB_LEN_MAX).contains(&reader.len()))
}

fn hashed(id: BlobId, reader: BlobReader) -> io::Result<Arc<Open>> {
    let outboard = slice::outboard(From(&reader, 0), reader.len())?;
    Ok(Arc::new(Open { id, reader, outboard }))
}

fn cut(open: &Open, get: &Get) -> io::Result<Vec<u8>> {
    let rest = open.reader.len().saturating_sub(get.start);
    slice::encode(At(&open.reader), &open.outboard, get.start, get.len.min(rest))
}
