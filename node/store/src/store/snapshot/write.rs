//! Writing a snapshot.

use std::path::Path;

use super::super::StoreError;
use super::{HEAD_LEN, MAGIC, SnapshotMaker, VERSION, associated_data};
use crate::fs::File;
use crate::seal::Seal;
use crate::space::FreeSpace;
use crate::wal::Mark;
use freehold_proto::random::Random;

/// Rows are collected into a chunk until it is this long, in bytes.
const CHUNK_LEN: usize = 64 * 1024;

/// Writes one snapshot file.
pub(super) struct Writer<'a> {
    file: Box<dyn File>,
    seal: &'a Seal,
    random: &'a Random,
    space: Option<&'a FreeSpace>,
    id: [u8; 16],
    offset: u64,
    chunk: Vec<u8>,
    number: u64,
    rows: u64,
    root: blake3::Hasher,
}

impl<'a> Writer<'a> {
    pub(super) fn create(
        maker: &SnapshotMaker<'a>,
        mark: &Mark,
        to: &Path,
    ) -> Result<Self, StoreError> {
        let SnapshotMaker { reader, random, wal, space, .. } = *maker;
        let id = random.array();
        let (generation, position) = (mark.generation.to_le_bytes(), mark.position.to_le_bytes());
        let mut head =
            [&MAGIC[..], &[VERSION], &wal, &id, &generation, &position, &mark.hash].concat();
        let sum = blake3::hash(&head);
        head.extend_from_slice(sum.as_bytes());
        let file = reader.fs.create(to)?;
        file.write_all_at(&head, 0)?;
        let (chunk, root) = (Vec::new(), blake3::Hasher::new());
        Ok(Self {
            file,
            seal: &reader.seal,
            random,
            space,
            id,
            offset: HEAD_LEN as u64,
            chunk,
            number: 0,
            rows: 0,
            root,
        })
    }

    /// Appends a row; rows come in order.
    pub(super) fn put(
        &mut self,
        (table, key): &(String, Vec<u8>),
        value: &[u8],
    ) -> Result<(), StoreError> {
        let start = self.chunk.len();
        self.chunk.push(u8::try_from(table.len()).unwrap_or(u8::MAX));
        self.chunk.extend_from_slice(table.as_bytes());
        self.chunk.extend_from_slice(&u16::try_from(key.len()).unwrap_or(u16::MAX).to_le_bytes());
        self.chunk.extend_from_slice(key);
        self.chunk.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.chunk.extend_from_slice(value);
        self.root.update(self.chunk.get(start..).unwrap_or_default());
        self.rows += 1;
        if self.chunk.len() >= CHUNK_LEN { self.write_chunk(false) } else { Ok(()) }
    }

    fn write_chunk(&mut self, last: bool) -> Result<(), StoreError> {
        let packed = match last {
            true => std::mem::take(&mut self.chunk),
            false => lz4_flex::block::compress_prepend_size(&self.chunk),
        };
        let aad = associated_data(&self.id, self.number, last);
        let sealed = self.seal.seal(self.random, &aad, &packed)?;
        let len = u32::try_from(sealed.len()).unwrap_or(u32::MAX).to_le_bytes();
        let bytes = [&[u8::from(last)][..], &len, &sealed].concat();
        // A snapshot must not fill the disk; without one only the log is longer.
        self.space.map_or(Ok(()), |space| space.check_space_to_compact(bytes.len() as u64))?;
        self.file.write_all_at(&bytes, self.offset)?;
        self.offset += bytes.len() as u64;
        self.number += 1;
        self.chunk.clear();
        Ok(())
    }

    /// Writes the last chunk and syncs the file.
    pub(super) fn finish(mut self) -> Result<(), StoreError> {
        if !self.chunk.is_empty() {
            self.write_chunk(false)?;
        }
        self.chunk.extend_from_slice(&self.rows.to_le_bytes());
        self.chunk.extend_from_slice(self.root.finalize().as_bytes());
        self.write_chunk(true)?;
        Ok(self.file.sync_data()?)
    }
}
