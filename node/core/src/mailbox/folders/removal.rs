//! Deleting a folder with everything in it.

use minicbor::{Decode, Encode};

use super::{FOLDERS_MAX, Folder, FolderError, FolderId, load};
use crate::events::Event;
use crate::mailbox::change::ChangeRow;
use crate::mailbox::{MESSAGES_PER_COMMIT, expunge};
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table};

/// A folder that is gone but whose messages are still being removed.
#[derive(Encode, Decode)]
#[cbor(map)]
pub(super) struct Doomed {}

impl Record for Doomed {
    const TABLE: Table = Table::new("mailbox_doomed");
    const VERSION: u8 = 1;
}

/// Deletes a folder and its messages; folders below it stay (RFC 9051 6.3.5).
///
/// The folder is gone with the first commit; many messages take several more, finished at the next
/// start if need be.
///
/// # Errors
/// When there is no such folder or it is special.
pub async fn delete_folder(node: &Node, id: FolderId) -> Result<(), FolderError> {
    node.store
        .commit(move |tx| {
            let folder = load(tx, id)?.ok_or(FolderError::NoSuchFolder)?;
            if folder.special.is_some() {
                return Err(FolderError::Special);
            }
            row::delete::<Folder>(tx, &id.key());
            row::put(tx, &id.key(), &Doomed {})?;
            tx.after(Event::Mailbox(id.0));
            Ok(())
        })
        .await?;
    Ok(clear_out(node, id).await?)
}

/// Goes on where a stop interrupted.
pub(super) async fn finish(node: &Node) -> Result<(), StoreError> {
    for (key, _) in row::scan::<Doomed>(&node.store, &Scan::prefix(&[], FOLDERS_MAX))? {
        clear_out(node, FolderId(u32::from_be_bytes(row::key_part(&key, 0)))).await?;
    }
    Ok(())
}

async fn clear_out(node: &Node, id: FolderId) -> Result<(), StoreError> {
    loop {
        let now = node.clock.now();
        let is_empty = node
            .store
            .commit(move |tx| {
                let messages = expunge::forget_some(tx, now, id)?;
                let changes =
                    tx.scan(ChangeRow::TABLE, &Scan::prefix(&id.key(), MESSAGES_PER_COMMIT))?;
                for (key, _) in &changes {
                    row::delete::<ChangeRow>(tx, key);
                }
                let is_empty = messages == 0 && changes.is_empty();
                if is_empty {
                    row::delete::<Doomed>(tx, &id.key());
                }
                Ok::<_, StoreError>(is_empty)
            })
            .await?;
        if is_empty {
            return Ok(());
        }
    }
}
