//! Starting a demo node: its folder, its configuration, its set-up, its process. It continues an
//! interrupted start, and uses a node that is already running in the folder.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::fs::OsFs;
use freehold_core::store::{FolderLock, OpenError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::Instant;

use super::super::content::Person;
use super::super::state::DemoState;
use super::DemoNode;
use crate::config::{self, Config};
use crate::control::{self, Request, Response};
use crate::listen::ListenConfig;
use crate::{console, data_folder, exit};

/// The time in which a node must respond after its start.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// The pause between two attempts.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// The time in which a node of an interrupted demo must release its folder: more than a stop takes.
const RELEASED_WITHIN: Duration = Duration::from_secs(6);
/// A longer wait is reported.
const REPORTED_AFTER: Duration = Duration::from_secs(1);

impl DemoNode {
    /// The ports that an earlier start chose for the node in this folder, if there was one.
    pub(crate) fn chosen_ports(data: &Path) -> Result<Option<ListenConfig>> {
        let settings = data.join(config::FILE_NAME);
        if !settings.exists() {
            return Ok(None);
        }
        Ok(Some(config::read_file(&settings)?.listen))
    }

    /// Creates the folder and chooses the ports, none of them in `reserved`. They stay the same at
    /// the next start, so that printed commands stay valid.
    pub(crate) fn plan(
        data: &Path,
        person: &Person,
        config: &Config,
        reserved: &[u16],
    ) -> Result<Self> {
        // Mode 0700 as every node's folder.
        let created = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        created.map_err(|error| {
            exit::with(
                exit::CANT_CREATE,
                format!("the folder {} can't be made: {error}", data.display()),
            )
        })?;
        let ports = match Self::chosen_ports(data)? {
            Some(ports) => ports,
            None => ListenConfig::free(reserved)?,
        };
        Ok(Self {
            name: person.name.clone(),
            login: person.login.clone(),
            password: format!("{} keeps the lamp lit", person.login),
            person: String::new(),
            state: DemoState::read(data),
            config: Config { listen: ports.clone(), ..config.clone() },
            ports,
            data: data.to_path_buf(),
            child: None,
            external_pid: None,
        })
    }

    /// Sets the node up if needed and starts it. It is running and responds when this returns.
    pub(crate) async fn open(&mut self, routes: &[(String, String)]) -> Result<()> {
        let own = self.domain();
        self.config.mail.routes.extend(routes.iter().filter(|(domain, _)| *domain != own).cloned());
        self.config.mail.retry_first_ms = 200;
        // The demo's friends must reach each other on a nearly full disk, too.
        self.config.node.strangers_free_mib = Some(0);
        self.config.save(&self.data)?;
        let begun = Instant::now();
        // A node or an `init` of an interrupted demo may have begun without holding its folder and
        // ports yet, and take them after they were found free.
        while let Err(error) = self.open_once().await {
            if exit::code(&error) != exit::UNAVAILABLE || begun.elapsed() > RELEASED_WITHIN {
                return Err(error);
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        self.person = self.ask(Request::Status).await?.string("person")?;
        Ok(())
    }

    async fn open_once(&mut self) -> Result<()> {
        match self.wait_until_available().await? {
            Some(running) => {
                self.external_pid =
                    running.get("pid").as_u64().and_then(|pid| u32::try_from(pid).ok());
                self.take_ports(&running);
                if !running.get("person").is_string() || !running.get("login").is_string() {
                    self.set_up().await?;
                }
            }
            None => {
                // A recorded app password proves the set-up without opening the store.
                let is_set_up = !self.state.seeded().app_password.is_empty()
                    && data_folder::holds_node(&self.data);
                if !is_set_up && !self.is_set_up().await? {
                    self.set_up().await?;
                }
                self.start().await?;
            }
        }
        Ok(())
    }

    /// Waits until the folder is free: a node of an interrupted demo may still be stopping. Returns
    /// the status of a node that the demo did not start.
    async fn wait_until_available(&self) -> Result<Option<Response>> {
        let begun = Instant::now();
        let available = async {
            let mut is_reported = false;
            loop {
                match FolderLock::acquire(&OsFs, &self.data) {
                    Ok(_) => return Ok(None),
                    Err(OpenError::InUse) => {}
                    Err(error) => {
                        return Err(exit::with(
                            exit::CANT_CREATE,
                            format!("the folder {} can't be used: {error}", self.data.display()),
                        ));
                    }
                }
                // A node that ends with its parent belongs to an earlier demo and is stopping: this
                // demo holds the demo's lock.
                if let Ok(Some(status)) = control::call(&self.data, &Request::Status).await
                    && !status.get("ends_with").is_number()
                {
                    return Ok(Some(status));
                }
                if begun.elapsed() > REPORTED_AFTER && !is_reported {
                    is_reported = true;
                    console::eprint(format!(
                        "freehold: another process is using {}; waiting for it to stop",
                        self.data.display()
                    ));
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        tokio::time::timeout(RELEASED_WITHIN, available).await.unwrap_or_else(|_| {
            let message =
                format!("{} is in use by another process; stop it first", self.data.display());
            Err(exit::with(exit::UNAVAILABLE, message))
        })
    }

    /// Takes over the ports of a running node: the user may have started it with other ports.
    fn take_ports(&mut self, running: &Response) {
        let port = |name: &str| {
            running.get("ports").get(name).and_then(|port| u16::try_from(port.as_u64()?).ok())
        };
        let ports = &mut self.ports;
        for (at, name) in [
            (&mut ports.web, "web"),
            (&mut ports.smtp, "smtp"),
            (&mut ports.submission, "submission"),
            (&mut ports.smtps, "smtps"),
            (&mut ports.imap, "imap"),
            (&mut ports.imaps, "imaps"),
        ] {
            if let Some(port) = port(name) {
                at.set_port(port);
            }
        }
    }

    /// Runs `freehold init`.
    async fn set_up(&self) -> Result<()> {
        let mut init = self.freehold();
        init.args(["init", "--name", &self.name, "--login", &self.login, "--password-file", "-"]);
        let mut init = init
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("freehold could not be started")?;
        if let Some(mut input) = init.stdin.take() {
            input.write_all(self.password.as_bytes()).await?;
        }
        let output = init.wait_with_output().await?;
        if output.status.success() {
            return Ok(());
        }
        let cause = String::from_utf8_lossy(&output.stderr);
        let message = format!("{}'s node could not be set up: {}", self.name, cause.trim());
        Err(exit::with(failure_code(output.status), message))
    }

    /// True if an earlier start completed the set-up.
    async fn is_set_up(&self) -> Result<bool> {
        if !data_folder::holds_node(&self.data) {
            return Ok(false);
        }
        let node = data_folder::open(&self.data, &self.config).await?;
        let owner = freehold_core::profile::get(&node)?;
        blocking(move || node.close()).await?;
        Ok(owner.is_some())
    }

    /// Starts the process and waits until it responds.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.data.join("serve.log"))?;
        let mut serve = self.freehold();
        serve.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // If the demo is killed, its nodes end with it and release their ports.
        serve.env(crate::cli::PARENT, std::process::id().to_string());
        let mut child = serve.spawn().context("freehold could not be started")?;
        let ready = async {
            loop {
                if let Ok(Some(_)) = control::call(&self.data, &Request::Status).await {
                    return Ok(());
                }
                if let Some(status) = child.try_wait()? {
                    return Err(self.start_error(status));
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready)
            .await
            .with_context(|| format!("{}'s node does not respond", self.name))??;
        self.child = Some(child);
        Ok(())
    }

    /// The error of a node that ended at once: its last line and its exit code.
    fn start_error(&self, status: ExitStatus) -> anyhow::Error {
        let log = std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default();
        let line = log.lines().last().unwrap_or_default();
        let cause = line
            .strip_prefix("freehold: ")
            .map_or_else(|| format!("{status}: {line}"), str::to_owned);
        let settings = self.data.join(config::FILE_NAME);
        exit::with(
            failure_code(status),
            format!(
                "{}'s node could not start: {cause} (its settings are in {})",
                self.name,
                settings.display()
            ),
        )
    }

    fn freehold(&self) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("freehold"));
        let mut command = Command::new(program);
        // The demo's environment must not reach its nodes.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FREEHOLD_"))
        {
            command.env_remove(name);
        }
        command.arg("--data").arg(&self.data);
        command
    }
}

/// The exit code of a process that ended before its time; 1 if it has none or it is 0.
fn failure_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code != 0).unwrap_or(1)
}
