//! `demo --json FILE`: addresses, ports and passwords of the nodes, for programs. The file is
//! complete while the demo is running, and removed when it ends.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use crate::exit;

/// The file. It is removed on drop.
#[derive(Debug)]
pub(crate) struct ReadyFile {
    path: PathBuf,
}

impl ReadyFile {
    /// Checks that the file can be written, and removes the file of an earlier demo.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        if std::fs::metadata(path).is_ok_and(|existing| !existing.is_file()) {
            return Err(exit::with(
                exit::CANT_CREATE,
                format!("can't write {}: it exists and is not a file", path.display()),
            ));
        }
        let ready_file = Self { path: path.to_path_buf() };
        drop(ready_file.temporary()?);
        let _ = std::fs::remove_file(path);
        Ok(ready_file)
    }

    /// Writes the file with mode 0600, because it contains passwords. It appears by a rename, so
    /// that a program that waits for it reads all of it.
    pub(crate) fn write(&self, people: &[Value]) -> Result<()> {
        let mut new = self.temporary()?;
        let text = serde_json::to_string_pretty(&json!({ "people": people }))?;
        new.write_all(text.as_bytes()).map_err(|error| self.cant_write(&error))?;
        new.persist(&self.path).map_err(|error| self.cant_write(&error.error))?;
        Ok(())
    }

    /// A temporary file in the same folder.
    fn temporary(&self) -> Result<NamedTempFile> {
        let folder = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        // The kind alone: the whole error names the temporary file.
        NamedTempFile::new_in(folder).map_err(|error| self.cant_write(&error.kind().into()))
    }

    fn cant_write(&self, error: &std::io::Error) -> anyhow::Error {
        exit::with(exit::CANT_CREATE, format!("can't write {}: {error}", self.path.display()))
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_file_exists_while_the_demo_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("demo.json");
        std::fs::write(&path, "of an earlier demo").unwrap();
        let ready_file = ReadyFile::at(&path).unwrap();
        assert!(!path.exists(), "an old file would be read as the new one");
        ready_file.write(&[json!({ "name": "Alice" })]).unwrap();
        assert!(std::fs::read_to_string(&path).unwrap().contains("Alice"));
        drop(ready_file);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn unwritable_path_is_named_and_a_folder_kept() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("nowhere/demo.json"), folder.path().to_path_buf()] {
            let error = ReadyFile::at(&path).unwrap_err();
            assert_eq!(exit::code(&error), exit::CANT_CREATE);
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
        assert!(folder.path().is_dir());
    }
}
