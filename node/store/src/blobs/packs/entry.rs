//! An entry of a pack: format (1), length of the sealed content (4, little-endian), sealed content.
//! Its plaintext is the blob's id (32), then the blob. So the content is bound to the id, a pack
//! can be read without its places, and no header reveals an id. In an entry of format 2 the blob is
//! its length (4, little-endian) and a block of LZ4: most messages are text.

use zeroize::Zeroizing;

use crate::blobs::SMALL_LEN_MAX;
use crate::seal::{self, Seal};
use crate::types::{BlobId, StoreError};
use freehold_proto::random::Random;

const PLAIN: u8 = 1;
const COMPRESSED: u8 = 2;
const ID_LEN: usize = 32;
/// The length of the part before the sealed content, in bytes.
pub(super) const HEAD_LEN: usize = 5;
/// The bytes that an entry is longer than its plain or compressed blob.
pub(super) const OVERHEAD_LEN: usize = HEAD_LEN + seal::OVERHEAD_LEN + ID_LEN;
/// The length of the longest entry, in bytes.
pub(super) const LEN_MAX: usize = OVERHEAD_LEN + SMALL_LEN_MAX;
/// A blob is compressed if that saves at least the n-th part of it.
const SAVED_PART: usize = 16;

/// Seals a blob into an entry.
pub(super) fn encode(
    seal: &Seal,
    random: &Random,
    id: &BlobId,
    content: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let compressed = Zeroizing::new(lz4_flex::block::compress_prepend_size(content));
    let (format, body) = match compressed.len() <= content.len() - content.len() / SAVED_PART {
        true => (COMPRESSED, compressed.as_slice()),
        false => (PLAIN, content),
    };
    let plaintext = Zeroizing::new([&id.0[..], body].concat());
    let sealed = seal.seal(random, &label(format), &plaintext)?;
    let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
    Ok([&[format][..], &len, &sealed].concat())
}

/// The associated data of an entry.
fn label(format: u8) -> Vec<u8> {
    format!("freehold pack {format}").into_bytes()
}

/// The length of the entry that begins with `head`, in bytes; `None` if it is damaged.
pub(super) fn len(head: &[u8; HEAD_LEN]) -> Option<usize> {
    let [format, len @ ..] = head;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?.checked_add(HEAD_LEN)?;
    let is_entry = matches!(*format, PLAIN | COMPRESSED) && (OVERHEAD_LEN..=LEN_MAX).contains(&len);
    is_entry.then_some(len)
}

/// Unseals a whole entry; `None` if it is damaged. The bytes of a plain one become the content.
pub(super) fn decode(seal: &Seal, mut entry: Vec<u8>) -> Option<(BlobId, Vec<u8>)> {
    let entry_len = entry.len();
    let (head, sealed) = entry.split_first_chunk_mut::<HEAD_LEN>()?;
    if len(head)? != entry_len {
        return None;
    }
    let format = head[0];
    let place = seal.open_in_place(&label(format), sealed)?;
    let (id, body) = sealed.get(place.clone())?.split_first_chunk::<ID_LEN>()?;
    let id = BlobId(*id);
    if format == COMPRESSED {
        return Some((id, decompressed(body)?));
    }
    entry.truncate(HEAD_LEN.checked_add(place.end)?);
    entry.drain(..HEAD_LEN.checked_add(place.start)?.checked_add(ID_LEN)?);
    Some((id, entry))
}

fn decompressed(body: &[u8]) -> Option<Vec<u8>> {
    let (len, block) = lz4_flex::block::uncompressed_size(body).ok()?;
    (len <= SMALL_LEN_MAX).then_some(())?;
    let content = lz4_flex::block::decompress(block, len).ok()?;
    (content.len() == len).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flipped_bit_or_truncation_of_an_entry_is_detected() {
        let seal = Seal::new(&Zeroizing::new([3; 32]));
        let (id, random) = (BlobId([9; 32]), Random::seeded(1));
        let text = b"a message of the same words, ".repeat(3);
        for content in [&b""[..], b"a message", &text] {
            let entry = encode(&seal, &random, &id, content).unwrap();
            let (found, opened) = decode(&seal, entry.clone()).unwrap();
            assert_eq!((found, opened.as_slice()), (id, content));
            for bit in 0..entry.len() * 8 {
                let mut damaged = entry.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&seal, damaged).is_none(), "bit {bit}");
            }
            for len in 0..entry.len() {
                assert!(decode(&seal, entry[..len].to_vec()).is_none());
            }
        }
    }

    #[test]
    fn blob_is_compressed_only_if_that_saves_a_part() {
        let seal = Seal::new(&Zeroizing::new([3; 32]));
        let (id, random) = (BlobId([9; 32]), Random::seeded(1));
        let mut noise = vec![0; SMALL_LEN_MAX];
        random.fill(&mut noise);
        for content in [&b""[..], b"a message", &noise] {
            let entry = encode(&seal, &random, &id, content).unwrap();
            assert_eq!((entry[0], entry.len()), (PLAIN, content.len() + OVERHEAD_LEN));
        }
        let text = vec![b'a'; SMALL_LEN_MAX];
        let entry = encode(&seal, &random, &id, &text).unwrap();
        assert!(entry[0] == COMPRESSED && entry.len() < SMALL_LEN_MAX / 100);
        assert_eq!(decode(&seal, entry).unwrap().1, text);
    }

    #[test]
    fn compressed_blob_of_a_wrong_length_is_refused() {
        let block = lz4_flex::block::compress(&[b'a'; 1000]);
        let with_len = |len: u32| [&len.to_le_bytes()[..], &block].concat();
        assert_eq!(decompressed(&with_len(1000)).unwrap().len(), 1000);
        for len in [0, 999, 1001, SMALL_LEN_MAX as u32 + 1, u32::MAX] {
            assert_eq!(decompressed(&with_len(len)), None, "{len}");
        }
        assert_eq!(decompressed(b""), None);
    }
}
