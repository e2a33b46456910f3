//! A segment: one file of the log, filled with zeros in advance, so that the fdatasync of a record
//! writes no file-system metadata.
//!
//! `<first position>-<generation>.seg`, both in hex. Each segment has a higher generation than the
//! one before, so a segment that replaces an abandoned one has another name. The header holds
//! position and hash of the last acknowledged record: later records in older segments are void. A
//! segment is renamed to this name after its header and first records are durable.

use std::io;
use std::path::{Path, PathBuf};

use super::{Hash, WalId};
use crate::fs::{File, Fs};

/// The offset of the first record: no record shares a sector with the header.
pub(super) const HEADER_LEN: usize = 4096;
const MAGIC: [u8; 8] = *b"FHlog\0\0\x01";
const SPARE: &str = "spare";
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) wal: WalId,
    pub(super) generation: u64,
    /// The last acknowledged position before this segment.
    pub(super) position: u64,
    /// The hash of the record at that position; zeros before the first record.
    pub(super) hash: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.wal);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes
    }

    /// `None` if damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, rest) = bytes.split_at_checked(MAGIC.len() + 16 + 8 + 8 + 32)?;
        let (sum, _) = rest.split_first_chunk::<32>()?;
        let (magic, fields) = checked.split_first_chunk::<8>()?;
        if *magic != MAGIC || blake3::hash(checked) != *sum {
            return None;
        }
        let (wal, fields) = fields.split_first_chunk::<16>()?;
        let (generation, fields) = fields.split_first_chunk::<8>()?;
        let (position, fields) = fields.split_first_chunk::<8>()?;
        let (hash, _) = fields.split_first_chunk::<32>()?;
        let (generation, position) =
            (u64::from_le_bytes(*generation), u64::from_le_bytes(*position));
        Some(Self { wal: *wal, generation, position, hash: *hash })
    }
}

/// The name of a segment, ordered by generation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentName {
    pub(crate) generation: u64,
    /// The first position in the segment.
    pub(crate) first: u64,
}

impl SegmentName {
    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{:016x}-{:08x}.seg", self.first, self.generation))
    }

    fn parse(name: &str) -> Option<Self> {
        let (first, generation) = name.strip_suffix(".seg")?.split_once('-')?;
        Some(Self {
            generation: u64::from_str_radix(generation, 16).ok()?,
            first: u64::from_str_radix(first, 16).ok()?,
        })
    }
}

/// The segments in `folder`, oldest first.
pub(crate) fn list(fs: &dyn Fs, folder: &Path) -> io::Result<Vec<SegmentName>> {
    let mut names: Vec<_> =
        fs.list(folder)?.iter().filter_map(|entry| SegmentName::parse(&entry.name)).collect();
    names.sort();
    Ok(names)
}

/// A durable file of `len` zeros under the name [`SPARE`], to become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    file: Box<dyn File>,
    len: u64,
}

/// Creates the spare segment in `folder`. An older one is replaced: there is at most one.
pub(crate) fn create_spare(fs: &dyn Fs, folder: &Path, len: u64) -> io::Result<Spare> {
    remove_spare(fs, folder)?;
    let path = folder.join(SPARE);
    let file = fs.create(&path)?;
    if let Err(error) = fill(&*file, len) {
        // A part of a segment must not take the last free space.
        let _ = fs.remove(&path);
        return Err(error);
    }
    Ok(Spare { file, len })
}

/// Removes the spare segment, if there is one.
pub(crate) fn remove_spare(fs: &dyn Fs, folder: &Path) -> io::Result<()> {
    match fs.remove(&folder.join(SPARE)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn fill(file: &dyn File, len: u64) -> io::Result<()> {
    file.allocate(len)?;
    let mut at = 0;
    while at < len {
        let rest = usize::try_from(len - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(ZEROS.get(..rest).unwrap_or_default(), at)?;
        at += rest as u64;
    }
    file.sync_data()
}

/// An open segment.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: SegmentName,
    pub(super) file: Box<dyn File>,
    pub(super) len: u64,
}

impl Spare {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Writes `header` and `records`, syncs them and renames the file to the segment's name.
    pub(super) fn begin(
        self,
        fs: &dyn Fs,
        folder: &Path,
        header: &Header,
        records: &[u8],
    ) -> io::Result<Segment> {
        let name = SegmentName { generation: header.generation, first: header.position + 1 };
        self.file.write_all_at(&header.encode(), 0)?;
        self.file.write_all_at(records, HEADER_LEN as u64)?;
        self.file.sync_data()?;
        fs.rename(&folder.join(SPARE), &name.path(folder))?;
        fs.sync_folder(folder)?;
        Ok(Segment { name, file: self.file, len: self.len })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_segment_header_is_refused() {
        let header = Header { wal: [1; 16], generation: 2, position: 3, hash: [4; 32] };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for at in 0..104 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Header::decode(&damaged), None, "byte {at}");
        }
    }

    #[test]
    fn segment_names_sort_by_generation() {
        let name = SegmentName { generation: 0x1f, first: 0x20 };
        let path = name.path(Path::new("/"));
        assert_eq!(
            SegmentName::parse(path.file_name().unwrap().to_str().unwrap()),
            Some(name.clone())
        );
        assert!(SegmentName { generation: 3, first: 9 } < SegmentName { generation: 4, first: 9 });
        assert_eq!(SegmentName::parse(SPARE), None);
    }
}
