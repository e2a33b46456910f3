//! The keys by which other servers can tell that mail comes from the owner's domain (DKIM, RFC
//! 6376): sets of an RSA and an ed25519 key (RFC 8463).
//!
//! On disk: a row for each set, under its number. The crate of mail makes the keys and signs.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::clock::Timestamp;
use crate::node::Node;
use crate::row::{self, Record, Rows};
use crate::store::{Scan, StoreError, Table, Tx};

/// The most sets: the newest, and earlier ones whose signatures may still be on their way.
pub const SETS_MAX: usize = 3;

/// An RSA and an ed25519 key.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct KeySet {
    /// Its number, from 1; part of the selectors.
    #[n(0)]
    pub number: u32,
    /// When it was made.
    #[n(1)]
    pub made: Timestamp,
    /// The RSA key.
    #[n(2)]
    pub rsa: Key,
    /// The ed25519 key.
    #[n(3)]
    pub ed25519: Key,
}

/// A key for signatures.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Key {
    /// The private key (PKCS #8, DER).
    #[cbor(n(0), with = "minicbor::bytes")]
    pub secret: Vec<u8>,
    /// The public key as the DNS record has it: SubjectPublicKeyInfo (DER) for RSA, 32 bytes for
    /// ed25519.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub public: Vec<u8>,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({})", self.number)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.public.len())
    }
}

impl Record for KeySet {
    const TABLE: Table = Table::new("dkim_keys");
    const VERSION: u8 = 1;
}

/// All sets, the newest last.
///
/// # Errors
/// The store's.
pub fn all(node: &Node) -> Result<Vec<KeySet>, StoreError> {
    of(&node.store)
}

fn of(rows: &impl Rows) -> Result<Vec<KeySet>, StoreError> {
    Ok(row::scan(rows, &Scan::prefix(&[], SETS_MAX))?.into_iter().map(|(_, set)| set).collect())
}

/// Adds a set and removes those before the last [`SETS_MAX`]. Returns its number. With
/// `if_none` nothing is added to other sets.
///
/// # Errors
/// The store's.
pub async fn add(node: &Node, rsa: Key, ed25519: Key, if_none: bool) -> Result<u32, StoreError> {
    let made = node.clock.now();
    node.store
        .commit(move |tx: &mut Tx<'_>| {
            let sets = of(tx)?;
            let newest = sets.last().map_or(0, |set| set.number);
            if if_none && newest > 0 {
                return Ok(newest);
            }
            let number = newest.saturating_add(1);
            let old = sets.len().saturating_sub(SETS_MAX - 1);
            for set in sets.iter().take(old) {
                row::delete::<KeySet>(tx, &set.number.to_be_bytes());
            }
            row::put(tx, &number.to_be_bytes(), &KeySet { number, made, rsa, ed25519 })?;
            Ok(number)
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn last_three_key_sets_are_kept() {
        let node = TestNode::new("ruth").await;
        let key = |byte: u8| Key { secret: vec![byte; 1300], public: vec![byte; 300] };
        for number in 1..=5u8 {
            let added = add(&node, key(number), key(number), false).await.unwrap();
            assert_eq!(added, u32::from(number));
        }
        assert_eq!(add(&node, key(9), key(9), true).await.unwrap(), 5);
        let sets = all(&node).unwrap();
        let found: Vec<(u32, u8)> =
            sets.iter().map(|set| (set.number, set.ed25519.public[0])).collect();
        assert_eq!(found, [(3, 3), (4, 4), (5, 5)]);
        assert!(!format!("{sets:?}").contains("[3, 3"), "no key is printed");
    }
}
