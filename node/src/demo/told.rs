//! `--json FILE`: where everything is, for programs. The file is there, whole, while the demo is up, and gone when it is not.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::exit;

/// The file. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Told {
    path: PathBuf,
}

impl Told {
    /// Sees that it can be written before anything else is begun, and removes one that an earlier
    /// demo left.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(exit::with(
                exit::CANT_CREATE,
                format!("can't write {}: something that is no file has this name", path.display()),
            ));
        }
        let told = Self { path: path.to_path_buf() };
        drop(told.beside()?);
        let _ = std::fs::remove_file(path);
        Ok(told)
    }

    /// Writes it. It holds passwords, so nobody else may read it; whoever waits for it finds it
    /// whole.
    pub(crate) fn write(&self, people: &[Value]) -> Result<()> {
        let mut new = self.beside()?;
        let text = serde_json::to_string_pretty(&json!({ "people": people }))?;
        new.write_all(text.as_bytes()).map_err(|error| self.refused(&error))?;
        new.persist(&self.path).map_err(|error| self.refused(&error.error))?;
        Ok(())
    }

    fn beside(&self) -> Result<NamedTempFile> {
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        // Its own error names the temporary file, which nobody has heard of.
        NamedTempFile::new_in(folder).map_err(|error| self.refused(&error.kind().into()))
    }

    fn refused(&self, error: &std::io::Error) -> anyhow::Error {
        exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", self.path.display()))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_there_only_as_long_as_it_is_true() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.json");
        std::fs::write(&path, "yesterday's").unwrap();
        let told = Told::at(&path).unwrap();
        assert!(!path.exists(), "yesterday's would be taken for today's");
        told.write(&[json!({ "name": "Alice" })]).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("Alice"));
        drop(told);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_can_not_be_written_is_named_and_what_is_no_file_is_left() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("nowhere/demo.json"), folder.path().to_path_buf()] {
            let error = Told::at(&path).unwrap_err();
            assert_eq!(exit::code(&error), exit::CANT_CREATE);
            assert!(
                error.to_string().starts_with(&format!("can't write {}: ", path.display())),
                "{error}"
            );
        }
        assert!(folder.path().is_dir());
    }
}
