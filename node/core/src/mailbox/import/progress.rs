//! How far the import from each folder of an account at another provider has come, so that the next
//! import reads only what is new there.
//!
//! On disk: a row for each folder, under a keyed hash of account and folder. A folder whose
//! UIDVALIDITY has changed there is read from its beginning (RFC 3501 2.3.1.1).

use minicbor::{Decode, Encode};

use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table};

/// The last message of a folder that was imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ImportProgress {
    /// The folder's UIDVALIDITY there.
    #[n(0)]
    pub uid_validity: u32,
    /// The UID of the message there.
    #[n(1)]
    pub uid: u32,
}

impl Record for ImportProgress {
    const TABLE: Table = Table::new("mailbox_imported");
    const VERSION: u8 = 1;
}

fn key(node: &Node, account: &str, folder: &str) -> Result<[u8; 16], StoreError> {
    node.keyed("mailbox.imported", &[account.as_bytes(), folder.as_bytes()].join(&0))
}

/// How far `folder` of `account` was imported; `None` if it never was.
///
/// # Errors
/// The store's.
pub fn import_progress(
    node: &Node,
    account: &str,
    folder: &str,
) -> Result<Option<ImportProgress>, StoreError> {
    row::get(&node.store, &key(node, account, folder)?)
}

/// Records that `folder` of `account` was imported up to a message. The messages are durable
/// already.
///
/// # Errors
/// The store's.
pub async fn set_import_progress(
    node: &Node,
    account: &str,
    folder: &str,
    progress: ImportProgress,
) -> Result<(), StoreError> {
    let key = key(node, account, folder)?;
    node.store.commit(move |tx| row::put(tx, &key, &progress)).await
}
