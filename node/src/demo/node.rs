//! One node of the demo: its folder, its ports, its process.

mod start;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::Child;

use super::clients::{self, Browser};
use super::state::DemoState;
use crate::config::Config;
use crate::control::{self, NewAppPassword, Request, Response};
use crate::listen::ListenConfig;
use crate::shell::quote;

/// The time in which a node must stop.
const STOP_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);
/// The time in which a node that the demo did not start must respond when the demo ends.
const ANSWER_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);

/// One person's node.
pub(crate) struct DemoNode {
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) password: String,
    /// The person id of the owner.
    pub(crate) person: String,
    /// The record of seeded content.
    pub(crate) state: DemoState,
    pub(crate) ports: ListenConfig,
    config: Config,
    data: PathBuf,
    child: Option<Child>,
    /// The process id of a node that was running before the demo, and is not stopped with it.
    external_pid: Option<u32>,
}

impl DemoNode {
    /// Sends a request to the running node.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response> {
        control::call(&self.data, &request)
            .await?
            .with_context(|| format!("{}'s node is not running", self.name))
    }

    /// Makes and records an app password, unless the recorded one is still valid.
    pub(crate) async fn ensure_app_password(&mut self) -> Result<()> {
        if !self.app_password().is_empty() && self.count_messages("").await.is_ok() {
            return Ok(());
        }
        let wanted = NewAppPassword { label: "demo".to_owned(), ..NewAppPassword::default() };
        let password = self.ask(Request::AppPassword(wanted)).await?.string("app_password")?;
        self.state.record(|seeded| seeded.app_password = password)
    }

    pub(crate) fn app_password(&self) -> &str {
        &self.state.seeded().app_password
    }

    /// Counts the messages in the inbox with `text` in their subject.
    pub(crate) async fn count_messages(&self, text: &str) -> Result<usize> {
        clients::count_messages(
            self.ports.imaps.port(),
            &self.certificate(),
            (&self.login, self.app_password()),
            text,
        )
        .await
    }

    /// Ends the process with SIGKILL.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the node is not running")?;
        child.kill().await.context("kill")?;
        Ok(())
    }

    /// Sends SIGTERM to the process.
    pub(crate) fn send_sigterm(&self) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = pid.and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    /// Stops the process and waits until it has ended.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.send_sigterm();
        let Some(mut child) = self.child.take() else { return Ok(()) };
        if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
            child.kill().await?;
            anyhow::bail!("{}'s node did not stop in {} s", self.name, STOP_WITHIN.as_secs());
        }
        Ok(())
    }

    /// The process id of a node in this folder that the demo did not start.
    pub(crate) async fn running_pid(&self) -> Option<u64> {
        let response =
            tokio::time::timeout(ANSWER_WITHIN, control::call(&self.data, &Request::Status)).await;
        response.ok()?.ok()??.get("pid").as_u64()
    }

    /// True once after the process has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        let ended =
            self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_))));
        if ended {
            self.child = None;
        }
        ended
    }

    /// A browser with this person's session.
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

    /// A browser without a session.
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
        self.child.as_ref().and_then(Child::id).or(self.external_pid)
    }

    /// True if the node was running before the demo, and keeps running after it.
    pub(crate) fn is_external(&self) -> bool {
        self.external_pid.is_some()
    }

    /// The command that starts this node again.
    pub(crate) fn start_command(&self) -> String {
        format!(
            "{} --data {}",
            quote(&crate::shell::program()),
            quote(&self.data.to_string_lossy())
        )
    }

    /// The output of `freehold status --json`, with the passwords.
    pub(crate) async fn json(&self) -> Result<Value> {
        let mut status = self.ask(Request::Status).await?.value;
        let fields = status.as_object_mut().context("the node's status is not a JSON object")?;
        fields.insert("password".to_owned(), self.password.clone().into());
        fields.insert("app_password".to_owned(), self.app_password().into());
        Ok(status)
    }
}
