//! How a row's value looks on disk: one version byte, then CBOR with integer keys.
//!
//! A noun declares its row struct as a [`Record`] beside its rules, private unless it is what
//! callers see anyway, so that what is on disk and what callers see change apart from each other.

use minicbor::{Decode, Decoder, Encode};

use crate::hints::Hint;
use crate::store::{BlobId, Row, Scan, Store, StoreError, Table, Tx};

/// A row struct: where it lies and which version of its layout this code writes and reads.
pub trait Record: Encode<()> + for<'b> Decode<'b, ()> {
    /// Its table.
    const TABLE: Table;
    /// The layout's version, the first byte of every value.
    const VERSION: u8;
}

/// Whatever rows can be read from: the store (what is durable) or a change in the making (its own
/// writes too).
pub trait Rows {
    /// One row.
    ///
    /// # Errors
    /// When the row is damaged or the store is unavailable.
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

/// A value that does not say what its version byte promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a row of this version")]
pub struct NotThisVersion;

/// The value of a row: `version`, then `value` as CBOR.
pub fn encode<T: Encode<()>>(version: u8, value: &T) -> Vec<u8> {
    let mut bytes = vec![version];
    // Writing to memory cannot fail, and no row struct here has a fallible encoder.
    let written = minicbor::encode(value, &mut bytes);
    debug_assert!(written.is_ok(), "a row struct refused to be encoded");
    bytes
}

/// Reads what [`encode`] wrote with the same version.
///
/// # Errors
/// When the version differs, the CBOR is not `T`, or bytes are left over.
pub fn decode<T: for<'b> Decode<'b, ()>>(version: u8, bytes: &[u8]) -> Result<T, NotThisVersion> {
    let (found, rest) = bytes.split_first().ok_or(NotThisVersion)?;
    if *found != version {
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

/// One record, if it is there.
///
/// # Errors
/// When it is damaged or the store is unavailable.
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
/// When it is over a limit of the store.
pub fn put<T: Record>(tx: &mut Tx<'_, impl Hint>, key: &[u8], value: &T) -> Result<(), StoreError> {
    tx.put(T::TABLE, key, &encode(T::VERSION, value))
}

/// Writes a record that keeps `blobs` alive.
///
/// # Errors
/// As [`put`], and when a blob is not stored.
pub fn put_referring<T: Record>(
    tx: &mut Tx<'_, impl Hint>,
    key: &[u8],
    value: &T,
    blobs: &[BlobId],
) -> Result<(), StoreError> {
    tx.put_referring(T::TABLE, key, &encode(T::VERSION, value), blobs)
}

/// Removes a record; one that is not there is no error.
pub fn delete<T: Record>(tx: &mut Tx<'_, impl Hint>, key: &[u8]) {
    tx.delete(T::TABLE, key);
}

/// A key made of parts, one after the other.
pub fn key(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The `N` bytes of `key` from `at`; zeros where the key is shorter, which no key of ours is.
pub fn key_part<const N: usize>(key: &[u8], at: usize) -> [u8; N] {
    key.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().unwrap_or([0; N])
}

/// `text` cut to at most `len_max` bytes, at a character's boundary.
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
    fn what_was_encoded_is_decoded() {
        let sample = Sample { name: "a".into(), at: Timestamp(7), blob: Some(BlobId([9; 32])) };
        assert_eq!(decode::<Sample>(1, &encode(1, &sample)), Ok(sample));
    }

    #[test]
    fn another_version_trailing_bytes_and_nothing_at_all_are_refused() {
        let mut bytes = encode(1, &Sample { name: String::new(), at: Timestamp(0), blob: None });
        assert_eq!(decode::<Sample>(2, &bytes), Err(NotThisVersion));
        bytes.push(0);
        assert_eq!(decode::<Sample>(1, &bytes), Err(NotThisVersion));
        assert_eq!(decode::<Sample>(1, &[]), Err(NotThisVersion));
    }
}
