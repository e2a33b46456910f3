//! The demo's record of seeded content, in each node's own folder (`demo.toml`). Nothing is seeded
//! twice, so that changes by the owner stay; a node whose folder was deleted is seeded again.
//!
//! The app password is stored here too, so that a mail program keeps working at the next start: the
//! node itself stores only hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const FILE_NAME: &str = "demo.toml";

/// The record of one node and its file.
#[derive(Debug)]
pub(crate) struct DemoState {
    path: PathBuf,
    seeded: Seeded,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Seeded {
    /// The password for mail programs.
    pub(crate) app_password: String,
    /// True once the profile has its text.
    pub(crate) is_introduced: bool,
    /// True once all content was delivered to this node.
    pub(crate) is_complete: bool,
    /// The other nodes it was made a friend of, as person ids.
    pub(crate) friends: BTreeSet<String>,
    /// The messages sent to this node, by subject. Existing files call the field `letters`.
    #[serde(rename = "letters")]
    pub(crate) messages: BTreeSet<String>,
    /// The posts published here: label to id.
    pub(crate) posts: BTreeMap<String, String>,
    /// The photos stored here: file name to id.
    pub(crate) photos: BTreeMap<String, String>,
}

impl DemoState {
    /// Reads the record in a node's folder. A file that can't be read counts as empty: `seed` then
    /// asks the node for existing content.
    pub(crate) fn read(data: &Path) -> Self {
        let path = data.join(FILE_NAME);
        let seeded = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default();
        Self { path, seeded }
    }

    /// The content seeded so far.
    pub(crate) fn seeded(&self) -> &Seeded {
        &self.seeded
    }

    /// Records more, durably and atomically, in a file with mode 0600.
    pub(crate) fn record(&mut self, change: impl FnOnce(&mut Seeded)) -> Result<()> {
        let mut seeded = self.seeded.clone();
        change(&mut seeded);
        if seeded == self.seeded {
            return Ok(());
        }
        self.write(&seeded).with_context(|| format!("can't write {}", self.path.display()))?;
        self.seeded = seeded;
        Ok(())
    }

    fn write(&self, seeded: &Seeded) -> Result<()> {
        let folder = self.path.parent().context("the path has no folder")?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        write!(
            new,
            "# Content that `freehold demo` has seeded in this node and does not seed again.\n\n{}",
            toml::to_string(seeded)?
        )?;
        new.as_file().sync_all()?;
        new.persist(&self.path)?;
        Ok(std::fs::File::open(folder)?.sync_all()?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn recorded_state_is_read_again_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let mut state = DemoState::read(folder.path());
        assert_eq!(state.seeded(), &Seeded::default());
        state.record(|seeded| seeded.app_password = "one two".to_owned()).unwrap();
        state
            .record(|seeded| {
                drop(seeded.posts.insert("\"Six\" panes = 6".to_owned(), "id".to_owned()))
            })
            .unwrap();
        let again = DemoState::read(folder.path());
        assert_eq!(again.seeded(), state.seeded());
        assert_eq!(
            (again.seeded().app_password.as_str(), again.seeded().posts.len()),
            ("one two", 1)
        );
        let mode = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let files = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(files, 1, "no temporary file is left");
    }

    #[test]
    fn damaged_state_file_counts_as_empty() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), "posts = 7\n\u{0}").unwrap();
        assert_eq!(DemoState::read(folder.path()).seeded(), &Seeded::default());
    }
}
