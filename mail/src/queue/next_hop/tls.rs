//! TLS with a next hop. Where it is opportunistic (RFC 7435), it is used whenever the next hop
//! offers it, without checking its certificate, because the alternative is to send in the clear.

use std::io;
use std::sync::Arc;

use freehold_core::blocking::blocking;
use freehold_listen::{opportunistic_tls, verified_tls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Does the handshake with `server`, given as `host:port`, and accepts any certificate.
pub(super) async fn opportunistic(
    server: &str,
    socket: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    handshake(server, socket, opportunistic_tls()).await
}

/// The same with a certificate for its name, which a public authority has signed, or one of those
/// in the file `more_roots` (PEM), if that is not empty.
pub(crate) async fn verified(
    server: &str,
    socket: TcpStream,
    more_roots: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let file = more_roots.to_owned();
    let roots = blocking(move || match file.as_str() {
        "" => Ok(Vec::new()),
        file => read_roots(file),
    });
    handshake(server, socket, verified_tls(&roots.await??)).await
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn read_roots(file: &str) -> io::Result<Vec<CertificateDer<'static>>> {
    let unreadable = |error: &dyn std::error::Error| {
        io::Error::other(format!("mail.trusted_roots: can't read {file}: {error}"))
    };
    let pem = std::fs::read(file).map_err(|error| unreadable(&error))?;
    CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))
}

async fn handshake(
    server: &str,
    socket: TcpStream,
    config: Result<rustls::ClientConfig, rustls::Error>,
) -> io::Result<TlsStream<TcpStream>> {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = config.map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}
