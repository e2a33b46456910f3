//! Slices of a BLAKE3 tree: part of a blob together with the hashes that prove it belongs to the
//! whole.

use std::io::{self, Cursor, Read};

use bao_tree::io::BaoContentItem;
use bao_tree::io::outboard::PreOrderOutboard;
use bao_tree::io::round_up_to_chunks;
use bao_tree::io::sync::{CreateOutboard, DecodeResponseIter, ReadAt, encode_ranges_validated};
use bao_tree::{BaoTree, BlockSize, ByteRanges, ChunkRanges};

/// 16 KiB: the tree then has a 256th of the blob's bytes, and a wrong byte is found within one
/// group.
const GROUP: BlockSize = BlockSize::from_chunk_log(4);
/// [`GROUP`] in bytes; ranges begin at a multiple of it.
pub(crate) const GROUP_LEN: u64 = 16 * 1024;

/// The hash tree of a blob's groups.
pub(crate) type Outboard = PreOrderOutboard<Vec<u8>>;

/// Hashes a blob of `len` bytes.
pub(crate) fn outboard(data: impl Read, len: u64) -> io::Result<Outboard> {
    Outboard::create_sized(data, len, GROUP)
}

fn chunks(start: u64, len: u64) -> ChunkRanges {
    round_up_to_chunks(&ByteRanges::from(start..start.saturating_add(len)))
}

/// The slice for `len` bytes from `start`.
pub(crate) fn encode(
    data: impl ReadAt,
    outboard: &Outboard,
    start: u64,
    len: u64,
) -> io::Result<Vec<u8>> {
    let mut slice = Vec::new();
    encode_ranges_validated(data, outboard, &chunks(start, len), &mut slice)
        .map_err(|error| io::Error::other(error.to_string()))?;
    Ok(slice)
}

/// The bytes in a slice, each group verified against `hash`.
///
/// # Errors
/// When any bit does not match the hash, or the slice is too short or too long.
pub(crate) fn decode(
    hash: [u8; 32],
    total: u64,
    start: u64,
    len: u64,
    slice: &[u8],
) -> io::Result<Vec<u8>> {
    let ranges = chunks(start, len);
    let mut encoded = Cursor::new(slice);
    let mut data = Vec::new();
    for item in
        DecodeResponseIter::new(hash.into(), BaoTree::new(total, GROUP), &mut encoded, &ranges)
    {
        if let BaoContentItem::Leaf(leaf) =
            item.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?
        {
            data.extend_from_slice(&leaf.data);
        }
    }
    if encoded.position() != slice.len() as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes after the slice"));
    }
    Ok(data)
}

/// Bytes in the longest slice that an honest peer sends for `len` bytes of a blob.
pub(crate) fn len_max(len: u64) -> usize {
    // A pair of hashes for each group, and for each level above them on both edges of the range.
    const LEVELS_MAX: u64 = 64;
    let pairs = len / GROUP_LEN + 2 * LEVELS_MAX;
    usize::try_from(len + GROUP_LEN + pairs * 64).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(len: usize) -> (Vec<u8>, [u8; 32], Outboard) {
        let data: Vec<u8> = (0..len).map(|i| (i * 31 % 251) as u8).collect();
        let hash = *blake3::hash(&data).as_bytes();
        let outboard = outboard(data.as_slice(), len as u64).unwrap();
        assert_eq!(*outboard.root.as_bytes(), hash);
        (data, hash, outboard)
    }

    #[test]
    fn blob_slices_decode_to_the_blob_for_every_length() {
        for len in [0, 1, 1024, 16 * 1024, 16 * 1024 + 1, 300_000, 1_200_000] {
            let (data, hash, outboard) = blob(len);
            let mut decoded = Vec::new();
            let step = 64 * 1024;
            loop {
                let start = decoded.len() as u64;
                let part = step.min(len as u64 - start);
                let slice = encode(data.as_slice(), &outboard, start, part).unwrap();
                assert!(slice.len() <= len_max(part));
                decoded.extend(decode(hash, len as u64, start, part, &slice).unwrap());
                if decoded.len() == len {
                    break;
                }
            }
            assert_eq!(decoded, data);
        }
    }

    #[test]
    fn blob_slice_with_a_flipped_bit_is_refused() {
        let (data, hash, outboard) = blob(100_000);
        let slice = encode(data.as_slice(), &outboard, 32 * 1024, 32 * 1024).unwrap();
        for at in (0..slice.len()).step_by(997) {
            let mut damaged = slice.clone();
            damaged[at] ^= 1;
            assert!(decode(hash, 100_000, 32 * 1024, 32 * 1024, &damaged).is_err());
        }
        assert!(decode(hash, 100_000, 32 * 1024, 32 * 1024, &slice[..slice.len() - 1]).is_err());
    }
}
