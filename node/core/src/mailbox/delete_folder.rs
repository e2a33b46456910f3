//! Deleting a folder with its messages.

use minicbor::{Decode, Encode};

use super::expunge;
use super::folders::{FOLDERS_MAX, Folder, FolderError, FolderId, load};
use crate::events::Event;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

/// Under the id of a deleted folder whose messages are still to be removed.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct DeletedFolderRow {}

impl Record for DeletedFolderRow {
    const TABLE: Table = Table::new("mailbox_doomed");
    const VERSION: u8 = 1;
}

/// Deletes a folder and its messages; its children stay (RFC 9051 6.3.5).
///
/// The first commit deletes the folder. Its messages are removed in further commits, which the next
/// start resumes if a stop interrupts them.
///
/// # Errors
/// When there is no such folder or it is special.
pub async fn delete_folder(node: &Node, id: FolderId) -> Result<(), FolderError> {
    node.store
        .commit(move |tx| {
            tx.mark_essential();
            let folder = load(tx, id)?.ok_or(FolderError::NoSuchFolder)?;
            if folder.special.is_some() {
                return Err(FolderError::Special);
            }
            row::delete::<Folder>(tx, &id.key());
            row::put(tx, &id.key(), &DeletedFolderRow {})?;
            tx.after(Event::Mailbox(id.0));
            Ok(())
        })
        .await?;
    Ok(remove_messages(node, id).await?)
}

/// Resumes the deletions of folders that a stop interrupted.
pub(super) async fn resume(node: &Node) -> Result<(), StoreError> {
    for (key, _) in row::scan::<DeletedFolderRow>(&node.store, &Scan::prefix(&[], FOLDERS_MAX))? {
        remove_messages(node, FolderId(u32::from_be_bytes(row::key_part(&key, 0)))).await?;
    }
    Ok(())
}

async fn remove_messages(node: &Node, id: FolderId) -> Result<(), StoreError> {
    loop {
        let now = node.clock.now();
        let is_empty = node
            .store
            .commit(move |tx| {
                tx.mark_essential();
                let is_empty = expunge::remove_batch(tx, now, id)? == 0;
                if is_empty {
                    row::delete::<DeletedFolderRow>(tx, &id.key());
                }
                Ok::<_, StoreError>(is_empty)
            })
            .await?;
        if is_empty {
            return Ok(());
        }
    }
}
