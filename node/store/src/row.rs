//! The format of a row's value: one version byte, then CBOR with integer keys.
//!
//! A module that owns a table declares its row struct as a [`Record`], private unless callers use
//! the same struct, so that the format on disk and the public types can change independently.

use minicbor::{Decode, Decoder, Encode};

use crate::hints::Hint;
use crate::store::{BlobId, Row, Scan, Store, StoreError, Table, Tx};

/// A row struct with its table and the version of its layout.
pub trait Record: Encode<()> + for<'b> Decode<'b, ()> {
    /// Its table.
    const TABLE: Table;
    /// The layout's version, the first byte of every value.
    const VERSION: u8;
}

/// A source of rows: the store (durable rows) or a change (its own writes too).
pub trait Rows {
    /// One row.
    ///
    /// # Errors
    /// If the row is damaged or the store is unavailable.
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError>;
    /// Rows in key order.
    ///
    /// # Errors
    /// As [`Rows::row`].
    fn rows(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError>;
}

impl<H: Hint> Rows for Store<H> {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.get(table, key)
    }

    fn rows(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.scan(table, scan)
    }
}

impl<H: Hint> Rows for Tx<'_, H> {
    fn row(&self, table: Table, key: &[u8]) -> Result<Option<Row>, StoreError> {
        self.get(table, key)
    }

    fn rows(&self, table: Table, scan: &Scan) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
        self.scan(table, scan)
    }
}

/// A value with another version byte or another layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not of this version")]
pub struct NotThisVersion;

/// The value of a row: `version`, then `value` as CBOR.
pub fn encode<T: Encode<()>>(version: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![version];
    // Writing to memory cannot fail, and no row struct has a fallible encoder.
    let result = minicbor::encode(value, &mut bytes);
    debug_assert!(result.is_ok(), "a row struct could not be encoded");
    bytes
}

/// Decodes a value that [`encode`] wrote with the same version.
///
/// # Errors
/// If the version differs, the CBOR is not `T`, or bytes are left over.
pub fn decode<T: for<'b> Decode<'b, ()>>(version: u8, bytes: &[u8]) -> Result<T, NotThisVersion> {
    let (stored_version, rest) = bytes.split_first().ok_or(NotThisVersion)?;
    if *stored_version != version {
        return Err(NotThisVersion);
    }
    let mut decoder = Decoder::new(rest);
    let value = decoder.decode().map_err(|_| NotThisVersion)?;
    if decoder.position() == rest.len() { Ok(value) } else { Err(NotThisVersion) }
}

fn read<T: Record>(key: &[u8], row: &Row) -> Result<T, StoreError> {
    decode(T::VERSION, &row.value)
        .map_err(|_| StoreError::Corrupt { table: T::TABLE.name().to_owned(), key: key.to_vec() })
}

/// One record, if it exists.
///
/// # Errors
/// If it is damaged or the store is unavailable.
pub fn get<T: Record>(rows: &impl Rows, key: &[u8]) -> Result<Option<T>, StoreError> {
    rows.row(T::TABLE, key)?.map(|row| read(key, &row)).transpose()
}

/// Records in key order, each with its key.
///
/// # Errors
/// As [`get`].
pub fn scan<T: Record>(rows: &impl Rows, scan: &Scan) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
    rows.rows(T::TABLE, scan)?
        .into_iter()
        .map(|(key, row)| read(&key, &row).map(|value| (key, value)))
        .collect()
}

/// Writes a record that refers to no blob.
///
/// # Errors
/// If it is over a limit of the store.
pub fn put<T: Record>(tx: &mut Tx<'_, impl Hint>, key: &[u8], value: &T) -> Result<(), StoreError> {
    tx.put(T::TABLE, key, &encode(T::VERSION, value))
}

/// Writes a record that keeps `blobs` alive.
///
/// # Errors
/// As [`put`], and if a blob is not stored.
pub fn put_referring<T: Record>(
    tx: &mut Tx<'_, impl Hint>,
    key: &[u8],
    value: &T,
    blobs: &[BlobId],
) -> Result<(), StoreError> {
    tx.put_referring(T::TABLE, key, &encode(T::VERSION, value), blobs)
}

/// Deletes a record; a missing one is no error.
pub fn delete<T: Record>(tx: &mut Tx<'_, impl Hint>, key: &[u8]) {
    tx.delete(T::TABLE, key);
}

/// The concatenation of `parts` as a key.
pub fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The `N` bytes of `key` from `at`; zeros if the key is shorter.
pub fn key_part<const N: usize>(key: &[u8], at: usize) -> [u8; N] {
    key.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// `text` truncated to at most `len_max` bytes, at a character boundary.
pub fn cut(text: &str, len_max: usize) -> &str {
    text.get(..text.floor_char_boundary(len_max)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use freehold_proto::clock::Timestamp;

    #[derive(Debug, PartialEq, Encode, Decode)]
    #[cbor(map)]
    struct Sample {
        #[n(0)]
        name: String,
        #[n(1)]
        at: Timestamp,
        #[n(2)]
        blob: Option<BlobId>,
    }

    #[test]
    fn row_value_round_trips() {
        let sample = Sample { name: "a".into(), at: Timestamp(7), blob: Some(BlobId([9; 32])) };
        assert_eq!(decode::<Sample>(1, &encode(1, &sample)), Ok(sample));
    }

    #[test]
    fn value_of_another_version_or_length_is_refused() {
        let mut bytes = encode(1, &Sample { name: String::new(), at: Timestamp(0), blob: None });
        assert_eq!(decode::<Sample>(2, &bytes), Err(NotThisVersion));
        bytes.push(0);
        assert_eq!(decode::<Sample>(1, &bytes), Err(NotThisVersion));
        assert_eq!(decode::<Sample>(1, &[]), Err(NotThisVersion));
    }
}
