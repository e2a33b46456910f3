//! Reading a blob or a range of it, without holding all of it in memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::seal::{CHUNK_LEN, ChunkSeal, HEAD_LEN, SEALED_CHUNK_LEN, layout, open_head};
use super::{Blobs, damaged};
use crate::fs::File;
use crate::seal::Seal;
use crate::types::{BlobId, StoreError};

/// An open blob. It can be read to its end even if the blob is deleted in the meantime.
pub struct BlobReader {
    len: u64,
    source: Source,
}

enum Source {
    Memory(Arc<[u8]>),
    /// Read from a pack.
    Packed(Vec<u8>),
    Plain {
        blobs: Blobs,
        id: BlobId,
        file: Box<dyn File>,
    },
    Sealed {
        id: BlobId,
        file: Box<dyn File>,
        seal: ChunkSeal,
        chunks: u32,
        last_read: Mutex<Option<Chunk>>,
    },
}

struct Chunk {
    number: u32,
    content: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for BlobReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobReader({} bytes)", self.len)
    }
}

impl BlobReader {
    pub(super) fn in_memory(bytes: Arc<[u8]>) -> Self {
        Self { len: bytes.len() as u64, source: Source::Memory(bytes) }
    }

    pub(super) fn packed(bytes: Vec<u8>) -> Self {
        Self { len: bytes.len() as u64, source: Source::Packed(bytes) }
    }

    pub(super) fn plain(blobs: Blobs, id: BlobId, file: Box<dyn File>) -> Result<Self, StoreError> {
        let len = file.len().map_err(|e| Blobs::map_read_error(&id, &e))?;
        Ok(Self { len, source: Source::Plain { blobs, id, file } })
    }

    pub(super) fn sealed(seal: &Seal, id: BlobId, file: Box<dyn File>) -> Result<Self, StoreError> {
        let map_error = |e: std::io::Error| Blobs::map_read_error(&id, &e);
        let mut head = [0; HEAD_LEN];
        file.read_exact_at(&mut head, 0).map_err(map_error)?;
        let (key, len) = open_head(seal, &id, &head).ok_or_else(|| damaged(&id))?;
        let (chunks, file_len) = layout(len).ok_or_else(|| damaged(&id))?;
        if file.len().map_err(map_error)? != file_len {
            return Err(damaged(&id));
        }
        let seal = ChunkSeal::new(&key);
        Ok(Self {
            len,
            source: Source::Sealed { id, file, seal, chunks, last_read: Mutex::new(None) },
        })
    }

    /// The blob's length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the blob has length 0.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The whole content, if it is in memory: that of a small blob.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.source {
            Source::Memory(bytes) => Some(bytes),
            Source::Packed(bytes) => Some(bytes),
            Source::Plain { .. } | Source::Sealed { .. } => None,
        }
    }

    /// Reads at `offset` and returns the number of bytes read, possibly fewer than `buf` holds; 0
    /// only at the end, or if `buf` is empty.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the bytes are damaged, or the disk's.
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, StoreError> {
        if offset >= self.len || buf.is_empty() {
            return Ok(0);
        }
        match &self.source {
            Source::Memory(bytes) => Ok(copy_from(bytes, offset, buf)),
            Source::Packed(bytes) => Ok(copy_from(bytes, offset, buf)),
            Source::Plain { blobs, id, file } => {
                if !blobs.is_verified(id) {
                    self.verify()?;
                }
                match file.read_at(buf, offset).map_err(|e| Blobs::map_read_error(id, &e))? {
                    0 => Err(damaged(id)),
                    read => Ok(read),
                }
            }
            Source::Sealed { last_read, .. } => {
                let number = u32::try_from(offset / CHUNK_LEN as u64).unwrap_or(u32::MAX);
                let within = offset % CHUNK_LEN as u64;
                let mut last_read = last_read.lock().unwrap_or_else(PoisonError::into_inner);
                let chunk = match last_read.take() {
                    Some(chunk) if chunk.number == number => chunk,
                    _ => Chunk { number, content: self.chunk(number)? },
                };
                let read = copy_from(&chunk.content, within, buf);
                *last_read = Some(chunk);
                Ok(read)
            }
        }
    }

    /// Reads and verifies the whole blob, of at most `len_max` bytes.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`], and as [`BlobReader::read_at`].
    pub fn read_all(&self, len_max: usize) -> Result<Vec<u8>, StoreError> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        if len > len_max {
            return Err(StoreError::TooLarge { what: "blob", len, len_max });
        }
        match &self.source {
            Source::Memory(bytes) => Ok(bytes.to_vec()),
            Source::Packed(bytes) => Ok(bytes.clone()),
            Source::Plain { blobs, id, file } => {
                let mut bytes = vec![0; len];
                file.read_exact_at(&mut bytes, 0).map_err(|e| Blobs::map_read_error(id, &e))?;
                let verified = *blake3::hash(&bytes).as_bytes() == id.0;
                blobs.set_verified(*id, verified);
                if verified { Ok(bytes) } else { Err(damaged(id)) }
            }
            Source::Sealed { chunks, .. } => {
                let mut bytes = Vec::with_capacity(len);
                for number in 0..*chunks {
                    bytes.extend_from_slice(&self.chunk(number)?);
                }
                Ok(bytes)
            }
        }
    }

    /// Verifies the content, holding one chunk at a time in memory.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], or the disk's.
    pub fn verify(&self) -> Result<(), StoreError> {
        let mut hasher = blake3::Hasher::new();
        match &self.source {
            Source::Memory(_) | Source::Packed(_) => Ok(()),
            Source::Plain { blobs, id, file } => {
                let mut piece = vec![0; CHUNK_LEN];
                let mut offset = 0;
                loop {
                    let read = file
                        .read_at(&mut piece, offset)
                        .map_err(|e| Blobs::map_read_error(id, &e))?;
                    hasher.update(piece.get(..read).unwrap_or_default());
                    offset += read as u64;
                    if read == 0 {
                        break;
                    }
                }
                let verified = *hasher.finalize().as_bytes() == id.0;
                blobs.set_verified(*id, verified);
                if verified { Ok(()) } else { Err(damaged(id)) }
            }
            Source::Sealed { id, chunks, .. } => {
                for number in 0..*chunks {
                    hasher.update(&self.chunk(number)?);
                }
                if *hasher.finalize().as_bytes() == id.0 { Ok(()) } else { Err(damaged(id)) }
            }
        }
    }

    fn chunk(&self, number: u32) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let Source::Sealed { id, file, seal, chunks, .. } = &self.source else {
            return Ok(Zeroizing::default());
        };
        let last = number.checked_add(1) == Some(*chunks);
        let start = u64::from(number) * CHUNK_LEN as u64;
        let len =
            usize::try_from(self.len.saturating_sub(start)).unwrap_or(usize::MAX).min(CHUNK_LEN);
        let mut sealed = vec![0; len + SEALED_CHUNK_LEN - CHUNK_LEN];
        let at = HEAD_LEN as u64 + u64::from(number) * SEALED_CHUNK_LEN as u64;
        file.read_exact_at(&mut sealed, at).map_err(|e| Blobs::map_read_error(id, &e))?;
        seal.open(number, last, &sealed).ok_or_else(|| damaged(id))
    }
}

fn copy_from(bytes: &[u8], offset: u64, buf: &mut [u8]) -> usize {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let rest = bytes.get(offset..).unwrap_or_default();
    let len = rest.len().min(buf.len());
    if let (Some(to), Some(from)) = (buf.get_mut(..len), rest.get(..len)) {
        to.copy_from_slice(from);
    }
    len
}
