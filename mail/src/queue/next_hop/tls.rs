//! Opportunistic TLS (RFC 7435): used whenever the next hop offers it, without checking its
//! certificate, because the alternative is to send in the clear.

use std::io;
use std::sync::Arc;

use freehold_listen::opportunistic_tls;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Does the handshake with `server`, given as `host:port`.
pub(super) async fn handshake(server: &str, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = opportunistic_tls().map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}
