//! Sends slices of the owner's own photos to peers that may see them. A blob's hash gives no right
//! to it: core is asked for every range, so a photo that is retracted in the middle of a transfer
//! is not sent to its end. Photos of friends are stored for the owner and sent to nobody; their
//! author has them.
//!
//! An attacker gets nothing that the site does not show anyone, and gets it slower. Missing,
//! damaged and forbidden blobs have the same answer, so nobody learns whether a hash is stored
//! here.

use std::sync::Arc;

use freehold_core::audience::Visitor;
use freehold_core::blocking::blocking;
use freehold_core::store::BlobId;
use futures::AsyncWriteExt;

use super::hashed_blob::{HashedBlob, open_for};
use super::slice::GROUP_LEN;
use crate::limits::{BLOB_FRAME_LEN_MAX, BLOB_RANGE_LEN_MAX};
use crate::network::ByteStream;
use crate::peer_identity::Relation;
use crate::peers::Peer;
use crate::state::FederationState;
use crate::wire::blob::{Answer, Get};
use crate::wire::frame::{self, FrameError};

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
        let reader = blocking(move || open_for(&node, &visitor, &id)).await?;
        last_blob = match (reader, last_blob.take()) {
            (None, _) => None,
            (Some(_), Some(blob)) if blob.id == id => Some(blob),
            (Some(reader), _) => {
                // Even the smallest slice needs the hash of the whole blob, so the whole is
                // counted.
                if !state.may_take_blob(peer, reader.len()) {
                    return Ok(());
                }
                Some(blocking(move || HashedBlob::hash(id, reader)).await??)
            }
        };
        let slice = match last_blob.clone().filter(|blob| get.start < blob.len()) {
            Some(blob) => {
                let len = blob.len();
                Some((len, blocking(move || blob.encode_slice(&get)).await??))
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
