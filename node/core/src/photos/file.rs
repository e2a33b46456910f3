//! A blob as a file that decoders read, so that it is never whole in memory.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use crate::blobs::{BlobReader, Blobs};
use crate::store::{BlobId, StoreError};

/// How much is read at once, in bytes.
const PIECE_LEN: usize = 64 * 1024;

/// Reads a blob from any place.
pub(super) struct BlobFile {
    reader: BlobReader,
    at: u64,
}

impl BlobFile {
    /// Opens a blob, with a buffer.
    pub(super) fn open(blobs: &Blobs, id: &BlobId) -> Result<BufReader<Self>, StoreError> {
        let file = Self { reader: blobs.open(id)?, at: 0 };
        Ok(BufReader::with_capacity(PIECE_LEN, file))
    }
}

impl Read for BlobFile {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read_at(self.at, buf).map_err(io::Error::other)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BlobFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.reader.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestNode;

    #[tokio::test]
    async fn blob_is_read_from_any_place() {
        let alice = TestNode::new("alice").await;
        let bytes: Vec<u8> = (0..200_000u32).map(|at| (at / 7) as u8).collect();
        let pinned = alice.blobs.put(&bytes).unwrap();
        let mut file = BlobFile::open(&alice.blobs, &pinned.id).unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!(read, bytes);
        let mut three = [0; 3];
        for (to, at) in [
            (SeekFrom::Start(70_001), 70_001),
            (SeekFrom::Current(-10), 69_994),
            (SeekFrom::End(-3), 199_997),
        ] {
            assert_eq!(file.seek(to).unwrap(), at);
            file.read_exact(&mut three).unwrap();
            assert_eq!(three[..], bytes[at as usize..][..3]);
        }
        assert_eq!(file.read(&mut three).unwrap(), 0);
        file.seek(SeekFrom::End(1000)).unwrap();
        assert_eq!(file.read(&mut three).unwrap(), 0);
        assert!(file.seek(SeekFrom::Current(-1_000_000)).is_err());
    }
}
