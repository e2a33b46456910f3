//! A segment: one file of the log, filled with zeros beforehand so that an fdatasync of a record
//! carries no other news.
//!
//! `<first position>-<generation>.seg`, both in hex. The generation rises with every segment, so that one that replaces an
//! abandoned one has a name of its own. Its header names the position and hash of the last
//! acknowledged record: whatever an earlier segment holds beyond that is void. It has its name only
//! once the header (and what came with it) is durable.

use std::io;
use std::path::{Path, PathBuf};

use super::{Hash, LogId};
use crate::fs::{File, Fs};

/// Records begin here: no record shares a sector with the header.
pub(super) const HEADER_LEN: usize = 4096;
const MAGIC: [u8; 8] = *b"FHlog\0\0\x01";
const SPARE: &str = "spare";
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: LogId,
    pub(super) generation: u64,
    /// The last acknowledged position before this segment.
    pub(super) position: u64,
    /// The hash of the record that held it; zeros at the log's beginning.
    pub(super) hash: Hash,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_LEN);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.position.to_le_bytes());
        bytes.extend_from_slice(&self.hash);
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes
    }

    /// `None` when damaged.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (said, rest) = bytes.split_at_checked(MAGIC.len() + 16 + 8 + 8 + 32)?;
        let (sum, _) = rest.split_first_chunk::<32>()?;
        let (magic, fields) = said.split_first_chunk::<8>()?;
        if *magic != MAGIC || blake3::hash(said) != *sum {
            return None;
        }
        let (log, fields) = fields.split_first_chunk::<16>()?;
        let (generation, fields) = fields.split_first_chunk::<8>()?;
        let (position, fields) = fields.split_first_chunk::<8>()?;
        let (hash, _) = fields.split_first_chunk::<32>()?;
        let (generation, position) =
            (u64::from_le_bytes(*generation), u64::from_le_bytes(*position));
        Some(Self { log: *log, generation, position, hash: *hash })
    }
}

/// A segment by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) generation: u64,
    /// The first position it may hold.
    pub(crate) first: u64,
}

impl Name {
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
pub(crate) fn list(fs: &dyn Fs, folder: &Path) -> io::Result<Vec<Name>> {
    let mut names: Vec<_> =
        fs.list(folder)?.iter().filter_map(|entry| Name::parse(&entry.name)).collect();
    names.sort();
    Ok(names)
}

/// A nameless file of `len` zeros, durable, ready to become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    file: Box<dyn File>,
    len: u64,
}

/// Fills a spare in `folder`; there is at most one, and one left over is replaced.
pub(crate) fn prepare(fs: &dyn Fs, folder: &Path, len: u64) -> io::Result<Spare> {
    let path = folder.join(SPARE);
    match fs.remove(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = fs.create(&path)?;
    file.allocate(len)?;
    let mut at = 0;
    while at < len {
        let rest = usize::try_from(len - at).unwrap_or(usize::MAX).min(ZEROS.len());
        file.write_all_at(ZEROS.get(..rest).unwrap_or_default(), at)?;
        at += rest as u64;
    }
    file.sync_data()?;
    Ok(Spare { file, len })
}

/// A segment that takes records.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: Name,
    pub(super) file: Box<dyn File>,
    pub(super) len: u64,
}

impl Spare {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Makes it the segment that `header` says, holding `records` from the start; it has its name
    /// only once all is durable.
    pub(super) fn begin(
        self,
        fs: &dyn Fs,
        folder: &Path,
        header: &Header,
        records: &[u8],
    ) -> io::Result<Segment> {
        let name = Name { generation: header.generation, first: header.position + 1 };
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
    fn a_damaged_header_is_noticed() {
        let header = Header { log: [1; 16], generation: 2, position: 3, hash: [4; 32] };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Some(header));
        for at in 0..104 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(Header::decode(&damaged), None, "byte {at}");
        }
    }

    #[test]
    fn segments_are_listed_in_the_order_they_were_made() {
        let name = Name { generation: 0x1f, first: 0x20 };
        let path = name.path(Path::new("/"));
        assert_eq!(Name::parse(path.file_name().unwrap().to_str().unwrap()), Some(name.clone()));
        assert!(Name { generation: 3, first: 9 } < Name { generation: 4, first: 9 });
        assert_eq!(Name::parse(SPARE), None);
    }
}
