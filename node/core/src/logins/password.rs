//! The owner's password, hashed with Argon2id (RFC 9106) with OWASP's parameters: 19 MiB, two
//! passes, one lane. It is normalised to NFC first (RFC 8265 4.2.2): keyboards differ in how they
//! compose an umlaut.

use argon2::{Algorithm, Argon2, Params, Version};
use minicbor::{Decode, Encode};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use unicode_normalization::{UnicodeNormalization, is_nfc};
use zeroize::Zeroizing;

use crate::node::Node;
use crate::row::{self, Record};
use crate::store::{StoreError, Table, Tx};

/// The shortest password, in characters.
pub const PASSWORD_LEN_MIN: usize = 10;
/// The longest password, in bytes.
pub const PASSWORD_LEN_MAX: usize = 1000;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes computed at once in this process: each takes 19 MiB and a core.
static HASHING: Semaphore = Semaphore::const_new(2);

/// Why a password was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Shorter than [`PASSWORD_LEN_MIN`].
    #[error("the password needs at least {PASSWORD_LEN_MIN} characters")]
    TooShort,
    /// Longer than [`PASSWORD_LEN_MAX`].
    #[error("the password may have at most {PASSWORD_LEN_MAX} bytes")]
    TooLong,
    /// There is not enough memory to hash it.
    #[error("the password could not be hashed")]
    Hash,
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

#[derive(Clone, Encode, Decode)]
#[cbor(map)]
pub(super) struct PasswordRow {
    #[cbor(n(0), with = "minicbor::bytes")]
    salt: [u8; 16],
    #[cbor(n(1), with = "minicbor::bytes")]
    hash: [u8; 32],
    #[n(2)]
    memory_kib: u32,
    #[n(3)]
    passes: u32,
    #[n(4)]
    lanes: u32,
}

impl Record for PasswordRow {
    const TABLE: Table = Table::new("logins_password");
    const VERSION: u8 = 1;
}

const OWNER: &[u8] = b"owner";

pub(super) fn put(tx: &mut Tx<'_>, row: &PasswordRow) -> Result<(), StoreError> {
    row::put(tx, OWNER, row)
}

pub(super) fn is_set(rows: &impl row::Rows) -> Result<bool, StoreError> {
    Ok(row::get::<PasswordRow>(rows, OWNER)?.is_some())
}

/// Checks the length of a password without setting it.
///
/// # Errors
/// When the password is too short or too long.
pub fn check_password(password: &str) -> Result<(), PasswordError> {
    if password.chars().count() < PASSWORD_LEN_MIN {
        return Err(PasswordError::TooShort);
    }
    if password.len() > PASSWORD_LEN_MAX {
        return Err(PasswordError::TooLong);
    }
    Ok(())
}

/// The row of `password`, computed on a blocking thread.
pub(super) async fn hashed(node: &Node, password: &str) -> Result<PasswordRow, PasswordError> {
    check_password(password)?;
    let mut row = PasswordRow {
        salt: node.random.array(),
        hash: [0; 32],
        memory_kib: MEMORY_KIB,
        passes: PASSES,
        lanes: LANES,
    };
    row.hash = *computed(&row, &normalised(password)).await.ok_or(PasswordError::Hash)?;
    Ok(row)
}

/// The stored hash of the owner's password, or none.
pub(super) struct StoredPassword(Option<PasswordRow>);

/// Reads the hash of the owner's password.
pub(super) fn stored(node: &Node) -> Result<StoredPassword, StoreError> {
    row::get::<PasswordRow>(&node.store, OWNER).map(StoredPassword)
}

impl StoredPassword {
    /// True if `password` is the owner's. Takes the same time when no password is set.
    ///
    /// # Errors
    /// When there is not enough memory to hash it.
    pub(super) async fn matches(self, password: &str) -> Result<bool, StoreError> {
        let is_set = self.0.is_some();
        let row = self.0.unwrap_or(PasswordRow {
            salt: [0; 16],
            hash: [0; 32],
            memory_kib: MEMORY_KIB,
            passes: PASSES,
            lanes: LANES,
        });
        if password.len() > PASSWORD_LEN_MAX {
            return Ok(false);
        }
        // Earlier versions hashed a password as it was typed.
        let typed = (!is_nfc(password)).then(|| Zeroizing::new(password.to_owned()));
        for form in [normalised(password)].into_iter().chain(typed) {
            let hash = computed(&row, &form).await.ok_or_else(|| {
                StoreError::Unavailable("not enough memory to hash a password".to_owned())
            })?;
            if is_set && bool::from(hash.ct_eq(&row.hash)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn normalised(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfc().collect())
}

async fn computed(row: &PasswordRow, password: &str) -> Option<Zeroizing<[u8; 32]>> {
    let _permit = HASHING.acquire().await.ok()?;
    let (row, password) = (row.clone(), Zeroizing::new(password.to_owned()));
    let hash = move || {
        let params = Params::new(row.memory_kib, row.passes, row.lanes, None).ok()?;
        let mut hash = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password.as_bytes(), &row.salt, hash.as_mut())
            .ok()?;
        Some(hash)
    };
    crate::blocking::blocking(hash).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    const COMPOSED: &str = "gr\u{fc}n am See";
    const DECOMPOSED: &str = "gru\u{308}n am See";

    async fn is_right(node: &Node, password: &str) -> bool {
        stored(node).unwrap().matches(password).await.unwrap()
    }

    #[tokio::test]
    async fn password_matches_however_it_is_composed() {
        let alice = TestNode::new("alice").await;
        for set in [COMPOSED, DECOMPOSED] {
            super::super::set_password(&alice, set).await.unwrap();
            assert!(is_right(&alice, COMPOSED).await && is_right(&alice, DECOMPOSED).await);
            assert!(!is_right(&alice, "grun am See").await);
        }
    }

    #[tokio::test]
    async fn decomposed_password_of_earlier_version_matches() {
        let alice = TestNode::new("alice").await;
        let mut row = hashed(&alice, COMPOSED).await.unwrap();
        row.hash = *computed(&row, DECOMPOSED).await.unwrap();
        alice.store.commit(move |tx| put(tx, &row)).await.unwrap();
        assert!(is_right(&alice, DECOMPOSED).await && !is_right(&alice, COMPOSED).await);
    }
}
