//! Delivery without a next hop: the owner wrote to themselves.

use freehold_core::blobs::{AtRest, BlobReader, BlobWriter, Pinned};
use freehold_core::mailbox::{
    self, DeliverError, Delivery, Flags, IdempotencyKey, QueuedMessage, SpecialUse,
};
use freehold_core::store::StoreError;

use crate::smtp::address::Mailbox;
use crate::smtp::trace;
use crate::state::MailState;

/// How much of a message is copied at one time, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Keeps `item` in the inbox; doing it twice keeps it once.
pub(super) async fn deliver(state: &MailState, item: &QueuedMessage) -> Result<(), DeliverError> {
    let node = &state.node;
    let inbox =
        mailbox::special_folder(node, SpecialUse::Inbox)?.ok_or(DeliverError::NoSuchFolder)?;
    // The final delivery writes who it came from (RFC 5321 4.4), which the copy in Sent must not
    // say.
    let above = trace::return_path(Mailbox::parse(&item.from).as_ref());
    let reader = node.blobs.open(&item.blob)?;
    let writer =
        node.blobs.writer(AtRest::Sealed, reader.len().saturating_add(above.len() as u64))?;
    let blob =
        match tokio::task::spawn_blocking(move || copy(&reader, writer, above.as_bytes())).await {
            Ok(copied) => copied?,
            Err(error) => return Err(StoreError::Unavailable(error.to_string()).into()),
        };
    let id = IdempotencyKey::of(&[b"queue", &item.id.0]);
    let delivery = Delivery {
        folder: inbox.id,
        blob,
        id,
        internal_date: node.clock.now(),
        flags: Flags::default(),
    };
    mailbox::deliver(node, delivery).await.map(drop)
}

fn copy(reader: &BlobReader, mut writer: BlobWriter, above: &[u8]) -> Result<Pinned, StoreError> {
    writer.write(above)?;
    let mut piece = vec![0; PIECE_LEN];
    let mut at = 0;
    loop {
        let len = reader.read_at(at, &mut piece)?;
        if len == 0 {
            return writer.finish();
        }
        writer.write(piece.get(..len).unwrap_or_default())?;
        at += len as u64;
    }
}
