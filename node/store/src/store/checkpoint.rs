//! Up to where the engine and the blob files hold what the log says, and how the last run ended.
//!
//! `checkpoint`, replaced by rename: magic (8), log id (16), condition (1), boot (32), engine's name (16), generation (8),
//! position (8), hash (32), BLAKE3 of all before (32); integers little-endian.

use std::io;
use std::path::{Path, PathBuf};

use crate::fs::{self, Fs};
use crate::wal::{LogId, Mark};

const MAGIC: [u8; 8] = *b"FHckpt\0\x01";
const LEN: usize = 8 + 16 + 1 + 32 + 16 + 8 + 8 + 32 + 32;

/// How the last run ended, seen from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// The engine holds all there is.
    Clean,
    /// It ran, on the boot named, and said no goodbye.
    Running,
    /// The engine is not to be used before it is rebuilt.
    Rebuilding,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checkpoint {
    pub(super) log: LogId,
    pub(super) condition: Condition,
    /// The machine's boot on which this was written.
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

    /// `None` when there is none. A damaged one is an error: it was replaced whole, so the disk has changed it.
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
            &self.log,
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
        let (said, sum) = bytes.split_last_chunk::<32>()?;
        if blake3::hash(said) != *sum {
            return None;
        }
        let (magic, rest) = said.split_first_chunk::<8>()?;
        let (log, rest) = rest.split_first_chunk::<16>()?;
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
            log: *log,
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
    fn a_checkpoint_is_read_as_written_or_not_at_all() {
        let fs = MemoryFs::new();
        let data = Path::new("/");
        assert_eq!(Checkpoint::read(&fs, data).unwrap(), None);
        let mark = Mark { generation: 3, position: 99, hash: [5; 32] };
        let written = Checkpoint {
            log: [1; 16],
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
