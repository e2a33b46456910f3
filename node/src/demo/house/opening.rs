//! Opening a house: its folder, its configuration, its owner, its process. Whatever an earlier
//! start left is gone on with, and a node that runs there by itself is taken as it is.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use freehold_core::blocking::blocking;
use freehold_core::fs::OsFs;
use freehold_core::store::{Claim, OpenError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::Instant;

use super::super::kept::Kept;
use super::super::people::Person;
use super::House;
use crate::config::{self, Config};
use crate::control::{self, Request, Response};
use crate::listen::ListenConfig;
use crate::{exit, say};

/// How long a node may take to answer after its start.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked whether it does.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a node that was cut off with its demo may take to leave its folder: a little more than
/// it takes to stop.
const LEAVES_WITHIN: Duration = Duration::from_secs(6);
/// After how long it is said what is waited for.
const SAID_AFTER: Duration = Duration::from_secs(1);

impl House {
    /// Where it will be, with the settings of the whole demo. Ports that were chosen once stay, so
    /// that what was printed yesterday still holds.
    pub(crate) fn plan(data: &Path, person: &Person, config: &Config) -> Result<Self> {
        // For its owner alone from the start, as every node's folder.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        made.map_err(|error| {
            exit::with(
                exit::CANT_CREATE,
                format!("the folder {} can't be made: {error}", data.display()),
            )
        })?;
        let known = data.join(config::FILE_NAME).exists();
        let ports = if known {
            config::of_file(&data.join(config::FILE_NAME))?.listen
        } else {
            ListenConfig::free()?
        };
        Ok(Self {
            name: person.name.clone(),
            login: person.login.clone(),
            password: format!("{} keeps the lamp lit", person.login),
            person: String::new(),
            kept: Kept::read(data),
            config: Config { listen: ports.clone(), ..config.clone() },
            ports,
            data: data.to_path_buf(),
            child: None,
            alone: None,
        })
    }

    /// Opens it: its node runs and answers when this returns, and somebody lives there.
    pub(crate) async fn open(&mut self, routes: &[(String, String)]) -> Result<()> {
        let own = self.domain();
        self.config.mail.routes.extend(routes.iter().filter(|(domain, _)| *domain != own).cloned());
        self.config.mail.retry_first_ms = 200;
        self.config.save(&self.data)?;
        match self.look_in().await? {
            Some(running) => {
                self.alone = running.get("pid").as_u64().and_then(|pid| u32::try_from(pid).ok());
                self.take_ports(&running);
                if !running.get("person").is_string() || !running.get("login").is_string() {
                    self.set_up().await?;
                }
            }
            None => {
                // One that was set up as far as that is not opened only to look.
                let known =
                    !self.kept.given().app_password.is_empty() && crate::open::is_there(&self.data);
                if !known && !self.has_owner().await? {
                    self.set_up().await?;
                }
                self.start().await?;
            }
        }
        self.person = self.ask(Request::Status).await?.word("person")?;
        Ok(())
    }

    /// Waits until the folder can be used: a node that was cut off with its demo may still be
    /// stopping. Gives what a node says that runs there by itself.
    async fn look_in(&self) -> Result<Option<Response>> {
        let begun = Instant::now();
        let looking = async {
            let mut is_said = false;
            loop {
                match Claim::take(&OsFs, &self.data) {
                    Ok(_) => return Ok(None),
                    Err(OpenError::InUse) => {}
                    Err(error) => {
                        return Err(exit::with(
                            exit::CANT_CREATE,
                            format!("the folder {} can't be used: {error}", self.data.display()),
                        ));
                    }
                }
                // One that ends with another process is about to: that process was a demo, and
                // there is none but this.
                if let Ok(Some(status)) = control::ask(&self.data, &Request::Status).await
                    && !status.get("ends_with").is_number()
                {
                    return Ok(Some(status));
                }
                if begun.elapsed() > SAID_AFTER && !is_said {
                    is_said = true;
                    say::aside(format!(
                        "freehold: another process is using {}; waiting for it to stop",
                        self.data.display()
                    ));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(LEAVES_WITHIN, looking).await.unwrap_or_else(|_| {
            let said =
                format!("{} is in use by another process; stop it first", self.data.display());
            Err(exit::with(exit::UNAVAILABLE, said))
        })
    }

    /// The ports of a node that was started by somebody else, who may have chosen others.
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

    /// Makes the identity and moves its owner in.
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
        ensure!(
            output.status.success(),
            "{}'s node could not be set up: {}",
            self.name,
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// Whether the set-up of an earlier start came to its end.
    async fn has_owner(&self) -> Result<bool> {
        if !crate::open::is_there(&self.data) {
            return Ok(false);
        }
        let node = crate::open::node(&self.data, &self.config).await?;
        let owner = freehold_core::profile::get(&node)?;
        blocking(move || node.close()).await?;
        Ok(owner.is_some())
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.data.join("serve.log"))?;
        let mut serve = self.freehold();
        serve.arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        // If the demo itself is killed, its nodes end with it instead of holding their ports.
        serve.env(crate::cli::PARENT, std::process::id().to_string());
        let mut child = serve.spawn().context("freehold could not be started")?;
        let ready = async {
            loop {
                if let Ok(Some(_)) = control::ask(&self.data, &Request::Status).await {
                    return Ok(());
                }
                if let Some(status) = child.try_wait()? {
                    return Err(self.ended_at_once(status));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready)
            .await
            .with_context(|| format!("{}'s node does not answer", self.name))??;
        self.child = Some(child);
        Ok(())
    }

    /// What the node said last, with the code it ended with.
    fn ended_at_once(&self, status: std::process::ExitStatus) -> anyhow::Error {
        let said = std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default();
        let said = said.lines().last().unwrap_or_default();
        let why = said
            .strip_prefix("freehold: ")
            .map_or_else(|| format!("{status}: {said}"), str::to_owned);
        let settings = self.data.join(config::FILE_NAME);
        let code = status
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .filter(|code| *code != 0)
            .unwrap_or(1);
        exit::with(
            code,
            format!(
                "{}'s node ended at once: {why} (its settings are in {})",
                self.name,
                settings.display()
            ),
        )
    }

    fn freehold(&self) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("freehold"));
        let mut command = Command::new(program);
        // The demo's own settings must not leak into its nodes.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FREEHOLD_"))
        {
            command.env_remove(name);
        }
        command.arg("--data").arg(&self.data);
        command
    }
}
