//! The sealed encoding: format byte (1), the blob's own key and length sealed under the store key
//! and bound to its id (80 + 1), then chunks of 64 KiB sealed by STREAM (XChaCha20-Poly1305, 32-bit
//! big-endian counter and last-chunk flag, nonce prefix of zeros because the key is fresh). The
//! last chunk may be shorter or empty. A range can be read alone, and truncation is detected.

use aead_stream::{NewStream, StreamBE32, StreamPrimitive};
use chacha20poly1305::XChaCha20Poly1305;
use zeroize::Zeroizing;

use crate::seal::{KEY_LEN, OVERHEAD_LEN, Seal, SecretKey};
use crate::types::{BlobId, StoreError};
use freehold_proto::random::Random;

/// The length of a full chunk, in bytes.
pub(super) const CHUNK_LEN: usize = 64 * 1024;
const TAG_LEN: usize = 16;
/// The length of a full sealed chunk, in bytes.
pub(super) const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
const FORMAT: u8 = 1;
/// The offset of the first chunk, in bytes.
pub(super) const HEAD_LEN: usize = 1 + OVERHEAD_LEN + KEY_LEN + 8;

/// Seals and unseals the chunks of one blob.
pub(super) struct ChunkSeal(StreamBE32<XChaCha20Poly1305>);

impl ChunkSeal {
    /// With the blob's own key.
    pub(super) fn new(key: &SecretKey) -> Self {
        Self(StreamBE32::new((&**key).into(), &Default::default()))
    }

    /// Seals the `number`-th chunk.
    pub(super) fn seal(
        &self,
        number: u32,
        last: bool,
        chunk: &[u8],
    ) -> Result<Vec<u8>, StoreError> {
        let too_long =
            |_| StoreError::TooLarge { what: "chunk", len: chunk.len(), len_max: CHUNK_LEN };
        self.0.encrypt(number, last, chunk).map_err(too_long)
    }

    /// Unseals the `number`-th chunk; `None` if it is damaged or another chunk.
    pub(super) fn open(
        &self,
        number: u32,
        last: bool,
        sealed: &[u8],
    ) -> Option<Zeroizing<Vec<u8>>> {
        self.0.decrypt(number, last, sealed).ok().map(Zeroizing::new)
    }
}

/// The head of a blob: its key and length, sealed under the store key.
pub(super) fn head(
    seal: &Seal,
    random: &Random,
    id: &BlobId,
    key: &SecretKey,
    len: u64,
) -> Result<Vec<u8>, StoreError> {
    let plaintext = Zeroizing::new([&key[..], &len.to_be_bytes()].concat());
    Ok([&[FORMAT][..], &seal.seal(random, &associated_data(id), &plaintext)?].concat())
}

/// Unseals a head into key and length; `None` if it is damaged or another blob's.
pub(super) fn open_head(seal: &Seal, id: &BlobId, head: &[u8]) -> Option<(SecretKey, u64)> {
    let (format, sealed) = head.split_first()?;
    if *format != FORMAT {
        return None;
    }
    let plaintext = seal.open(&associated_data(id), sealed)?;
    let (key, len) = plaintext.split_first_chunk::<KEY_LEN>()?;
    Some((Zeroizing::new(*key), u64::from_be_bytes(len.try_into().ok()?)))
}

/// The number of chunks and the file length for `len` bytes; `None` if the chunk counter would
/// overflow.
pub(super) fn layout(len: u64) -> Option<(u32, u64)> {
    let chunks = len.div_ceil(CHUNK_LEN as u64).max(1);
    let file_len =
        (HEAD_LEN as u64).checked_add(len)?.checked_add(chunks.checked_mul(TAG_LEN as u64)?)?;
    Some((u32::try_from(chunks).ok()?, file_len))
}

fn associated_data(id: &BlobId) -> Vec<u8> {
    [b"freehold blob 1", &id.0[..]].concat()
}
