//! Senders whose pictures from elsewhere the owner always wants shown.
//!
//! An address alone is remembered, never a domain: with a picture its sender learns that the owner
//! reads. The caller shows the pictures of a message only if it is proven to be of that sender.

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::domain_name;
use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most senders that are remembered.
pub const PICTURE_SENDERS_MAX: usize = 1_000;
/// The longest address, in bytes (RFC 5321 4.5.3.1.3).
const ADDRESS_LEN_MAX: usize = 254;

/// A sender whose pictures are always shown. Under a keyed hash of the address.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct PictureSender {
    /// The address, in lower case.
    #[n(0)]
    pub address: String,
    /// When the owner said so.
    #[n(1)]
    pub since: Timestamp,
}

impl Record for PictureSender {
    const TABLE: Table = Table::new("mailbox_picture_senders");
    const VERSION: u8 = 1;
}

/// Why a sender is not remembered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PictureSenderError {
    /// The text is no address.
    #[error("{0:?} is no address, as ann@example.org")]
    Malformed(String),
    /// There would be more than [`PICTURE_SENDERS_MAX`].
    #[error("at most {PICTURE_SENDERS_MAX} senders are remembered")]
    TooMany,
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// The address as it is stored; `None` if the text is none.
fn normal(address: &str) -> Option<String> {
    let (local, domain) = address.trim().rsplit_once('@')?;
    let domain = domain_name::ascii(domain)?;
    let is_plain = !local.is_empty() && !local.chars().any(|c| c.is_whitespace() || c.is_control());
    let normal = format!("{}@{domain}", local.to_lowercase());
    (is_plain && domain_name::is_host(&domain) && normal.len() <= ADDRESS_LEN_MAX).then_some(normal)
}

fn key(node: &Node, normal: &str) -> Result<[u8; 16], StoreError> {
    node.keyed("mailbox.picture_senders", normal.as_bytes())
}

/// Remembers a sender. One that is known is no error.
///
/// # Errors
/// When the address is malformed, there are too many, or the store refuses.
pub async fn add_picture_sender(node: &Node, address: &str) -> Result<(), PictureSenderError> {
    let malformed = || PictureSenderError::Malformed(address.to_owned());
    let sender =
        PictureSender { address: normal(address).ok_or_else(malformed)?, since: node.clock.now() };
    let key = key(node, &sender.address)?;
    let commit = move |tx: &mut Tx<'_>| {
        if row::get::<PictureSender>(tx, &key)?.is_some() {
            return Ok(());
        }
        let all = Scan::prefix(&[], PICTURE_SENDERS_MAX);
        if tx.scan(PictureSender::TABLE, &all)?.len() >= PICTURE_SENDERS_MAX {
            return Err(PictureSenderError::TooMany);
        }
        Ok(row::put(tx, &key, &sender)?)
    };
    node.store.commit(commit).await
}

/// Forgets a sender. One that is not known is no error.
///
/// # Errors
/// When the store refuses.
pub async fn remove_picture_sender(node: &Node, address: &str) -> Result<(), StoreError> {
    let Some(address) = normal(address) else { return Ok(()) };
    let key = key(node, &address)?;
    let commit = move |tx: &mut Tx<'_>| {
        row::delete::<PictureSender>(tx, &key);
        Ok::<_, StoreError>(())
    };
    node.store.commit(commit).await
}

/// Whether the owner always wants the pictures of this address.
///
/// # Errors
/// When a row is damaged or the store is unavailable.
pub fn is_picture_sender(node: &Node, address: &str) -> Result<bool, StoreError> {
    let Some(address) = normal(address) else { return Ok(false) };
    Ok(row::get::<PictureSender>(&node.store, &key(node, &address)?)?.is_some())
}

/// All remembered senders, by address.
///
/// # Errors
/// As [`is_picture_sender`].
pub fn picture_senders(node: &Node) -> Result<Vec<PictureSender>, StoreError> {
    let all = Scan::prefix(&[], PICTURE_SENDERS_MAX);
    let found = row::scan::<PictureSender>(&node.store, &all)?;
    let mut senders: Vec<PictureSender> = found.into_iter().map(|(_, sender)| sender).collect();
    senders.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(senders)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn picture_sender_is_remembered_by_its_address() {
        let alice = TestNode::new("alice").await;
        add_picture_sender(&alice, "News@Shop.Example").await.unwrap();
        add_picture_sender(&alice, "news@shop.example.").await.unwrap();
        let is_known = |address: &str| is_picture_sender(&alice, address).unwrap();
        assert!(is_known("news@SHOP.example") && !is_known("news@x.shop.example"));
        assert!(!is_known("other@shop.example") && !is_known("") && !is_known("@shop.example"));
        let listed = picture_senders(&alice).unwrap();
        assert_eq!((listed.len(), listed[0].address.as_str()), (1, "news@shop.example"));
        remove_picture_sender(&alice, "NEWS@shop.example").await.unwrap();
        assert!(!is_known("news@shop.example"));
    }

    #[tokio::test]
    async fn text_that_is_no_address_is_not_remembered() {
        let alice = TestNode::new("alice").await;
        let long = format!("{}@shop.example", "a".repeat(300));
        for text in ["", "ann", "@shop.example", "a b@shop.example", "a\n@b.c", "a@..", &long] {
            let added = add_picture_sender(&alice, text).await;
            assert!(matches!(added, Err(PictureSenderError::Malformed(_))), "{text:?}");
        }
    }
}
