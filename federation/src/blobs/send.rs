//! Sends slices of the owner's own photos to peers that may see them. A blob's hash gives no right
//! to it: core is asked for every range, so a photo that is retracted in the middle of a transfer
//! is not sent to its end. Photos of friends are stored for the owner and sent to nobody; their
//! author has them.
//!
//! An attacker gets nothing that the site does not show anyone, and gets it slower. Missing,
//! damaged and forbidden blobs have the same answer, so nobody learns whether a hash is stored
//! here.

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
use crate::blocking;
use crate::limits::{BLOB_FRAME_LEN_MAX, BLOB_LEN_MAX, BLOB_RANGE_LEN_MAX};
use crate::network::ByteStream;
use crate::peer_identity::Relation;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::blob::{Answer, Get};
use crate::wire::frame::{self, FrameError};

/// The last requested blob of a stream, with its hash tree: the next range needs no new hashing.
struct HashedBlob {
    id: BlobId,
    reader: BlobReader,
    outboard: Outboard,
}

struct ReadAtOffset<'a>(&'a BlobReader);

impl ReadAt for ReadAtOffset<'_> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buf).map_err(io::Error::other)
    }
}

/// Reads the blob in order, from an offset.
struct SequentialReader<'a>(&'a BlobReader, u64);

impl io::Read for SequentialReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = ReadAtOffset(self.0).read_at(self.1, buf)?;
        self.1 += read as u64;
        Ok(read)
    }
}

/// Answers Gets on one stream until the peer ends it.
pub(crate) async fn serve(
    state: &FederationState,
    peer: &Peer,
    mut stream: ByteStream,
) -> Result<(), FrameError> {
    // A stream above the limit is closed without an answer: an honest peer keeps count.
    let Ok(_permit) = Arc::clone(&peer.blob_streams).try_acquire_owned() else { return Ok(()) };
    if peer.identified().await.is_none() {
        return Ok(());
    }
    let mut last_blob: Option<Arc<HashedBlob>> = None;
    loop {
        let get: Get = match frame::read(&mut stream).await {
            Err(FrameError::End) => return Ok(()),
            get => get?,
        };
        if get.len == 0
            || get.len > BLOB_RANGE_LEN_MAX
            || !get.start.is_multiple_of(GROUP_LEN)
            || !state.may_take_blob(peer, get.len)
        {
            return Ok(());
        }
        let Some(visitor) = visitor(peer) else { return Ok(()) };
        let (node, id) = (state.node.clone(), BlobId(get.hash));
        let reader = blocking::run(move || open_for(&node, &visitor, &id)).await?;
        last_blob = match (reader, last_blob.take()) {
            (None, _) => None,
            (Some(_), Some(blob)) if blob.id == id => Some(blob),
            (Some(reader), _) => {
                // Even the smallest slice needs the hash of the whole blob, so the whole is
                // counted.
                if !state.may_take_blob(peer, reader.len()) {
                    return Ok(());
                }
                Some(blocking::run(move || hash(id, reader)).await??)
            }
        };
        let slice = match last_blob.clone().filter(|blob| get.start < blob.reader.len()) {
            Some(blob) => {
                let len = blob.reader.len();
                Some((len, blocking::run(move || encode_slice(&blob, &get)).await??))
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

/// The peer as core's audience check sees it now; `None` once the owner has blocked the person.
fn visitor(peer: &Peer) -> Option<Visitor> {
    let identity = peer.identity.borrow();
    let identity = identity.as_ref()?;
    match (identity.relation, identity.person) {
        (Relation::Blocked, _) => None,
        (Relation::Friend, Some(person)) => Some(Visitor::Friend(person)),
        _ => Some(Visitor::Stranger),
    }
}

/// Opens a blob that this visitor may see; `None` also for a damaged and for a missing one.
fn open_for(node: &Node, visitor: &Visitor, id: &BlobId) -> Option<BlobReader> {
    let found = photos::shared_blob(node, visitor, id).inspect_err(
        |error| tracing::warn!(%error, "cannot read a photo that a peer has requested"),
    );
    found.ok().flatten().filter(|reader| (1..=BLOB_LEN_MAX).contains(&reader.len()))
}

fn hash(id: BlobId, reader: BlobReader) -> io::Result<Arc<HashedBlob>> {
    let outboard = slice::outboard(SequentialReader(&reader, 0), reader.len())?;
    Ok(Arc::new(HashedBlob { id, reader, outboard }))
}

fn encode_slice(blob: &HashedBlob, get: &Get) -> io::Result<Vec<u8>> {
    let remaining = blob.reader.len().saturating_sub(get.start);
    slice::encode(ReadAtOffset(&blob.reader), &blob.outboard, get.start, get.len.min(remaining))
}
