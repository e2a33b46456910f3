//! The payload of a record: the changes of one group, in order, each with its sealed rows and its
//! small blobs.
//!
//! Layout, integers little-endian: format (1), then per change: number of rows (4), each table (1 +
//! n), key (2 + n), and 0 for a delete or 1 and the value (4 + n); number of blobs (2), each id
//! (32), form (1), bytes (4 + n). The form is 2; earlier versions also wrote 1, for blobs that they
//! stored unsealed.

use std::borrow::Cow;

use crate::blobs::SmallBlob;
use crate::types::BlobId;

const FORMAT: u8 = 1;
/// The form of every blob.
const SEALED: u8 = 2;
/// The form of some blobs in logs of earlier versions.
const PLAIN: u8 = 1;

/// A write of one row as the engine stores it: a put (`Some`) or a delete (`None`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowWrite {
    pub(crate) table: Cow<'static, str>,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Vec<u8>>,
}

/// One change of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) rows: Vec<RowWrite>,
    pub(crate) blobs: Vec<SmallBlob>,
}

/// Encodes `changes` as a payload.
pub(crate) fn encode(changes: &[Change]) -> Vec<u8> {
    let mut out = vec![FORMAT];
    for change in changes {
        put_u32(&mut out, change.rows.len());
        for row in &change.rows {
            out.push(u8::try_from(row.table.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(row.table.as_bytes());
            out.extend_from_slice(&u16::try_from(row.key.len()).unwrap_or(u16::MAX).to_le_bytes());
            out.extend_from_slice(&row.key);
            match &row.value {
                None => out.push(0),
                Some(value) => {
                    out.push(1);
                    put_u32(&mut out, value.len());
                    out.extend_from_slice(value);
                }
            }
        }
        out.extend_from_slice(&u16::try_from(change.blobs.len()).unwrap_or(u16::MAX).to_le_bytes());
        for blob in &change.blobs {
            out.extend_from_slice(&blob.id.0);
            out.push(SEALED);
            put_u32(&mut out, blob.bytes.len());
            out.extend_from_slice(&blob.bytes);
        }
    }
    out
}

/// Decodes the `count` changes of `payload`; `None` if it is malformed or holds another number.
pub(crate) fn decode(payload: &[u8], count: u32) -> Option<Vec<Change>> {
    let mut cursor = Cursor(payload);
    if cursor.u8()? != FORMAT {
        return None;
    }
    let changes = (0..count).map(|_| cursor.change()).collect::<Option<Vec<_>>>()?;
    cursor.0.is_empty().then_some(changes)
}

fn put_u32(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
}

/// The part of a payload that is not decoded yet.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[n]| n)
    }

    fn u16(&mut self) -> Option<usize> {
        self.array().map(u16::from_le_bytes).map(usize::from)
    }

    fn u32(&mut self) -> Option<usize> {
        self.array().map(u32::from_le_bytes).and_then(|n| usize::try_from(n).ok())
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn change(&mut self) -> Option<Change> {
        let mut change = Change::default();
        for _ in 0..self.u32()? {
            let len = self.u8()?;
            let table = std::str::from_utf8(self.bytes(len.into())?).ok()?.to_owned();
            let len = self.u16()?;
            let key = self.bytes(len)?.to_vec();
            let value = match self.u8()? {
                0 => None,
                1 => {
                    let len = self.u32()?;
                    Some(self.bytes(len)?.to_vec())
                }
                _ => return None,
            };
            change.rows.push(RowWrite { table: table.into(), key, value });
        }
        for _ in 0..self.u16()? {
            let id = BlobId(self.array()?);
            if ![PLAIN, SEALED].contains(&self.u8()?) {
                return None;
            }
            let len = self.u32()?;
            change.blobs.push(SmallBlob { id, bytes: self.bytes(len)?.into() });
        }
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn group_round_trips_and_truncation_is_refused() {
        let put = RowWrite { table: "posts".into(), key: b"k".to_vec(), value: Some(vec![1; 300]) };
        let delete = RowWrite { table: "t".into(), key: vec![0; 256], value: None };
        let blob = SmallBlob { id: BlobId([3; 32]), bytes: vec![7; 1000].into() };
        let changes =
            vec![Change { rows: vec![put, delete], blobs: vec![blob] }, Change::default()];
        let payload = encode(&changes);
        assert_eq!(decode(&payload, 2), Some(changes));
        assert_eq!(decode(&payload, 1), None);
        assert_eq!(decode(&payload, 3), None);
        for len in 0..payload.len() {
            assert_eq!(decode(&payload[..len], 2), None);
        }
    }

    #[test]
    fn plain_blob_of_an_earlier_version_is_read() {
        let blob = SmallBlob { id: BlobId([3; 32]), bytes: vec![7; 10].into() };
        let changes = vec![Change { rows: Vec::new(), blobs: vec![blob] }];
        let mut payload = encode(&changes);
        let form = payload.len() - 10 - 4 - 1;
        assert_eq!(payload[form], SEALED);
        payload[form] = PLAIN;
        assert_eq!(decode(&payload, 1), Some(changes));
        payload[form] = 3;
        assert_eq!(decode(&payload, 1), None);
    }
}
