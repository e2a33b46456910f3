//! TLS for listeners: a configuration that can be replaced while connections are open, and the
//! handshake with its timeout.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limiter::Permit;

/// The TLS configuration of all listeners. Cheap to clone; [`TlsConfig::replace`] takes effect for
/// all clones. A handshake uses the configuration at its beginning, and a connection keeps its own:
/// a renewed certificate closes none.
#[derive(Clone, Debug)]
pub struct TlsConfig(Arc<RwLock<Arc<ServerConfig>>>);

impl From<Arc<ServerConfig>> for TlsConfig {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(config)))
    }
}

impl TlsConfig {
    /// The configuration for the next handshake.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Uses `config` for every handshake from now on.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Performs the server's side of a handshake on `stream`.
    ///
    /// # Errors
    /// When the handshake fails; with [`io::ErrorKind::TimedOut`], when it takes longer than
    /// `limit` or `permit` is revoked during it. The connection is then closed.
    pub async fn handshake<S>(
        &self,
        stream: S,
        limit: Duration,
        permit: &Permit,
    ) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let accepted = TlsAcceptor::from(self.current()).accept(stream);
        tokio::select! {
            accepted = tokio::time::timeout(limit, accepted) => accepted?,
            () = permit.revoked() => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use freehold_proto::clock::Clock;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, RootCertStore};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::limiter::ConnectionLimiter;

    const LONG: Duration = Duration::from_secs(600);

    fn certificate() -> (Arc<ServerConfig>, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = made.cert.der().clone();
        let key = made.key_pair.serialize_der().try_into().unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        (Arc::new(config), certificate)
    }

    fn permit() -> Permit {
        let limiter = ConnectionLimiter::new(1, 1, Clock::system());
        limiter.admit([127, 0, 0, 1].into(), true).unwrap()
    }

    type Client = tokio_rustls::client::TlsStream<DuplexStream>;

    /// Connects a client that trusts `certificate` alone.
    async fn connect(
        tls: &TlsConfig,
        certificate: &CertificateDer<'static>,
    ) -> (io::Result<TlsStream<DuplexStream>>, io::Result<Client>) {
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let (client, server) = tokio::io::duplex(16 * 1024);
        let name = ServerName::try_from("localhost").unwrap();
        let client = TlsConnector::from(Arc::new(config)).connect(name, client);
        let permit = permit();
        tokio::join!(tls.handshake(server, LONG, &permit), client)
    }

    #[tokio::test]
    async fn replaced_certificate_is_used_without_closing_connections() {
        let (first, second) = (certificate(), certificate());
        let tls = TlsConfig::from(first.0);
        let (server, client) = connect(&tls, &first.1).await;
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        tls.clone().replace(second.0);
        assert!(connect(&tls, &second.1).await.1.is_ok());
        assert!(connect(&tls, &first.1).await.1.is_err(), "the old certificate is not shown");
        client.write_all(b"still open").await.unwrap();
        client.flush().await.unwrap();
        let mut received = [0; 10];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"still open");
    }

    #[tokio::test]
    async fn stalled_handshake_ends_at_its_timeout() {
        let tls = TlsConfig::from(certificate().0);
        let (_client, server) = tokio::io::duplex(1024);
        let failed = tls.handshake(server, Duration::from_millis(1), &permit()).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn stalled_handshake_ends_when_its_permit_is_revoked() {
        let tls = TlsConfig::from(certificate().0);
        let limiter = ConnectionLimiter::new(1, 1, Clock::system());
        let permit = limiter.admit_evicting([127, 0, 0, 1].into(), true).unwrap();
        let _newcomer = limiter.admit_evicting([127, 0, 0, 1].into(), true).unwrap();
        let (_client, server) = tokio::io::duplex(1024);
        let failed = tls.handshake(server, LONG, &permit).await;
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
