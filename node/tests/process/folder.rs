//! A node's data folder in a temporary folder, and commands on it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::node_process::NodeProcess;

/// The owner's password on every node.
pub(crate) const PASSWORD: &str = "the kettle sings at four";

/// A data folder in a temporary folder, which is deleted on drop.
pub(crate) struct Folder {
    parent: TempDir,
    name: &'static str,
}

impl Folder {
    /// A folder that is not set up; it does not exist yet.
    pub(crate) fn new() -> Self {
        Self::with_name("data")
    }

    /// The same with this name.
    pub(crate) fn with_name(name: &'static str) -> Self {
        Self { parent: tempfile::tempdir().unwrap(), name }
    }

    /// A folder that is set up for Ruth.
    pub(crate) fn set_up() -> Self {
        let folder = Self::new();
        folder.init();
        folder
    }

    /// Sets the folder up for Ruth.
    pub(crate) fn init(&self) -> Output {
        let output = self.run_with_input(
            &["init", "--name", "Ruth Aldous", "--login", "ruth", "--password-file", "-"],
            PASSWORD,
        );
        assert!(output.status.success(), "{}", stderr(&output));
        output
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.parent.path().join(self.name)
    }

    /// The path of a file beside the data folder.
    pub(crate) fn sibling(&self, name: &str) -> PathBuf {
        self.parent.path().join(name)
    }

    /// Writes a file beside the data folder.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.sibling(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// The program on this folder, with an empty environment and ports chosen by the system.
    pub(crate) fn command(&self) -> Command {
        self.command_on(&self.data())
    }

    /// The same on another folder.
    pub(crate) fn command_on(&self, data: &Path) -> Command {
        let mut command = self.command_of(env!("CARGO_BIN_EXE_freehold"));
        command.arg("--data").arg(data);
        command
    }

    /// Another program, in the environment of the commands.
    pub(crate) fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.parent.path()).current_dir(self.parent.path());
        // The machine of the test may have little free space.
        command.env("FREEHOLD_NODE_STRANGERS_FREE_MIB", "0");
        for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
            command.env(format!("FREEHOLD_LISTEN_{name}"), "127.0.0.1:0");
        }
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with_input(arguments, "")
    }

    /// Runs a command to its end, with this standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // The write fails if the command ends without reading; the test checks its output.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed. Returns its standard output.
    pub(crate) fn run_ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        stdout(&output)
    }

    /// The output of `status --json`.
    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.run_ok(&["status", "--json"])).unwrap()
    }

    /// Makes an app password with this label.
    pub(crate) fn app_password(&self, label: &str) -> String {
        self.run_ok(&["app-password", "--bare", label]).trim_end().to_owned()
    }

    /// Starts the node and waits until it is ready.
    pub(crate) fn serve(&self) -> NodeProcess {
        let mut running = NodeProcess::start(&mut self.command());
        running.wait_until_ready();
        running
    }
}

/// A command's standard error.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command's standard output.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
