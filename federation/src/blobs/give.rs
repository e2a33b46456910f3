//! Giving: slices of public blobs. Who knows a blob's hash has it from a post; what lies sealed here is given to nobody.

use std::io;
use std::sync::Arc;

use bao_tree::io::sync::ReadAt;
use freehold_core::blobs::{BlobReader, Form};
use freehold_core::store::BlobId;
use futures::AsyncWriteExt;

use super::slice::{self, GROUP_LEN, Outboard};
use crate::limits::{BLOB_FRAME_LEN_MAX, BLOB_LEN_MAX, BLOB_RANGE_LEN_MAX};
use crate::network::ByteStream;
use crate::peers::{Peer, Shared};
use crate::wire::blob::{Answer, Get};
use crate::wire::frame::{self, FrameError};

/// A blob that a stream has asked for, with its tree: the next range needs no new hashing.
struct Open {
    id: BlobId,
    reader: BlobReader,
    outboard: Outboard,
}

struct At<'a>(&'a BlobReader);

impl ReadAt for At<'_> {
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
pub(crate) async fn serve(shared: &Shared, peer: &Peer, mut stream: ByteStream) -> Result<(), FrameError> {
    // One more than allowed is simply closed: an honest peer keeps count.
    let Ok(_permit) = Arc::clone(&peer.blob_streams).try_acquire_owned() else { return Ok(()) };
    if peer.known().await.is_none() {
        return Ok(());
    }
    let mut open: Option<Open> = None;
    loop {
        let get: Get = match frame::read(&mut stream).await {
            Err(FrameError::End) => return Ok(()),
            get => get?,
        };
        if get.len > BLOB_RANGE_LEN_MAX || !get.start.is_multiple_of(GROUP_LEN) || !peer.may_take(shared, get.len) {
            return Ok(());
        }
        let blobs = shared.node.blobs.clone();
        let before = open.take();
        let cut = move || cut(&blobs, before, &get);
        let (kept, found) = tokio::task::spawn_blocking(cut).await.map_err(io::Error::other)??;
        open = kept;
        match found {
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

type Cut = (Option<Open>, Option<(u64, Vec<u8>)>);

fn cut(blobs: &freehold_core::blobs::Blobs, before: Option<Open>, get: &Get) -> io::Result<Cut> {
    let id = BlobId(get.hash);
    let open = match before.filter(|open| open.id == id) {
        Some(open) => open,
        None => {
            // Damaged, private and absent look alike from outside.
            let Ok(reader) = blobs.open(&id) else { return Ok((None, None)) };
            if reader.form() != Form::Public || reader.len() > BLOB_LEN_MAX {
                return Ok((None, None));
            }
            let outboard = slice::outboard(From(&reader, 0), reader.len())?;
            Open { id, reader, outboard }
        }
    };
    let len = open.reader.len();
    if get.start > len {
        return Ok((Some(open), None));
    }
    let slice = slice::encode(At(&open.reader), &open.outboard, get.start, get.len.min(len - get.start))?;
    Ok((Some(open), Some((len, slice))))
}
