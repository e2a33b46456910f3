//! The app passwords of the demo's people, kept beside their nodes: a mail program that was pointed at the demo goes on working when
//! the demo is started again. A node itself keeps only hashes.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

const FILE_NAME: &str = "app-passwords.toml";

/// Who has which.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    passwords: BTreeMap<String, String>,
}

impl Kept {
    /// What was kept in `folder`; what can't be read is made anew.
    pub(crate) fn read(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let passwords = std::fs::read_to_string(&path).ok().and_then(|text| toml::from_str(&text).ok()).unwrap_or_default();
        Self { path, passwords }
    }

    /// Somebody's.
    pub(crate) fn of(&self, login: &str) -> Option<&str> {
        self.passwords.get(login).map(String::as_str)
    }

    /// Keeps one, for its owner's eyes alone; whole or not at all.
    pub(crate) fn keep(&mut self, login: &str, password: &str) -> Result<()> {
        self.passwords.insert(login.to_owned(), password.to_owned());
        let text = toml::to_string(&self.passwords)?;
        let new = self.path.with_extension("new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes()).and_then(|()| std::fs::rename(&new, &self.path)).context("the app passwords could not be kept")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_there_again_and_for_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::read(folder.path());
        assert_eq!(kept.of("alice"), None);
        kept.keep("alice", "one two").unwrap();
        kept.keep("bob", "three").unwrap();
        let again = Kept::read(folder.path());
        assert_eq!((again.of("alice"), again.of("bob")), (Some("one two"), Some("three")));
        let mode = std::fs::metadata(folder.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
