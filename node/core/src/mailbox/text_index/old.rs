//! The index of earlier versions, which had grams of whole texts. Its rows are deleted when the
//! node starts, and the messages are read again.

use crate::node::Node;
use crate::store::{Scan, StoreError, Table, Tx};

/// Its tables.
const TABLES: [Table; 5] = [
    Table::new("mailbox_text_indexed"),
    Table::new("mailbox_text_runs"),
    Table::new("mailbox_text_signatures"),
    Table::new("mailbox_text_postings"),
    Table::new("mailbox_text_dropped"),
];
/// Rows that one commit deletes.
const DELETED_PER_COMMIT: usize = 400;

/// Deletes some rows; false if there are none.
pub(super) async fn delete_some(node: &Node) -> Result<bool, StoreError> {
    for table in TABLES {
        let keys = node.store.keys(table, &Scan::prefix(&[], DELETED_PER_COMMIT))?;
        if !keys.is_empty() {
            let commit = move |tx: &mut Tx<'_>| {
                tx.mark_essential();
                keys.iter().for_each(|key| tx.delete(table, key));
                Ok::<_, StoreError>(())
            };
            node.store.commit(commit).await?;
            return Ok(true);
        }
    }
    Ok(false)
}
