//! One node, running: its parts in the order they start, and in the reverse order when they stop.
//!
//! The folder's lock first, then the sockets, so that somebody is there to say what is going on;
//! then core (the log, the store), which may take long after a power cut; then the wires that use
//! it. The control socket last, so that whoever gets an answer from it finds everything up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use freehold_core::blocking::blocking;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::profile::Profile;
use freehold_core::store::{Claim, Stop};
use freehold_core::{logins, profile};
use freehold_federation::{Federation, FederationConfig, WebAddress};
use freehold_mail::{Mail, MailListeners, turn_everybody_away};
use freehold_web::{Entrance, MailPlace, Web};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::certificate::Certificate;
use crate::cli::Place;
use crate::config::Config;
use crate::control::{self, Acting, Turn};
use crate::listen::{ListenConfig, Listeners};
use crate::welcome::Welcome;
use crate::{exit, open, say};

/// How long connections may take to finish what they are in the middle of; the wires cut theirs a
/// little earlier.
const DRAIN_WITHIN: Duration = Duration::from_millis(2250);
/// How long the store may take for its last checkpoint. With the above it stays under the five
/// seconds a stop may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// A node and its wires.
pub(crate) struct Server {
    node: Node,
    data: PathBuf,
    config: Config,
    ports: ListenConfig,
    web: Web,
    mail: Mail,
    federation: Federation,
    control: JoinHandle<()>,
    chores: JoinHandle<()>,
    naming: JoinHandle<()>,
    greeting: Option<JoinHandle<()>>,
}

/// The sockets of a node that is not open yet: whoever comes is told so.
pub(crate) struct Front {
    ports: ListenConfig,
    certificate: Certificate,
    web: Web,
    mail: MailListeners,
}

impl Front {
    /// Opens all sockets. The folder must be this process's alone.
    pub(crate) async fn open(place: &Place) -> Result<Self> {
        let Place { data, config } = place;
        let listeners = Listeners::open(&config.listen).await?;
        let ports = listeners.ports(&config.listen)?;
        let certificate = Certificate::open(data)?;
        let entrance =
            Entrance { listener: listeners.web, tls: config.web.tls.then(|| certificate.tls()) };
        let web =
            Web::listen(config.web.clone(), vec![entrance]).context("the site could not start")?;
        let mail = MailListeners {
            smtp: listeners.smtp,
            submission: listeners.submission,
            smtps: listeners.smtps,
            imap: listeners.imap,
            imaps: listeners.imaps,
        };
        tracing::info!(web = %ports.web, smtp = %ports.smtp, imap = %ports.imap, "opening the data folder");
        Ok(Self { ports, certificate, web, mail })
    }

    /// Opens the node in the folder that is claimed; whoever comes meanwhile is told to come back.
    /// `stop` ends that early.
    pub(crate) async fn open_node(&self, place: &Place, claim: Claim, stop: &Stop) -> Result<Node> {
        let opening = self.web.opening();
        let tell = Box::new(move |step, done, total| opening.tell(step, done, total));
        tokio::select! {
            node = open::claimed(claim, &place.data, &place.config, stop, tell) => node,
            never = turn_everybody_away(&self.mail, &place.config.mail) => match never {},
        }
    }
}

impl Server {
    /// Starts everything around a node that is open, or nothing.
    pub(crate) async fn start(place: &Place, front: Front, node: Node) -> Result<Self> {
        let Place { data, config } = place.clone();
        let Front { ports, certificate, web, mail } = front;
        // Listened for before it is looked, so that no set-up can come between.
        let events = node.events.subscribe();
        certificate.cover(names(&config, profile::get(&node)?))?;

        let site = match &config.web.public_url {
            Some(url) => WebAddress::At(url.clone()),
            None => WebAddress::Here { is_https: config.web.tls, port: ports.web.port() },
        };
        let federation = FederationConfig {
            listen: vec![ports.libp2p],
            web: Some(site),
            ..config.federation.clone()
        };
        let federation = Federation::start(node.clone(), federation).await;
        // The look at its ports was a moment ago; another program may have been quicker.
        let federation = federation.map_err(|error| {
            exit::with(exit::UNAVAILABLE, format!("libp2p could not start: {error}"))
        })?;
        let ports = ListenConfig {
            libp2p: libp2p_port(&federation.addresses()).map_or(ports.libp2p, |port| {
                let mut at = ports.libp2p;
                at.set_port(port);
                at
            }),
            ..ports
        };
        let mail = Mail::start(node.clone(), config.mail.clone(), mail, certificate.tls())
            .context("mail could not start")?;
        web.open(node.clone(), Some(mail_place(&config, &ports)))
            .context("the site could not open")?;

        let (web_config, checking) = (config.web.clone(), Turn::default());
        let acting = Acting {
            node: node.clone(),
            data: data.clone(),
            ports: ports.clone(),
            web: web_config,
            checking,
        };
        let control = tokio::spawn(control::serve(control::listen(&data)?, acting));
        tracing::info!(web = %ports.web, smtp = %ports.smtp, imaps = %ports.imaps, libp2p = %ports.libp2p, "ready");
        let chores = tokio::spawn(crate::chores::run(node.clone()));
        let naming = tokio::spawn(cover(node.clone(), events, certificate, config.clone()));
        Ok(Self {
            node,
            data,
            config,
            ports,
            web,
            mail,
            federation,
            control,
            chores,
            naming,
            greeting: None,
        })
    }

    /// Prints where to open it and what to paste; while nobody lives here, once more when somebody
    /// has moved in.
    pub(crate) async fn welcome(&mut self) -> Result<()> {
        let welcome = Welcome {
            data: self.data.clone(),
            ports: self.ports.clone(),
            web: self.config.web.clone(),
        };
        // Listened for before it is looked, so that no set-up can come between.
        let events = self.node.events.subscribe();
        match (profile::get(&self.node)?, logins::offer_setup(&self.node).await?) {
            (_, Some(token)) => {
                say::line(welcome.before(&token.to_string()));
                self.greeting = Some(tokio::spawn(greet(self.node.clone(), events, welcome)));
            }
            (Some(owner), None) => say::line(welcome.of(&owner)),
            (None, None) => {}
        }
        Ok(())
    }

    /// Takes no more, finishes what is under way, writes the store's checkpoint, and ends, all
    /// within five seconds. What takes longer is left: what was acknowledged is in the log, and the
    /// next start reads it from there.
    pub(crate) async fn shutdown(self) -> Result<()> {
        self.control.abort();
        self.chores.abort();
        self.naming.abort();
        if let Some(greeting) = &self.greeting {
            greeting.abort();
        }
        let wires = async {
            tokio::join!(self.web.shutdown(), self.mail.shutdown(), self.federation.shutdown());
        };
        if tokio::time::timeout(DRAIN_WITHIN, wires).await.is_err() {
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

/// Where the owner's mail programs find the node.
fn mail_place(config: &Config, ports: &ListenConfig) -> MailPlace {
    MailPlace {
        host: Some(config.mail.hostname.clone()).filter(|name| !name.is_empty()),
        imaps: ports.imaps.port(),
        smtps: ports.smtps.port(),
        is_here_only: ports.imaps.ip().is_loopback() && ports.smtps.ip().is_loopback(),
    }
}

/// Every name the node goes by.
fn names(config: &Config, owner: Option<Profile>) -> impl Iterator<Item = String> {
    let at_home = owner.as_ref().map(|owner| format!("{}.localhost", owner.login));
    let chosen = [
        config.web.public_host(),
        owner.map(|owner| owner.domain),
        at_home,
        Some(config.mail.hostname.clone()),
    ];
    chosen.into_iter().flatten().chain(config.web.names.clone()).filter(|name| !name.is_empty())
}

/// Has the certificate hold for the node's names whenever it may have got another: whoever moves in
/// has one.
async fn cover(node: Node, mut events: Receiver<Event>, certificate: Certificate, config: Config) {
    loop {
        match events.recv().await {
            Ok(Event::Public) | Err(RecvError::Lagged(_)) => {}
            Ok(_) => continue,
            Err(RecvError::Closed) => return,
        }
        let covered = profile::get(&node)
            .map_err(Into::into)
            .and_then(|owner| certificate.cover(names(&config, owner)));
        if let Err(error) = covered {
            return tracing::error!(%error, "the certificate lacks a name; the next start tries again");
        }
    }
}

/// Waits until somebody has moved in, and prints the page with their address.
async fn greet(node: Node, mut events: Receiver<Event>, welcome: Welcome) {
    loop {
        match profile::get(&node) {
            Ok(Some(owner)) => return say::line(welcome.of(&owner)),
            Ok(None) => {}
            Err(error) => return tracing::error!(%error, "who lives here can't be read"),
        }
        if let Err(RecvError::Closed) = events.recv().await {
            return;
        }
    }
}

/// Whether `work`, on a thread of its own, ended in time. One that did not is left behind when the
/// process ends.
async fn within(limit: Duration, work: impl FnOnce() + Send + 'static) -> Result<bool> {
    match tokio::time::timeout(limit, blocking(work)).await {
        Ok(ended) => ended.map(|()| true).context("the store's thread ended"),
        Err(_) => Ok(false),
    }
}

fn libp2p_port(addresses: &[String]) -> Option<u16> {
    addresses
        .iter()
        .find_map(|address| address.split("/tcp/").nth(1)?.split('/').next()?.parse().ok())
}

impl Listeners {
    /// The ports as they are, where the configuration let the system choose.
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
    async fn a_store_that_does_not_end_holds_up_no_stop() {
        assert!(within(Duration::from_secs(60), || ()).await.unwrap());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let hang = move || {
            let _ = held.recv();
        };
        assert!(!within(Duration::from_millis(1), hang).await.unwrap());
        drop(release);
    }
}
