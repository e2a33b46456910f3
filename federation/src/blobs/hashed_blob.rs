//! The blocking half of sending: opening, hashing and slicing a blob.
#![allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]

use std::io;
use std::sync::Arc;

use bao_tree::io::sync::ReadAt;
use freehold_core::audience::Visitor;
use freehold_core::blobs::BlobReader;
use freehold_core::node::Node;
use freehold_core::photos;
use freehold_core::store::BlobId;

use super::slice::{self, Outboard};
use crate::limits::BLOB_LEN_MAX;
use crate::wire::blob::Get;

/// The last requested blob of a stream, with its hash tree: the next range needs no new hashing.
pub(super) struct HashedBlob {
    pub(super) id: BlobId,
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

impl HashedBlob {
    pub(super) fn hash(id: BlobId, reader: BlobReader) -> io::Result<Arc<Self>> {
        let outboard = slice::outboard(SequentialReader(&reader, 0), reader.len())?;
        Ok(Arc::new(Self { id, reader, outboard }))
    }

    pub(super) fn len(&self) -> u64 {
        self.reader.len()
    }

    pub(super) fn encode_slice(&self, get: &Get) -> io::Result<Vec<u8>> {
        let remaining = self.len().saturating_sub(get.start);
        let len = get.len.min(remaining);
        slice::encode(ReadAtOffset(&self.reader), &self.outboard, get.start, len)
    }
}

/// Opens a blob that this visitor may see; `None` also for a damaged and for a missing one.
pub(super) fn open_for(node: &Node, visitor: &Visitor, id: &BlobId) -> Option<BlobReader> {
    let found = photos::shared_blob(node, visitor, id).inspect_err(
        |error| tracing::warn!(%error, "cannot read a photo that a peer has asked for"),
    );
    found.ok().flatten().filter(|reader| (1..=BLOB_LEN_MAX).contains(&reader.len()))
}
