//! A node's folder, and commands that are run on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::running::Running;

/// The owner's password of every node here.
pub(crate) const PASSWORD: &str = "the kettle sings at four";

/// A folder for one node, gone when dropped.
pub(crate) struct Folder {
    around: TempDir,
    name: &'static str,
}

impl Folder {
    /// A place for a node; nothing is in it yet.
    pub(crate) fn new() -> Self {
        Self::named("data")
    }

    /// The same with a folder of this name.
    pub(crate) fn named(name: &'static str) -> Self {
        Self { around: tempfile::tempdir().unwrap(), name }
    }

    /// A folder that is set up for Ruth.
    pub(crate) fn of_ruth() -> Self {
        let folder = Self::new();
        folder.init();
        folder
    }

    /// Sets it up for Ruth.
    pub(crate) fn init(&self) -> Output {
        let done = self.run_with(
            &["init", "--name", "Ruth Aldous", "--login", "ruth", "--password-file", "-"],
            PASSWORD,
        );
        assert!(done.status.success(), "{}", said(&done));
        done
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.around.path().join(self.name)
    }

    /// A file beside the data folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }

    /// A file beside the data folder, with this in it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.beside(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program on this folder, nothing of this test's surroundings about it, all ports chosen
    /// by the system.
    pub(crate) fn freehold(&self) -> Command {
        self.freehold_on(&self.data())
    }

    /// The same on another folder.
    pub(crate) fn freehold_on(&self, data: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
        command.env_clear().env("HOME", self.around.path()).current_dir(self.around.path());
        for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
            command.env(format!("FREEHOLD_LISTEN_{name}"), "127.0.0.1:0");
        }
        command.arg("--data").arg(data);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// The same, with this on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.freehold();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // One that ended without reading is no failure of this test.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command that succeeds, and gives what it printed.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let done = self.run(arguments);
        assert!(done.status.success(), "{arguments:?}: {}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    /// What `status --json` says.
    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.ask(&["status", "--json"])).unwrap()
    }

    /// Starts the node and waits for its page.
    pub(crate) fn serve(&self) -> Running {
        let mut running = Running::start(&mut self.freehold());
        running.read_page();
        running
    }
}

/// What a command said on standard error.
pub(crate) fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}
