//! The certificate of a running node: read again on SIGHUP, made anew when the node gets another
//! name or the certificate becomes old, and looked at every day.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use freehold_core::blocking::blocking;
use freehold_core::events::Event;
use freehold_core::node::Node;
use freehold_core::profile::{self, Profile};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, interval_at};

use super::Certificate;
use crate::config::Config;
use crate::stop::Reload;

/// How long reading the certificate's files may take.
const TIMEOUT: Duration = Duration::from_secs(10);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Every host name of the node.
pub(crate) fn names(config: &Config, owner: Option<&Profile>) -> Vec<String> {
    let names = [
        config.web.public_host(),
        owner.map(|owner| owner.domain.clone()),
        owner.map(|owner| format!("{}.localhost", owner.login)),
        Some(config.mail.hostname.clone()),
    ];
    let names = names.into_iter().flatten().chain(config.web.names.clone());
    names.filter(|name| !name.is_empty()).collect()
}

/// The names by which clients elsewhere connect with TLS. Names below `localhost` mean each
/// client's own machine.
pub(crate) fn public_names(config: &Config, owner: Option<&Profile>) -> Vec<String> {
    let mail = match config.mail.hostname.as_str() {
        "" => owner.map(|owner| owner.domain.clone()),
        name => Some(name.to_owned()),
    };
    let web = config.web.public_host().into_iter().chain(config.web.names.clone());
    let names = mail.into_iter().chain(web.filter(|_| config.web.tls));
    names.filter(|name| name != "localhost" && !name.ends_with(".localhost")).collect()
}

/// Runs until the node stops.
pub(crate) async fn run(
    certificate: Certificate,
    mut reload: Reload,
    node: Node,
    mut events: Receiver<Event>,
    config: Config,
) {
    let certificate = Arc::new(certificate);
    let mut daily = interval_at(Instant::now() + DAY, DAY);
    let mut can_cover = true;
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = reload.requested() => {
                let certificate = certificate.clone();
                let (owner, config) = (profile::get(&node).unwrap_or_default(), config.clone());
                let reload = move || {
                    certificate.reload()?;
                    certificate.warn(&public_names(&config, owner.as_ref()));
                    Ok(())
                };
                match read(reload).await {
                    Ok(()) => tracing::info!("the certificate was reloaded"),
                    Err(error) => tracing::error!(
                        error = crate::exit::message(&error),
                        "the certificate could not be reloaded; the one in use stays"
                    ),
                }
                continue;
            }
            _ = daily.tick() => {
                can_cover = true;
                if let Ok(owner) = profile::get(&node) {
                    certificate.warn(&public_names(&config, owner.as_ref()));
                }
                Ok(Event::Public)
            }
        };
        match event {
            Ok(Event::Public) | Err(RecvError::Lagged(_)) if can_cover => {}
            Err(RecvError::Closed) => return,
            _ => continue,
        }
        let covered = match profile::get(&node) {
            Ok(owner) => {
                let (certificate, names) = (certificate.clone(), names(&config, owner.as_ref()));
                read(move || certificate.cover(names)).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = covered {
            tracing::error!(
                error = crate::exit::message(&error),
                "the certificate could not be made anew; tomorrow or at the next start the node \
                 tries again"
            );
            can_cover = false;
        }
    }
}

/// Runs `work` on the certificate's files, off the workers: the owner may keep them on a network
/// drive that does not answer.
async fn read(work: impl FnOnce() -> Result<()> + Send + 'static) -> Result<()> {
    match tokio::time::timeout(TIMEOUT, blocking(work)).await {
        Ok(done) => done?,
        Err(_) => bail!("its files could not be read in {} s", TIMEOUT.as_secs()),
    }
}
