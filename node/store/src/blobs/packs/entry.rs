//! An entry of a pack: format (1), length of the sealed content (4, little-endian), sealed content.
//! Its plaintext is the blob's id (32), then the blob. So the content is bound to the id, a pack
//! can be read without its places, and no header reveals an id.

use zeroize::Zeroizing;

use crate::blobs::SMALL_LEN_MAX;
use crate::seal::{self, Seal};
use crate::types::{BlobId, StoreError};
use freehold_proto::random::Random;

const FORMAT: u8 = 1;
const LABEL: &[u8] = b"freehold pack 1";
const ID_LEN: usize = 32;
/// The length of the part before the sealed content, in bytes.
pub(super) const HEAD_LEN: usize = 5;
/// The bytes that an entry is longer than its blob.
pub(super) const OVERHEAD_LEN: usize = HEAD_LEN + seal::OVERHEAD_LEN + ID_LEN;
/// The length of the longest entry, in bytes.
pub(super) const LEN_MAX: usize = OVERHEAD_LEN + SMALL_LEN_MAX;

/// Seals a blob into an entry.
pub(super) fn encode(
    seal: &Seal,
    random: &Random,
    id: &BlobId,
    content: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let plaintext = Zeroizing::new([&id.0[..], content].concat());
    let sealed = seal.seal(random, LABEL, &plaintext)?;
    let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
    Ok([&[FORMAT][..], &len, &sealed].concat())
}

/// The length of the entry that begins with `head`, in bytes; `None` if it is damaged.
pub(super) fn len(head: &[u8; HEAD_LEN]) -> Option<usize> {
    let [format, len @ ..] = head;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?.checked_add(HEAD_LEN)?;
    (*format == FORMAT && (OVERHEAD_LEN..=LEN_MAX).contains(&len)).then_some(len)
}

/// Unseals a whole entry; `None` if it is damaged. Its bytes become the content.
pub(super) fn decode(seal: &Seal, mut entry: Vec<u8>) -> Option<(BlobId, Vec<u8>)> {
    let entry_len = entry.len();
    let (head, sealed) = entry.split_first_chunk_mut::<HEAD_LEN>()?;
    if len(head)? != entry_len {
        return None;
    }
    let place = seal.open_in_place(LABEL, sealed)?;
    let id = BlobId(*sealed.get(place.clone())?.first_chunk::<ID_LEN>()?);
    entry.truncate(HEAD_LEN.checked_add(place.end)?);
    entry.drain(..HEAD_LEN.checked_add(place.start)?.checked_add(ID_LEN)?);
    Some((id, entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flipped_bit_or_truncation_of_an_entry_is_detected() {
        let seal = Seal::new(&Zeroizing::new([3; 32]));
        let (id, random) = (BlobId([9; 32]), Random::seeded(1));
        for content in [&b""[..], b"a message"] {
            let entry = encode(&seal, &random, &id, content).unwrap();
            assert_eq!(entry.len(), content.len() + OVERHEAD_LEN);
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
}
