//! The manifest of an export: the node and the format it is of, whether it is finished, and the
//! folder that each file or subfolder holds. An import takes the names of folders from it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Format;

/// Its file name.
pub(super) const NAME: &str = "freehold-export.json";
/// The longest manifest that is read, in bytes.
const LEN_MAX: u64 = 4 * 1024 * 1024;

/// See the module's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) format: Format,
    /// A keyed hash, by which the node recognises its own export.
    pub(super) node: String,
    pub(super) finished: bool,
    /// The folder's name by the path of its file or subfolder.
    pub(super) folders: BTreeMap<String, String>,
}

impl Manifest {
    /// The manifest in `dir`; `None` if there is none, or none that can be read.
    pub(super) fn read(dir: &Path) -> Option<Self> {
        let file = super::open::regular(&dir.join(NAME)).ok()?;
        serde_json::from_reader(io::Read::take(file, LEN_MAX)).ok()
    }

    /// Writes it, durably and in one step.
    pub(super) fn write(&self, dir: &Path) -> io::Result<()> {
        let temporary = dir.join(format!("{NAME}.part"));
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        std::fs::rename(&temporary, dir.join(NAME))?;
        File::open(dir)?.sync_all()
    }
}
