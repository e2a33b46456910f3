//! The mailing lists that the owner has left from the page of a message, so that leaving is not
//! offered again.

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// Under the hash of the list's name.
#[derive(Clone, Debug, Encode, Decode)]
#[cbor(map)]
struct LeftRow {
    #[n(0)]
    at: Timestamp,
}

impl Record for LeftRow {
    const TABLE: Table = Table::new("mailbox_left_lists");
    const VERSION: u8 = 1;
}

/// The key of a list. Its name is a stranger's, of any length.
fn key(list: &str) -> [u8; 16] {
    row::key_part(blake3::hash(list.to_lowercase().as_bytes()).as_bytes(), 0)
}

/// Records that the owner has left a list. `list` names it among all senders: its domain and its
/// id (RFC 2919), compared without case.
///
/// # Errors
/// The store's.
pub async fn record_left_list(node: &Node, list: &str) -> Result<(), StoreError> {
    let (key, left) = (key(list), LeftRow { at: node.clock.now() });
    node.store.commit(move |tx: &mut Tx<'_>| row::put(tx, &key, &left)).await
}

/// When the owner left a list; `None` if they did not.
///
/// # Errors
/// When the row is damaged or the store is unavailable.
pub fn left_list(node: &Node, list: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row::get::<LeftRow>(&node.store, &key(list))?.map(|left| left.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn left_list_is_known_by_its_name_alone() {
        let alice = TestNode::new("alice").await;
        record_left_list(&alice, "l.example news.l.example").await.unwrap();
        let now = alice.clock.now();
        assert_eq!(left_list(&alice, "L.example news.L.example").unwrap(), Some(now));
        assert_eq!(left_list(&alice, "m.example news.l.example").unwrap(), None);
    }
}
