//! One record of the log: a group of changes, sealed, chained to the record before it, and checked
//! before it is believed.
//!
//! Layout, integers little-endian: magic (4), length of the sealed payload (4), generation of its
//! segment (8), first position (8), number of positions (4), reserved (4), hash of the record
//! before (32), sealed payload, checksum (16). Records begin at multiples of 8. A record's hash is
//! BLAKE3 of the log's id and all before the checksum; the checksum is its first half.

use super::{Hash, LogId};

/// The bytes before the sealed payload.
pub(super) const HEAD_LEN: usize = 64;
const SUM_LEN: usize = 16;
const MAGIC: [u8; 4] = *b"FHr1";
/// Records begin at multiples of this.
pub(super) const ALIGN: usize = 8;
const PLACE_LABEL: &[u8] = b"freehold log record 1";

/// A record that verified.
#[derive(Debug)]
pub(super) struct Record<'a> {
    pub(super) generation: u64,
    /// The position of its first change.
    pub(super) first: u64,
    /// How many changes it holds.
    pub(super) count: u32,
    /// The hash of the record before it.
    pub(super) before: Hash,
    pub(super) hash: Hash,
    pub(super) sealed: &'a [u8],
    /// With its padding.
    pub(super) len: usize,
}

/// Where a record stands, for its seal.
pub(super) fn place(log: &LogId, generation: u64, first: u64, count: u32) -> Vec<u8> {
    [PLACE_LABEL, log, &generation.to_le_bytes(), &first.to_le_bytes(), &count.to_le_bytes()]
        .concat()
}

/// Appends a record's bytes, padding included, to `out` (which begins at a record's start) and
/// gives its hash.
pub(super) fn encode(
    log: &LogId,
    generation: u64,
    first: u64,
    count: u32,
    before: &Hash,
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
    out.extend_from_slice(before);
    out.extend_from_slice(sealed);
    let hash = hash(log, out.get(start..).unwrap_or_default());
    out.extend_from_slice(hash.get(..SUM_LEN).unwrap_or_default());
    out.resize(start + (out.len() - start).next_multiple_of(ALIGN), 0);
    hash
}

/// The record at the start of `bytes`; `None` when there is none or it is not whole.
pub(super) fn decode<'a>(log: &LogId, bytes: &'a [u8]) -> Option<Record<'a>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_LEN>()?;
    let (magic, head) = head.split_first_chunk::<4>()?;
    if *magic != MAGIC {
        return None;
    }
    let (len, head) = head.split_first_chunk::<4>()?;
    let (generation, head) = head.split_first_chunk::<8>()?;
    let (first, head) = head.split_first_chunk::<8>()?;
    let (count, head) = head.split_first_chunk::<4>()?;
    let before = head.last_chunk::<32>()?;
    let (sealed, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let whole = HEAD_LEN + sealed.len();
    let hash = hash(log, bytes.get(..whole)?);
    if rest.get(..SUM_LEN)? != hash.get(..SUM_LEN)? {
        return None;
    }
    Some(Record {
        generation: u64::from_le_bytes(*generation),
        first: u64::from_le_bytes(*first),
        count: u32::from_le_bytes(*count),
        before: *before,
        hash,
        sealed,
        len: (whole + SUM_LEN).next_multiple_of(ALIGN),
    })
}

fn hash(log: &LogId, bytes: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(log).update(bytes);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_believed_only_whole() {
        let log = [7; 16];
        let mut bytes = Vec::new();
        let hash = encode(&log, 3, 41, 2, &[9; 32], b"sealed things", &mut bytes);
        assert_eq!(bytes.len() % ALIGN, 0);
        let record = decode(&log, &bytes).unwrap();
        assert_eq!(
            (record.generation, record.first, record.count, record.before, record.hash),
            (3, 41, 2, [9; 32], hash)
        );
        assert_eq!((record.sealed, record.len), (&b"sealed things"[..], bytes.len()));
        assert!(decode(&[8; 16], &bytes).is_none(), "another log's");
        let checked = HEAD_LEN + 13 + SUM_LEN;
        for at in 0..checked {
            let mut torn = bytes.clone();
            torn[at] ^= 0x10;
            assert!(decode(&log, &torn).is_none(), "byte {at}");
            assert!(decode(&log, &bytes[..at]).is_none());
        }
    }
}
