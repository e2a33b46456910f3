//! The checkpoint file: the record up to which engine and blob files hold the content of the log,
//! and how the last run ended.
//!
//! `checkpoint`, replaced by rename: magic (8), log id (16), condition (1), boot (32), engine's
//! name (16), generation (8), position (8), hash (32), BLAKE3 of all before (32); integers
//! little-endian.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{self, Fs};
use crate::wal::{Mark, WalId};

const MAGIC: [u8; 8] = *b"FHckpt\0\x01";
const LEN: usize = 8 + 16 + 1 + 32 + 16 + 8 + 8 + 32 + 32;

/// How the last run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// It stopped cleanly: the engine holds the whole log.
    Clean,
    /// It did not stop cleanly.
    Running,
    /// The engine must be rebuilt before it is used.
    Rebuilding,
}

/// The content of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) wal: WalId,
    pub(super) condition: Condition,
    /// The id of the machine's boot during the run.
    pub(super) boot: [u8; 32],
    pub(super) engine: [u8; 16],
    pub(super) mark: Mark,
}

impl Checkpoint {
    pub(super) fn path(data: &Path) -> PathBuf {
        data.join("checkpoint")
    }

    pub(super) fn write(&self, fs: &dyn Fs, data: &Path) -> io::Result<()> {
        fs::replace(fs, &Self::path(data), &self.encode())
    }

    /// `None` if the file does not exist. A damaged file is an error: the file is replaced
    /// atomically, so only the disk can have damaged it.
    pub(super) fn read(fs: &dyn Fs, data: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(fs, &Self::path(data), LEN) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        Self::decode(&bytes)
            .map(Some)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the checkpoint is damaged"))
    }

    fn encode(&self) -> Vec<u8> {
        let condition = match self.condition {
            Condition::Clean => 0,
            Condition::Running => 1,
            Condition::Rebuilding => 2,
        };
        let (generation, position) =
            (self.mark.generation.to_le_bytes(), self.mark.position.to_le_bytes());
        let mut bytes = [
            &MAGIC[..],
            &self.wal,
            &[condition],
            &self.boot,
            &self.engine,
            &generation,
            &position,
            &self.mark.hash,
        ]
        .concat();
        let sum = blake3::hash(&bytes);
        bytes.extend_from_slice(sum.as_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (checked, sum) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(checked) != *sum {
            return None;
        }
        let (magic, rest) = checked.split_first_chunk::<8>()?;
        let (wal, rest) = rest.split_first_chunk::<16>()?;
        let (condition, rest) = rest.split_first()?;
        let (boot, rest) = rest.split_first_chunk::<32>()?;
        let (engine, rest) = rest.split_first_chunk::<16>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (position, rest) = rest.split_first_chunk::<8>()?;
        let condition = match condition {
            0 => Condition::Clean,
            1 => Condition::Running,
            2 => Condition::Rebuilding,
            _ => return None,
        };
        let (generation, position) =
            (u64::from_le_bytes(*generation), u64::from_le_bytes(*position));
        let mark = Mark { generation, position, hash: rest.try_into().ok()? };
        (*magic == MAGIC).then_some(Self {
            wal: *wal,
            condition,
            boot: *boot,
            engine: *engine,
            mark,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemoryFs;

    #[test]
    fn damaged_checkpoint_file_is_refused() {
        let fs = MemoryFs::new();
        let data = Path::new("/");
        assert_eq!(Checkpoint::read(&fs, data).unwrap(), None);
        let mark = Mark { generation: 3, position: 99, hash: [5; 32] };
        let written = Checkpoint {
            wal: [1; 16],
            condition: Condition::Running,
            boot: [2; 32],
            engine: [3; 16],
            mark,
        };
        written.write(&fs, data).unwrap();
        assert_eq!(Checkpoint::read(&fs, data).unwrap(), Some(written));
        fs.damage(&Checkpoint::path(data), 70, 1).unwrap();
        assert!(Checkpoint::read(&fs, data).is_err());
    }
}
