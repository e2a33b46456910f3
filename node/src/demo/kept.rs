//! What the demo has given a house once, kept in the house's own folder (`demo.toml`): nothing is
//! given twice, so what its owner has done with it since stays as it is, and a house that was
//! removed is furnished again.
//!
//! The app password is here too: a mail program that was pointed at the demo goes on working, and a
//! node itself keeps only hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

const FILE_NAME: &str = "demo.toml";

/// What one house was given.
#[derive(Debug)]
pub(crate) struct Kept {
    path: PathBuf,
    given: Given,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Given {
    /// For mail programs.
    pub(crate) app_password: String,
    /// Its owner has introduced themselves.
    pub(crate) is_introduced: bool,
    /// Everything had arrived here once.
    pub(crate) is_complete: bool,
    /// The neighbours it was made a friend of, as persons.
    pub(crate) friends: BTreeSet<String>,
    /// The letters that were sent here, by their subjects.
    pub(crate) letters: BTreeSet<String>,
    /// The posts published here, by what stands for them in a list: their ids.
    pub(crate) posts: BTreeMap<String, String>,
    /// The pictures hung here, by their files: their ids.
    pub(crate) photos: BTreeMap<String, String>,
}

impl Kept {
    /// What was kept in a house's folder. A file that can't be read is as none: what is there is
    /// then found by looking.
    pub(crate) fn read(house: &Path) -> Self {
        let path = house.join(FILE_NAME);
        let given = std::fs::read_to_string(&path)
            .ok()
            .and_then(|text| toml::from_str(&text).ok())
            .unwrap_or_default();
        Self { path, given }
    }

    /// What the house was given so far.
    pub(crate) fn given(&self) -> &Given {
        &self.given
    }

    /// Notes more of it, durably, for its owner's eyes alone; whole or not at all.
    pub(crate) fn note(&mut self, more: impl FnOnce(&mut Given)) -> Result<()> {
        let mut given = self.given.clone();
        more(&mut given);
        if given == self.given {
            return Ok(());
        }
        self.write(&given).with_context(|| format!("can't write {}", self.path.display()))?;
        self.given = given;
        Ok(())
    }

    fn write(&self, given: &Given) -> Result<()> {
        let folder = self.path.parent().context("it has no folder")?;
        let mut new = tempfile::NamedTempFile::new_in(folder)?;
        write!(
            new,
            "# What `freehold demo` has given this house once and does not give again.\n\n{}",
            toml::to_string(given)?
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
    fn what_was_given_is_known_again_and_to_nobody_else() {
        let house = tempfile::tempdir().unwrap();
        let mut kept = Kept::read(house.path());
        assert_eq!(kept.given(), &Given::default());
        kept.note(|given| given.app_password = "one two".to_owned()).unwrap();
        kept.note(|given| {
            drop(given.posts.insert("\"Six\" panes = 6".to_owned(), "id".to_owned()))
        })
        .unwrap();
        let again = Kept::read(house.path());
        assert_eq!(again.given(), kept.given());
        assert_eq!(
            (again.given().app_password.as_str(), again.given().posts.len()),
            ("one two", 1)
        );
        let mode = std::fs::metadata(house.path().join(FILE_NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            std::fs::read_dir(house.path()).unwrap().count(),
            1,
            "nothing is left lying about"
        );
    }

    #[test]
    fn a_damaged_note_is_as_none() {
        let house = tempfile::tempdir().unwrap();
        std::fs::write(house.path().join(FILE_NAME), "posts = 7\n\u{0}").unwrap();
        assert_eq!(Kept::read(house.path()).given(), &Given::default());
    }
}
