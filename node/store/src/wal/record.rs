//! One record of the log: a sealed group of changes, chained to the record before it by a hash and
//! protected by a checksum.
//!
//! Layout, integers little-endian: magic (4), length of the sealed payload (4), generation of its
//! segment (8), first position (8), number of positions (4), reserved (4), hash of the record
//! before (32), sealed payload, checksum (16). Records begin at multiples of 8. A record's hash is
//! BLAKE3 of the log's id and all before the checksum; the checksum is its first half.

use super::{Hash, WalId};

/// The bytes before the sealed payload.
pub(super) const HEAD_LEN: usize = 64;
const SUM_LEN: usize = 16;
const MAGIC: [u8; 4] = *b"FHr1";
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
const AAD_LABEL: &[u8] = b"freehold log record 1";

/// A record whose checksum verified.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) generation: u64,
    /// The position of its first change.
    pub(super) first: u64,
    /// The number of its changes.
    pub(super) count: u32,
    /// The hash of the record before it.
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    pub(super) sealed: &'a [u8],
    /// The length in bytes, padding included.
    pub(super) len: usize,
}

/// The associated data that binds a sealed record to its position in the log.
pub(super) fn associated_data(wal: &WalId, generation: u64, first: u64, count: u32) -> Vec<u8> {
    [AAD_LABEL, wal, &generation.to_le_bytes(), &first.to_le_bytes(), &count.to_le_bytes()].concat()
}

/// Appends a record, padding included, to `out`, whose length is a multiple of [`ALIGN`]. Returns
/// the record's hash.
pub(super) fn encode(
    wal: &WalId,
    generation: u64,
    first: u64,
    count: u32,
    previous: &Hash,
    sealed: &[u8],
    out: &mut Vec<u8>,
) -> Hash {
    let start = out.len();
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&first.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(previous);
    out.extend_from_slice(sealed);
    let hash = hash(wal, out.get(start..).unwrap_or_default());
    out.extend_from_slice(hash.get(..SUM_LEN).unwrap_or_default());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
    hash
}

/// True if a record may start here.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The length of the record at the start of `bytes` without padding, by its head; `None` if there
/// is none.
pub(super) fn len(bytes: &[u8]) -> Option<usize> {
    let head = bytes.get(..HEAD_LEN).filter(|head| may_begin(head))?;
    let len = head.get(MAGIC.len()..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*len)).ok()?.checked_add(HEAD_LEN + SUM_LEN)
}

/// The record at the start of `bytes`; `None` if there is none, or it is damaged or truncated.
pub(super) fn decode<'a>(wal: &WalId, bytes: &'a [u8]) -> Option<Record<'a>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
    let (magic, head) = head.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let (len, head) = head.split_first_chunk::<4>()?;
    let (generation, head) = head.split_first_chunk::<8>()?;
    let (first, head) = head.split_first_chunk::<8>()?;
    let (count, head) = head.split_first_chunk::<4>()?;
    let previous = head.last_chunk::<32>()?;
    let (sealed, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let checked_len = HEAD_LEN + sealed.len();
    let hash = hash(wal, bytes.get(..checked_len)?);
    if rest.get(..SUM_LEN)? != hash.get(..SUM_LEN)? {
        return None;
    }
    Some(Record {
        generation: u64::from_le_bytes(*generation),
        first: u64::from_le_bytes(*first),
        count: u32::from_le_bytes(*count),
        previous: *previous,
        hash,
        sealed,
        len: (checked_len + SUM_LEN).next_multiple_of(ALIGN),
    })
}

fn hash(wal: &WalId, bytes: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(wal).update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_or_truncated_record_is_refused() {
        let wal = [7; 16];
        let mut bytes = Vec::new();
        let hash = encode(&wal, 3, 41, 2, &[9; 32], b"sealed bytes.", &mut bytes);
        assert_eq!(bytes.len() % ALIGN, 0);
        let record = decode(&wal, &bytes).unwrap();
        assert_eq!(
            (record.generation, record.first, record.count, record.previous, record.hash),
            (3, 41, 2, [9; 32], hash)
        );
        assert_eq!((record.sealed, record.len), (&b"sealed bytes."[..], bytes.len()));
        assert!(decode(&[8; 16], &bytes).is_none(), "a record of another log");
        let checked = HEAD_LEN + 13 + SUM_LEN;
        for at in 0..checked {
            let mut torn = bytes.clone();
            torn[at] ^= 0x10;
            assert!(decode(&wal, &torn).is_none(), "byte {at}");
            assert!(decode(&wal, &bytes[..at]).is_none());
        }
    }
}
