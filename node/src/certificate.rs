//! The node's certificate and key in `tls/`: the owner's own, or a self-signed pair made here. They
//! lie outside the vault, because they protect connections and not the stored data.
//!
//! `tls/made` holds a copy of each certificate made here, so that the owner's own is never
//! replaced. A self-signed certificate that lacks one of the node's names or expires soon is made
//! anew under the same key; programs that trust the file read it again. [`Certificate::reload`]
//! reads the files again for new connections.

mod files;
mod inspect;
pub(crate) mod maintain;
mod own;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use freehold_core::clock::Clock;
use freehold_listen::TlsConfig;
use rustls::pki_types::ServerName;
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::exit;

/// The certificate's file, for programs that trust it by file: `curl --cacert`.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("tls/cert.pem")
}

fn key_path(data: &Path) -> PathBuf {
    data.join("tls/key.pem")
}

/// The certificate in use, and the TLS configuration of all listeners.
pub(crate) struct Certificate {
    data: PathBuf,
    clock: Clock,
    current: Mutex<Arc<CertifiedKey>>,
    tls: TlsConfig,
    /// Whether the pair was made by this process and has not got the node's names yet.
    is_new: AtomicBool,
}

impl Certificate {
    /// Reads the certificate and key in `data/tls`, and makes both if neither is there. One without
    /// the other is an error and never replaced: it may be the owner's own.
    pub(crate) fn open(data: &Path, clock: Clock) -> anyhow::Result<Self> {
        let is_new = match (files::is_there(&path(data))?, files::is_there(&key_path(data))?) {
            (true, true) => false,
            (false, false) => {
                own::make_first(data, clock.now()).context("the certificate could not be made")?;
                true
            }
            (true, false) => return Err(alone(&path(data), &key_path(data))),
            (false, true) => return Err(alone(&key_path(data), &path(data))),
        };
        let certified = Arc::new(files::read(data)?);
        let tls = server_config(&certified).into();
        let is_new = is_new.into();
        Ok(Self { data: data.to_path_buf(), clock, current: Mutex::new(certified), tls, is_new })
    }

    /// The TLS configuration for listeners.
    pub(crate) fn tls(&self) -> TlsConfig {
        self.tls.clone()
    }

    /// Reads the files again and uses them for new connections; open ones stay open. After an error
    /// the certificate in use stays the same.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let certified = Arc::new(files::read(&self.data)?);
        self.tls.replace(server_config(&certified));
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = certified;
        Ok(())
    }

    fn current(&self) -> Arc<CertifiedKey> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes a self-signed certificate anew if it lacks one of `names` or expires soon. Names that
    /// no certificate can hold are left out.
    pub(crate) fn cover(&self, names: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let names: Vec<String> = names.into_iter().filter(|name| is_name(name)).collect();
        let (current, now) = (self.current(), self.clock.now());
        let leaf = current.end_entity_cert().context("the certificate can't be read")?;
        let lacks_one = !inspect::missing(leaf, &names).is_empty();
        let days_left = inspect::days_left(leaf, now);
        let is_old = days_left.is_some_and(|days| days < own::RENEWAL_DAYS);
        let is_new = self.is_new.swap(false, Ordering::Relaxed);
        if !(lacks_one || is_old) || !own::is_in_use(&self.data)? {
            return Ok(());
        }
        own::make_again(&self.data, names, now)
            .context("the certificate could not be made anew")?;
        self.reload()?;
        match (is_new, lacks_one) {
            // The certificate of the first start gets the names that the start finds.
            (true, _) => tracing::info!("a self-signed certificate was made"),
            (_, true) => {
                tracing::info!("the certificate was made anew: it lacked one of the node's names")
            }
            (_, false) => tracing::info!("the certificate was made anew: it expires soon"),
        }
        Ok(())
    }

    /// Logs the reasons for which clients refuse the certificate, or will soon. `names` are those
    /// by which clients connect.
    pub(crate) fn warn(&self, names: &[String]) {
        for warning in self.warnings(names) {
            tracing::warn!("{warning}");
        }
    }

    fn warnings(&self, names: &[String]) -> Vec<String> {
        let names: Vec<String> = names.iter().filter(|name| is_name(name)).cloned().collect();
        match self.current().end_entity_cert() {
            Ok(leaf) => inspect::warnings(leaf, &names, self.clock.now()),
            Err(_) => Vec::new(),
        }
    }
}

/// Whether a certificate can hold `name`.
fn is_name(name: &str) -> bool {
    name.is_ascii() && ServerName::try_from(name).is_ok()
}

fn server_config(certified: &CertifiedKey) -> Arc<rustls::ServerConfig> {
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(SingleCertAndKey::from(certified.clone()));
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    Arc::new(config.with_cert_resolver(resolver))
}

fn alone(there: &Path, missing: &Path) -> anyhow::Error {
    let cause = format!(
        "{} is there without {}; put that back, or move both away to have new ones made",
        there.display(),
        missing.display()
    );
    exit::with(exit::NO_INPUT, cause)
}

#[cfg(test)]
mod tests;
