//! One person's node of the demo: its folder, its ports, its process.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use freehold_core::fs::OsFs;
use freehold_core::store::{Claim, OpenError};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

use super::kept::Kept;
use super::people::Person;
use super::wire::{self, Browser};
use crate::config::Config;
use crate::control::{self, Request, Response};
use crate::listen::ListenConfig;
use crate::welcome::quoted;

/// How long a node may take to answer after its start.
const READY_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
/// How often is looked whether it does.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(20);
/// How long a node may take to stop.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// One person's node.
pub(crate) struct House {
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) password: String,
    pub(crate) app_password: String,
    pub(crate) ports: ListenConfig,
    config: Config,
    data: PathBuf,
    child: Option<Child>,
}

impl House {
    /// Where it will be, with the settings of the whole demo. Ports that were chosen once stay, so that what was printed yesterday
    /// still holds.
    pub(crate) fn plan(data: &Path, person: &Person, config: &Config) -> Result<Self> {
        // For its owner alone from the start, as every node's folder.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(data);
        made.with_context(|| format!("can't make {}", data.display()))?;
        let known = data.join(crate::config::FILE_NAME).exists();
        let ports = if known { crate::config::of_file(&data.join(crate::config::FILE_NAME))?.listen } else { ListenConfig::free()? };
        Ok(Self {
            name: person.name.clone(),
            login: person.login.clone(),
            password: format!("{} keeps the lamp lit", person.login),
            app_password: String::new(),
            config: Config { listen: ports.clone(), ..config.clone() },
            ports,
            data: data.to_path_buf(),
            child: None,
        })
    }

    /// Writes the configuration and makes the identity, unless an earlier start did; one that is `known` to have come so far is not
    /// looked into. Says whether it was gone again: then somebody else lives here now.
    pub(crate) async fn set_up(&mut self, routes: &[(String, String)], known: bool) -> Result<bool> {
        let own = self.domain();
        self.config.mail.routes.extend(routes.iter().filter(|(domain, _)| *domain != own).cloned());
        self.config.mail.retry_first_ms = 200;
        self.config.save(&self.data)?;
        self.wait_until_free().await?;
        let is_gone = known && !crate::open::is_there(&self.data);
        if (known && !is_gone) || self.has_owner().await? {
            return Ok(false);
        }
        let mut init = self.freehold();
        init.args(["init", "--name", &self.name, "--login", &self.login, "--password-file", "-"]);
        let mut init =
            init.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("freehold could not be started")?;
        if let Some(mut input) = init.stdin.take() {
            input.write_all(self.password.as_bytes()).await?;
        }
        let output = init.wait_with_output().await?;
        ensure!(output.status.success(), "{}'s node could not be set up: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        Ok(is_gone)
    }

    /// A node of a demo that was cut off a moment ago may still be stopping.
    async fn wait_until_free(&self) -> Result<()> {
        let free = async {
            loop {
                match Claim::take(&OsFs, &self.data) {
                    Ok(_) => return Ok(()),
                    Err(OpenError::InUse) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => return Err(error),
                }
            }
        };
        let waited = tokio::time::timeout(STOP_WITHIN, free).await;
        waited.with_context(|| format!("another process is using {}", self.data.display()))?.context("the folder can't be used")
    }

    /// Whether the set-up of an earlier start came to its end.
    async fn has_owner(&self) -> Result<bool> {
        if !crate::open::is_there(&self.data) {
            return Ok(false);
        }
        let node = crate::open::node(&self.data, &self.config).await?;
        let owner = freehold_core::profile::get(&node)?;
        tokio::task::spawn_blocking(move || node.close()).await?;
        Ok(owner.is_some())
    }

    /// Starts the process and waits until it answers.
    pub(crate) async fn start(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.data.join("serve.log"))?;
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
                    let said = std::fs::read_to_string(self.data.join("serve.log")).unwrap_or_default();
                    anyhow::bail!("{}'s node ended at once ({status}): {}", self.name, said.lines().last().unwrap_or_default());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(READY_WITHIN, ready).await.with_context(|| format!("{}'s node does not answer", self.name))??;
        self.child = Some(child);
        Ok(())
    }

    fn freehold(&self) -> Command {
        let program = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("freehold"));
        let mut command = Command::new(program);
        // The demo's own settings must not leak into its nodes.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FREEHOLD_")) {
            command.env_remove(name);
        }
        command.arg("--data").arg(&self.data);
        command
    }

    /// Asks the running node.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response> {
        control::ask(&self.data, &request).await?.with_context(|| format!("{}'s node is not running", self.name))
    }

    /// Who lives here.
    pub(crate) async fn person(&self) -> Result<String> {
        self.ask(Request::Status).await?.word("person")
    }

    /// Takes the password for mail programs that was kept, if it still opens the inbox, and makes and keeps one if not.
    pub(crate) async fn have_app_password(&mut self, kept: &mut Kept) -> Result<()> {
        if let Some(password) = kept.of(&self.login) {
            let login = (self.login.as_str(), password);
            if wire::letters(self.ports.imaps.port(), &self.certificate(), login, "").await.is_ok() {
                self.app_password = password.to_owned();
                return Ok(());
            }
        }
        let made = self.ask(Request::AppPassword { label: "demo".to_owned() }).await?;
        self.app_password = made.word("app_password")?;
        kept.keep(&self.login, &self.app_password)
    }

    /// Ends the process as a power cut would: kill -9.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("not running")?;
        child.kill().await.context("kill")?;
        Ok(())
    }

    /// Stops the process as an administrator would: SIGTERM.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            child.kill().await?;
            anyhow::bail!("{}'s node did not stop in {} s", self.name, STOP_WITHIN.as_secs());
        }
        Ok(())
    }

    /// Whether the process has ended since somebody last looked.
    pub(crate) fn ended(&mut self) -> bool {
        let ended = self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended {
            self.child = None;
        }
        ended
    }

    /// A browser in which this person is logged in.
    pub(crate) async fn browser(&self) -> Result<Browser> {
        let mut browser = self.visitor();
        let page = browser.post("/login", &[("password", &self.password)]).await?;
        ensure!((300..400).contains(&page.status), "{} could not log in: status {}", self.name, page.status);
        Ok(browser)
    }

    /// A browser in which nobody is logged in.
    pub(crate) fn visitor(&self) -> Browser {
        Browser::new(&self.domain(), self.ports.web.port())
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    pub(crate) fn domain(&self) -> String {
        format!("{}.localhost", self.login)
    }

    pub(crate) fn address(&self) -> String {
        format!("{}@{}", self.login, self.domain())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}:{}/", self.domain(), self.ports.web.port())
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        crate::certificate::path(&self.data)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// What starts this node again.
    pub(crate) fn start_line(&self) -> String {
        format!("{} --data {}", quoted(&crate::welcome::program()), quoted(&self.data.to_string_lossy()))
    }

    /// Where everything is, for programs.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "web": self.url(),
            "login": self.login,
            "address": self.address(),
            "password": self.password,
            "app_password": self.app_password,
            "ports": {
                "web": self.ports.web.port(),
                "smtp": self.ports.smtp.port(),
                "submission": self.ports.submission.port(),
                "smtps": self.ports.smtps.port(),
                "imap": self.ports.imap.port(),
                "imaps": self.ports.imaps.port(),
            },
            "certificate": self.certificate(),
            "libp2p": self.ports.multiaddrs(),
            "data": self.data,
            "pid": self.pid(),
        })
    }
}
