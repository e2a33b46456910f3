//! One person's node of the demo: its folder, its ports, its process.

mod opening;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Child;

use super::kept::Kept;
use super::wire::{self, Browser};
use crate::config::Config;
use crate::control::{self, Request, Response};
use crate::listen::ListenConfig;
use crate::welcome::quoted;

/// How long a node may take to stop.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
/// How long a node that runs by itself may take to say so when the demo ends.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// One person's node.
pub(crate) struct House {
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) password: String,
    /// Who lives there, as their friends' nodes know them.
    pub(crate) person: String,
    /// What the house was given so far.
    pub(crate) kept: Kept,
    pub(crate) ports: ListenConfig,
    config: Config,
    data: PathBuf,
    child: Option<Child>,
    /// The process id of a node that was running there already, and is not stopped with the demo.
    alone: Option<u32>,
}

impl House {
    /// Asks the running node.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response> {
        control::ask(&self.data, &request)
            .await?
            .with_context(|| format!("{}'s node is not running", self.name))
    }

    /// Makes and keeps a password for mail programs, unless one that was kept still opens the
    /// inbox.
    pub(crate) async fn have_app_password(&mut self) -> Result<()> {
        if !self.app_password().is_empty() && self.letters("").await.is_ok() {
            return Ok(());
        }
        let made = self
            .ask(Request::AppPassword { label: "demo".to_owned() })
            .await?
            .word("app_password")?;
        self.kept.note(|given| given.app_password = made)
    }

    pub(crate) fn app_password(&self) -> &str {
        &self.kept.given().app_password
    }

    /// How many letters in the inbox have `words` in their subject.
    pub(crate) async fn letters(&self, words: &str) -> Result<usize> {
        wire::letters(
            self.ports.imaps.port(),
            &self.certificate(),
            (&self.login, self.app_password()),
            words,
        )
        .await
    }

    /// Ends the process as a power cut would: kill -9.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("not running")?;
        child.kill().await.context("kill")?;
        Ok(())
    }

    /// Asks the process to stop, as an administrator would: SIGTERM.
    pub(crate) fn ask_to_stop(&self) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Stops the process and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.ask_to_stop();
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            child.kill().await?;
            anyhow::bail!("{}'s node did not stop in {} s", self.name, STOP_WITHIN.as_secs());
        }
        Ok(())
    }

    /// The process id of a node that runs here by itself and does not stop with the demo.
    pub(crate) async fn stays(&self) -> Option<u64> {
        let asked =
            tokio::time::timeout(ANSWER_WITHIN, control::ask(&self.data, &Request::Status)).await;
        asked.ok()?.ok()??.get("pid").as_u64()
    }

    /// Whether the process has ended since somebody last looked.
    pub(crate) fn ended(&mut self) -> bool {
        let ended =
            self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended {
            self.child = None;
        }
        ended
    }

    /// A browser in which this person is logged in.
    pub(crate) async fn browser(&self) -> Result<Browser> {
        let mut browser = self.visitor();
        let page = browser.post("/login", &[("password", &self.password)]).await?;
        ensure!(
            (300..400).contains(&page.status),
            "{} could not log in: status {}",
            self.name,
            page.status
        );
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
        self.child.as_ref().and_then(Child::id).or(self.alone)
    }

    /// Whether its node was running before the demo came, and goes on after it.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// What starts this node again.
    pub(crate) fn start_line(&self) -> String {
        format!(
            "{} --data {}",
            quoted(&crate::welcome::program()),
            quoted(&self.data.to_string_lossy())
        )
    }

    /// Where everything is, for programs: what `freehold status --json` says, and the passwords.
    pub(crate) async fn json(&self) -> Result<Value> {
        let mut said = self.ask(Request::Status).await?.value;
        let all = said.as_object_mut().context("the node's answer is no list of things")?;
        all.insert("password".to_owned(), self.password.clone().into());
        all.insert("app_password".to_owned(), self.app_password().into());
        Ok(said)
    }
}
