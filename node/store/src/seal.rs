//! Seals: data at rest is encrypted and bound to its position by associated data, so that a flipped
//! bit or a swapped row is an error and never a wrong result.
//!
//! A sealed row: format byte (1), row version (8 bytes, big-endian), nonce (24), ciphertext, tag
//! (16). Its plaintext: number of blobs (2 bytes, big-endian), that many ids (32 each), the value.
//! Associated data: the label, the row version, the table's name and its length, the row's key.

use std::fmt;
use std::ops::Range;

use chacha20poly1305::aead::{Aead, AeadInOut, KeyInit, Payload};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::types::{BlobId, Row, StoreError};
use freehold_proto::random::Random;

/// The length of every secret key here, in bytes.
pub const KEY_LEN: usize = 32;
/// The length of a nonce, in bytes.
pub const NONCE_LEN: usize = 24; // draft-irtf-cfrg-xchacha-03 section 2.3
/// The bytes that a seal adds: nonce and tag.
pub const OVERHEAD_LEN: usize = NONCE_LEN + TAG_LEN;
const TAG_LEN: usize = 16; // RFC 8439 2.8

const ROW_FORMAT: u8 = 1;
const ROW_HEAD_LEN: usize = 1 + 8;
const ROW_LABEL: &[u8] = b"freehold row 1";

/// A secret key, zeroized when dropped.
pub type SecretKey = Zeroizing<[u8; KEY_LEN]>;

/// Seals and unseals under one key. Cheap to clone.
#[derive(Clone)]
pub struct Seal(XChaCha20Poly1305);

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal")
    }
}

impl Seal {
    /// A seal under `key`.
    pub fn new(key: &SecretKey) -> Self {
        Self(XChaCha20Poly1305::new((&**key).into()))
    }

    /// A seal under the key derived from `key` for the purpose `label`; labels are never reused.
    pub fn derived(key: &SecretKey, label: &str) -> Self {
        Self::new(&derive(key, label))
    }

    /// Seals `plaintext` with a random nonce, bound to the associated data `aad`. The result begins
    /// with the nonce.
    ///
    /// # Errors
    /// If it is too long for the cipher (256 GiB).
    pub fn seal(
        &self,
        random: &Random,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LEN] = random.array();
        let too_long = |_| StoreError::TooLarge {
            what: "plaintext",
            len: plaintext.len(),
            len_max: u32::MAX as usize,
        };
        let sealed = self
            .0
            .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad })
            .map_err(too_long)?;
        Ok([&nonce[..], &sealed].concat())
    }

    /// Unseals `sealed` where it is; `None` if it is damaged, or was sealed under another key or
    /// with other associated data. Returns the place of the plaintext.
    pub fn open_in_place(&self, aad: &[u8], sealed: &mut [u8]) -> Option<Range<usize>> {
        let (nonce, rest) = sealed.split_first_chunk_mut::<NONCE_LEN>()?;
        let (content, tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        let (nonce, tag) = (XNonce::from(*nonce), Tag::from(*tag));
        let len = content.len();
        self.0.decrypt_inout_detached(&nonce, aad, content.into(), &tag).ok()?;
        Some(NONCE_LEN..NONCE_LEN.saturating_add(len))
    }

    /// Unseals `sealed`; `None` if it is damaged, or was sealed under another key or with other
    /// associated data.
    pub fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        self.0.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad }).ok().map(Zeroizing::new)
    }
}

/// Derives the key for the purpose `label` from `key`.
pub fn derive(key: &SecretKey, label: &str) -> SecretKey {
    Zeroizing::new(blake3::derive_key(label, &**key))
}

/// Seals and unseals rows. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RowSeal {
    seal: Seal,
    random: Random,
}

impl RowSeal {
    /// The seal of rows under the store key.
    pub fn new(store_key: &SecretKey, random: Random) -> Self {
        Self { seal: Seal::derived(store_key, "freehold 2026 rows"), random }
    }

    /// Seals `row` for the engine.
    ///
    /// # Errors
    /// If it refers to more than 65,535 blobs.
    pub fn seal(&self, table: &str, key: &[u8], row: &Row) -> Result<Vec<u8>, StoreError> {
        let too_many = |_| StoreError::TooLarge {
            what: "blobs of a row",
            len: row.blobs.len(),
            len_max: u16::MAX.into(),
        };
        let blobs = u16::try_from(row.blobs.len()).map_err(too_many)?;
        let mut plaintext =
            Zeroizing::new(Vec::with_capacity(2 + row.blobs.len() * 32 + row.value.len()));
        plaintext.extend_from_slice(&blobs.to_be_bytes());
        for blob in &row.blobs {
            plaintext.extend_from_slice(&blob.0);
        }
        plaintext.extend_from_slice(&row.value);
        let sealed =
            self.seal.seal(&self.random, &associated_data(table, key, row.version), &plaintext)?;
        let mut bytes = Vec::with_capacity(ROW_HEAD_LEN + sealed.len());
        bytes.push(ROW_FORMAT);
        bytes.extend_from_slice(&row.version.to_be_bytes());
        bytes.extend_from_slice(&sealed);
        Ok(bytes)
    }

    /// Unseals a row from the engine.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the bytes are damaged or another row's.
    pub fn open(&self, table: &str, key: &[u8], bytes: Vec<u8>) -> Result<Row, StoreError> {
        self.try_open(table, key, bytes)
            .ok_or_else(|| StoreError::Corrupt { table: table.to_owned(), key: key.to_vec() })
    }

    /// The bytes become the row's value: a walk over many rows copies none.
    fn try_open(&self, table: &str, key: &[u8], mut bytes: Vec<u8>) -> Option<Row> {
        let (head, sealed) = bytes.split_first_chunk_mut::<ROW_HEAD_LEN>()?;
        let [format, version @ ..] = *head;
        if format != ROW_FORMAT {
            return None;
        }
        let version = u64::from_be_bytes(version);
        let place = self.seal.open_in_place(&associated_data(table, key, version), sealed)?;
        let (count, rest) = sealed.get(place.clone())?.split_first_chunk::<2>()?;
        let (ids, value) = rest.split_at_checked(usize::from(u16::from_be_bytes(*count)) * 32)?;
        let blobs = ids.as_chunks::<32>().0.iter().map(|id| BlobId(*id)).collect();
        let value_len = value.len();
        bytes.truncate(ROW_HEAD_LEN.checked_add(place.end)?);
        bytes.drain(..bytes.len().checked_sub(value_len)?);
        Some(Row { version, value: bytes, blobs })
    }
}

fn associated_data(table: &str, key: &[u8], version: u64) -> Vec<u8> {
    let table_len = u32::try_from(table.len()).unwrap_or(u32::MAX);
    [ROW_LABEL, &version.to_be_bytes(), &table_len.to_be_bytes(), table.as_bytes(), key].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row_seal() -> RowSeal {
        RowSeal::new(&Zeroizing::new([7; 32]), Random::seeded(1))
    }

    fn row(value: &[u8], blobs: usize) -> Row {
        Row {
            version: 42,
            value: value.to_vec(),
            blobs: (0..blobs).map(|n| BlobId([u8::try_from(n).unwrap(); 32])).collect(),
        }
    }

    #[test]
    fn flipped_bit_in_a_sealed_row_is_detected() {
        let seal = row_seal();
        let sealed = seal.seal("posts", b"key", &row(b"a value", 2)).unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let expected = StoreError::Corrupt { table: "posts".into(), key: b"key".to_vec() };
            assert_eq!(seal.open("posts", b"key", damaged), Err(expected), "bit {bit}");
        }
    }

    #[test]
    fn truncated_sealed_row_is_refused() {
        let seal = row_seal();
        let sealed = seal.seal("posts", b"key", &row(b"a value", 1)).unwrap();
        for len in 0..sealed.len() {
            assert!(seal.open("posts", b"key", sealed[..len].to_vec()).is_err());
        }
        assert!(seal.open("posts", b"key", [sealed.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn sealed_row_under_another_key_is_refused() {
        let seal = row_seal();
        let sealed = seal.seal("ab", b"cd", &row(b"v", 0)).unwrap();
        assert!(seal.open("ab", b"cd", sealed.clone()).is_ok());
        for (table, key) in [("ab", &b"ce"[..]), ("abc", b"d"), ("a", b"bcd"), ("", b"abcd")] {
            assert!(seal.open(table, key, sealed.clone()).is_err(), "{table} {key:?}");
        }
        let other = RowSeal::new(&Zeroizing::new([8; 32]), Random::seeded(1));
        assert!(other.open("ab", b"cd", sealed).is_err());
    }

    #[test]
    fn sealing_a_row_twice_uses_different_nonces() {
        let seal = row_seal();
        let (one, two) = (
            seal.seal("t", b"k", &row(b"v", 0)).unwrap(),
            seal.seal("t", b"k", &row(b"v", 0)).unwrap(),
        );
        assert_ne!(one, two);
        assert_ne!(one[9..33], two[9..33]);
    }

    /// The format cannot change: these bytes were written by the first version and must always
    /// open.
    #[test]
    fn sealed_row_of_the_first_version_opens() {
        let sealed = include_str!("seal/row-1.hex").trim();
        let sealed = data_encoding::HEXLOWER.decode(sealed.as_bytes()).unwrap();
        let seal = row_seal();
        assert_eq!(
            seal.open("posts", b"key", sealed.clone()).unwrap(),
            row(b"a value that stays", 1)
        );
        // The same randomness gives the same bytes, nonce included.
        assert_eq!(
            row_seal().seal("posts", b"key", &row(b"a value that stays", 1)).unwrap(),
            sealed
        );
    }

    proptest! {
        #[test]
        fn sealed_row_round_trips(
            table in "[a-z]{1,9}",
            key in prop::collection::vec(any::<u8>(), 0..40),
            version: u64,
            value in prop::collection::vec(any::<u8>(), 0..300),
            blobs in prop::collection::vec(any::<[u8; 32]>(), 0..5),
        ) {
            let row = Row { version, value, blobs: blobs.into_iter().map(BlobId).collect() };
            let seal = row_seal();
            let sealed = seal.seal(&table, &key, &row).unwrap();
            prop_assert_eq!(seal.open(&table, &key, sealed).unwrap(), row);
        }

        #[test]
        fn random_bytes_do_not_unseal_or_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            prop_assert!(row_seal().open("t", b"k", bytes).is_err());
        }
    }
}
