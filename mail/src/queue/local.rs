//! Delivery to the owner, who wrote to an address of their own.

use freehold_core::blocking::try_blocking;
use freehold_core::mailbox::{
    self, DeliverError, Delivery, Flags, IdempotencyKey, QueuedMessage, SpecialUse,
};

mod copy;

use crate::smtp::address::Mailbox;
use crate::smtp::trace;
use crate::state::MailState;

/// Delivers `item` into the inbox. A repeated delivery changes nothing.
pub(super) async fn deliver(state: &MailState, item: &QueuedMessage) -> Result<(), DeliverError> {
    let node = &state.node;
    let inbox =
        mailbox::special_folder(node, SpecialUse::Inbox)?.ok_or(DeliverError::NoSuchFolder)?;
    // Final delivery adds Return-Path (RFC 5321 4.4); the copy in Sent must not have one.
    let mut header = trace::return_path(Mailbox::parse(&item.from).as_ref());
    if item.on_behalf.is_some() {
        header.push_str(&item.prefix);
    }
    let (blobs, text) = (node.blobs.clone(), item.blob);
    let blob = try_blocking(move || copy::with_header(&blobs, &text, &header)).await?;
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
