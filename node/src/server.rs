//! A running node: its parts in the order they start, and in the reverse order when they stop.
//!
//! The folder's lock is first, then the sockets, so that clients get a temporary error instead of a
//! closed port; then core (the write-ahead log, the store), which may take a minute after a power
//! cut; then web, mail and federation. The control socket is last: when it answers, everything
//! runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::clock::Clock;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::store::{FolderLock, Stop};
use freehold_core::{logins, profile};
use freehold_federation::{Federation, FederationConfig, WebAddress};
use freehold_mail::{Mail, MailListeners, refuse_during_startup};
use freehold_web::{Endpoint, MailEndpoints, Web};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::certificate::{Certificate, maintain};
use crate::cli::Target;
use crate::config::Config;
use crate::control::{self, CheckLock, ControlContext};
use crate::listen::{ListenConfig, Listeners};
use crate::startup_message::StartupMessage;
use crate::stop::Reload;
use crate::{console, data_folder, exit};

/// How long connections may take to finish their requests; web, mail and federation cut off theirs
/// a little earlier.
const DRAIN_WITHIN: Duration = Duration::from_millis(2250);
/// How long mail's sessions may take to end.
const MAIL_DRAIN_WITHIN: Duration = Duration::from_secs(2);
/// How long the store may take for its last checkpoint. It and [`DRAIN_WITHIN`] together stay under
/// the five seconds a stop may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);
/// How often a read-only node checks if its disk can be written.
const WRITABLE_CHECK_EVERY: Duration = Duration::from_secs(10);

/// A node with its web, mail and federation.
pub(crate) struct Server {
    node: Node,
    data: PathBuf,
    config: Config,
    ports: ListenConfig,
    web: Web,
    mail: Mail,
    /// None for a read-only node: it could not store anything that friends send.
    federation: Option<Federation>,
    control: JoinHandle<()>,
    background: Option<JoinHandle<()>>,
    certificate_task: JoinHandle<()>,
    startup_message_task: Option<JoinHandle<()>>,
}

/// The bound sockets of a node that is not open yet; every client gets a temporary error.
pub(crate) struct Startup {
    ports: ListenConfig,
    certificate: Certificate,
    reload: Reload,
    web: Web,
    mail: MailListeners,
}

impl Startup {
    /// Binds all sockets. This process must hold the folder's lock.
    pub(crate) async fn bind(place: &Target) -> Result<Self> {
        let Target { data, config, .. } = place;
        let reload = Reload::listen()?;
        let listeners = Listeners::bind(&config.listen).await?;
        let ports = listeners.ports(&config.listen)?;
        let certificate = Certificate::open(data, Clock::system())?;
        let endpoint =
            Endpoint { listener: listeners.web, tls: config.web.tls.then(|| certificate.tls()) };
        let web =
            Web::listen(config.web.clone(), vec![endpoint]).context("the site could not start")?;
        let mail = MailListeners {
            smtp: listeners.smtp,
            submission: listeners.submission,
            smtps: listeners.smtps,
            imap: listeners.imap,
            imaps: listeners.imaps,
        };
        tracing::info!(web = %ports.web, smtp = %ports.smtp, imap = %ports.imap, "opening the data folder");
        Ok(Self { ports, certificate, reload, web, mail })
    }

    /// Opens the node in the locked folder; clients that connect meanwhile get a temporary error.
    /// `stop` ends this early.
    pub(crate) async fn open_node(
        &self,
        place: &Target,
        claim: FolderLock,
        stop: &Stop,
    ) -> Result<Node> {
        let progress = self.web.startup_progress();
        let report = Box::new(move |step, done, total| progress.report(step, done, total));
        tokio::select! {
         node = data_folder::open_claimed(claim, &place.data, &place.config, stop, report) => node,
        never = refuse_during_startup(&self.mail, &place.config.mail) => match never {},
                }
    }
}

impl Server {
    /// Starts web, mail and federation of an open node.
    ///
    /// # Errors
    /// When one of them can't start; then none runs.
    pub(crate) async fn start(place: &Target, startup: Startup, node: Node) -> Result<Self> {
        let Target { data, config, .. } = place.clone();
        let Startup { ports, certificate, reload, web, mail } = startup;
        // Subscribe before reading the profile, so that no set-up is missed.
        let events = node.events.subscribe();
        let owner = profile::get(&node)?;
        match certificate.cover(maintain::names(&config, owner.as_ref())) {
            Err(error) if node.is_read_only() => {
                tracing::warn!(error = format!("{error:#}"), "the certificate lacks a name");
            }
            covered => covered?,
        }
        certificate.warn(&maintain::public_names(&config, owner.as_ref()));

        let site = match &config.web.public_url {
            Some(url) => WebAddress::At(url.clone()),
            None => WebAddress::Here { is_https: config.web.tls, port: ports.web.port() },
        };
        let federation = FederationConfig {
            listen: vec![ports.libp2p],
            web: Some(site),
            mail_domains: config.mail.routes.keys().cloned().collect(),
            mail_len_max: config.mail.message_len_max,
            ..config.federation.clone()
        };
        let federation = if node.is_read_only() {
            None
        } else {
            // Its ports were checked a moment ago; another program may have bound one since.
            let started = Federation::start(node.clone(), federation).await.map_err(|error| {
                exit::with(exit::UNAVAILABLE, format!("libp2p could not start: {error}"))
            })?;
            Some(started)
        };
        let mut ports = ports;
        if let Some(port) = federation.as_ref().and_then(Federation::port) {
            ports.libp2p.set_port(port);
        }
        let addresses: control::Addresses = match &federation {
            Some(federation) => Arc::new(federation.address_source()),
            None => {
                let (node, config) = (node.clone(), config.clone());
                Arc::new(move || control::stored_addresses(&node, &config))
            }
        };
        let mail = Mail::start(node.clone(), config.mail.clone(), mail, certificate.tls())
            .context("mail could not start")?;
        web.open(node.clone(), Some(mail_place(&config, &ports)))
            .context("the site could not open")?;

        let (web_config, checking) = (config.web.clone(), CheckLock::default());
        let acting = ControlContext {
            node: node.clone(),
            data: data.clone(),
            ports: ports.clone(),
            web: web_config,
            addresses,
            mail: config.mail.clone(),
            public_addresses: config.node.public_addresses.clone(),
            certificate_authority: config.node.certificate_authority.clone(),
            is_running: true,
            check_lock: checking,
        };
        let control = tokio::spawn(control::serve(control::listen(&data)?, acting));
        tracing::info!(web = %ports.web, smtp = %ports.smtp, imaps = %ports.imaps, libp2p = %ports.libp2p, "ready");
        let background =
            (!node.is_read_only()).then(|| tokio::spawn(crate::background::run(node.clone())));
        let certificate_task =
            tokio::spawn(maintain::run(certificate, reload, node.clone(), events, config.clone()));
        Ok(Self {
            node,
            data,
            config,
            ports,
            web,
            mail,
            federation,
            control,
            background,
            certificate_task,
            startup_message_task: None,
        })
    }

    /// Prints the site's address and the lines to paste. Before set-up, prints the set-up link, and
    /// the page once more after set-up.
    pub(crate) async fn print_startup_message(&mut self) -> Result<()> {
        let message = StartupMessage {
            data: self.data.clone(),
            ports: self.ports.clone(),
            web: self.config.web.clone(),
            mail_proxies: self.config.mail.proxy_protocol_from.clone(),
        };
        // Subscribe before reading the profile, so that no set-up is missed.
        let events = self.node.events.subscribe();
        let owner = profile::get(&self.node)?;
        if owner.is_none() && !self.node.is_read_only() && console::is_system_log() {
            console::print(message.unclaimed_in_log());
            let printing = print_after_setup(self.node.clone(), events, message);
            self.startup_message_task = Some(tokio::spawn(printing));
            return Ok(());
        }
        let setup = match self.node.is_read_only() {
            true => None,
            false => logins::offer_setup(&self.node).await?,
        };
        match (owner, setup) {
            (_, Some(token)) => {
                console::print(message.unclaimed(&token.to_string()));
                let printing = print_after_setup(self.node.clone(), events, message);
                self.startup_message_task = Some(tokio::spawn(printing));
            }
            (Some(owner), None) => console::print(message.claimed(&owner)),
            (None, None) => {}
        }
        Ok(())
    }

    /// Returns when the disk of a read-only node can be written again; never for another node.
    pub(crate) async fn writable_again(&self) {
        if !self.node.is_read_only() {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(WRITABLE_CHECK_EVERY).await;
            let data = self.data.clone();
            if matches!(blocking(move || data_folder::is_writable(&data)).await, Ok(true)) {
                return;
            }
        }
    }

    /// Stops accepting, lets requests finish, writes the store's checkpoint and ends, within five
    /// seconds. Work that takes longer is abandoned: every acknowledged change is in the
    /// write-ahead log, and the next start reads it from there.
    pub(crate) async fn shutdown(self) -> Result<()> {
        self.control.abort();
        control::remove_socket(&self.data);
        if let Some(background) = &self.background {
            background.abort();
        }
        self.certificate_task.abort();
        if let Some(task) = &self.startup_message_task {
            task.abort();
        }
        let servers = async {
            let federation = async {
                if let Some(federation) = self.federation {
                    federation.shutdown().await;
                }
            };
            let mail = self.mail.shutdown(MAIL_DRAIN_WITHIN);
            tokio::join!(self.web.shutdown(), mail, federation);
        };
        if tokio::time::timeout(DRAIN_WITHIN, servers).await.is_err() {
            tracing::warn!("a connection did not end in time and was cut");
        }
        let node = self.node;
        match within(CLOSE_WITHIN, move || node.close()).await? {
            true => tracing::info!("stopped"),
            false => tracing::warn!(
                "stopped before the last checkpoint was written; the next start reads the log"
            ),
        }
        Ok(())
    }
}

/// Where the owner's mail programs connect.
fn mail_place(config: &Config, ports: &ListenConfig) -> MailEndpoints {
    MailEndpoints {
        host: Some(config.mail.hostname.clone()).filter(|name| !name.is_empty()),
        imaps: ports.imaps.port(),
        smtps: ports.smtps.port(),
        is_loopback_only: ports.imaps.ip().is_loopback() && ports.smtps.ip().is_loopback(),
        message_len_max: config.mail.message_len_max,
        trusted_roots: config.mail.trusted_roots.clone(),
        domains: config.mail.routes.keys().cloned().collect(),
        limits: config.mail.send_limits(),
        undo_ms: config.mail.undo_seconds.saturating_mul(1000),
        mta_sts: config.mail.mta_sts.into(),
    }
}

/// Waits for set-up, then prints the page with the owner's address.
async fn print_after_setup(node: Node, mut events: Receiver<Event>, message: StartupMessage) {
    loop {
        match profile::get(&node) {
            Ok(Some(owner)) => return console::print(message.claimed(&owner)),
            Ok(None) => {}
            Err(error) => return tracing::error!(%error, "the owner's profile can't be read"),
        }
        if let Err(RecvError::Closed) = events.recv().await {
            return;
        }
    }
}

/// Runs `work` on a blocking thread and returns whether it ended within `limit`. Work that did not
/// is abandoned when the process ends.
async fn within(limit: Duration, work: impl FnOnce() + Send + 'static) -> Result<bool> {
    match tokio::time::timeout(limit, blocking(work)).await {
        Ok(ended) => ended.map(|()| true).context("the store's thread ended"),
        Err(_) => Ok(false),
    }
}

impl Listeners {
    /// The ports in use, where the configuration has port 0.
    fn ports(&self, config: &ListenConfig) -> Result<ListenConfig> {
        let at = |listener: &tokio::net::TcpListener| -> Result<SocketAddr> {
            Ok(listener.local_addr()?)
        };
        Ok(ListenConfig {
            web: at(&self.web)?,
            smtp: at(&self.smtp)?,
            submission: at(&self.submission)?,
            smtps: at(&self.smtps)?,
            imap: at(&self.imap)?,
            imaps: at(&self.imaps)?,
            libp2p: config.libp2p,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hanging_store_does_not_delay_the_stop() {
        assert!(within(Duration::from_secs(60), || ()).await.unwrap());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = held.recv();
        };
        assert!(!within(Duration::from_millis(1), hang).await.unwrap());
        drop(release);
    }
}
