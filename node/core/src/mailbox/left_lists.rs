//! The mailing lists that the owner has asked to leave from the page of a message. A list is known
//! by the address that was asked: lists of one sender are left each on its own, and only the list
//! knows whether it took the request.

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// Under the hash of the address that was asked.
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

/// The key of a list. The address is a stranger's, of any length; its case matters (RFC 3986
/// 6.2.2).
fn key(target: &str) -> [u8; 16] {
    row::key_part(blake3::hash(target.as_bytes()).as_bytes(), 0)
}

/// Records that the owner has asked to leave a list. `target` is the URI that was asked
/// (List-Unsubscribe, RFC 2369 3.2).
///
/// # Errors
/// The store's.
pub async fn record_asked_to_leave(node: &Node, target: &str) -> Result<(), StoreError> {
    let (key, left) = (key(target), LeftRow { at: node.clock.now() });
    node.store.commit(move |tx: &mut Tx<'_>| row::put(tx, &key, &left)).await
}

/// When the owner last asked to leave the list of this URI; `None` if they did not.
///
/// # Errors
/// When the row is damaged or the store is unavailable.
pub fn asked_to_leave(node: &Node, target: &str) -> Result<Option<Timestamp>, StoreError> {
    Ok(row::get::<LeftRow>(&node.store, &key(target))?.map(|left| left.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn left_list_is_known_by_its_address_alone() {
        let alice = TestNode::new("alice").await;
        record_asked_to_leave(&alice, "https://l.example/u?Aa").await.unwrap();
        let now = alice.clock.now();
        assert_eq!(asked_to_leave(&alice, "https://l.example/u?Aa").unwrap(), Some(now));
        assert_eq!(asked_to_leave(&alice, "https://l.example/u?aA").unwrap(), None);
    }
}
