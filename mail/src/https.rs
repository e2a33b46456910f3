//! Fetching a small file over HTTPS: verified certificate, no redirects, bounded in time and size,
//! and from public addresses alone, because other people name the host.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, Response, StatusCode, body::Incoming, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::dns::Dns;
use crate::public_address::is_public;
use crate::queue::next_hop::tls;

/// How long the whole may take (RFC 8461 3.3 proposes a minute).
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);
/// How long connecting to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// The most addresses that are tried.
const ADDRESSES_MAX: usize = 3;
/// The longest header of the response, in bytes.
const HEADER_LEN_MAX: usize = 32 * 1024;
const PORT: u16 = 443;

/// A file that is wanted of a host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Its path.
    pub(crate) path: &'static str,
    /// Its media type, without parameters.
    pub(crate) content_type: &'static str,
    /// Its greatest length, in bytes.
    pub(crate) len_max: usize,
}

/// The file at `host`. `more_roots` is a file of certificates (PEM) that its server's may be signed
/// by, besides those of public authorities; empty for none.
///
/// # Errors
/// The reason why there is none, for the log.
pub(crate) async fn get(
    dns: &Dns,
    host: &str,
    wanted: &Wanted,
    more_roots: &str,
) -> Result<Bytes, String> {
    in_time(FETCH_TIMEOUT, async {
        let found = dns.addresses(host).await.map_err(shown)?;
        let public = found.into_iter().filter(|address| is_public(*address));
        let addresses: Vec<SocketAddr> =
            public.map(|address| SocketAddr::new(address, PORT)).take(ADDRESSES_MAX).collect();
        from_host(host, &addresses, wanted, more_roots).await
    })
    .await
}

pub(crate) async fn in_time<T>(
    limit: Duration,
    fetch: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let late = || Err("there is no answer in time".to_owned());
    timeout(limit, fetch).await.unwrap_or_else(|_| late())
}

/// The file at the first of these addresses that takes the connection.
pub(crate) async fn from_host(
    host: &str,
    addresses: &[SocketAddr],
    wanted: &Wanted,
    more_roots: &str,
) -> Result<Bytes, String> {
    let mut cause = format!("{host} has no public address");
    for address in addresses {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                let server = format!("{host}:{PORT}");
                let stream = tls::verified(&server, socket, more_roots).await.map_err(shown)?;
                return exchange(host, wanted, stream).await;
            }
            Ok(Err(error)) => cause = error.to_string(),
            Err(_) => cause = "connecting timed out".to_owned(),
        }
    }
    Err(cause)
}

async fn exchange(
    host: &str,
    wanted: &Wanted,
    stream: TlsStream<TcpStream>,
) -> Result<Bytes, String> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADER_LEN_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(shown)?;
    let request = Request::get(wanted.path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(shown)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(shown)?;
        check(&response, wanted.content_type)?;
        let body = Limited::new(response.into_body(), wanted.len_max);
        Ok(body.collect().await.map_err(shown)?.to_bytes())
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end together with the answer.
        ended = connection => match answer.await {
            Ok(body) => Ok(body),
            Err(cause) => Err(ended.err().map_or(cause, shown)),
        },
    }
}

/// Only 200 counts, redirects do not, and the content is of the wanted type.
fn check(response: &Response<Incoming>, content_type: &str) -> Result<(), String> {
    if response.status() != StatusCode::OK {
        return Err(format!("the answer is {}", response.status()));
    }
    let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes());
    let kind = kind.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    match kind.trim_ascii().eq_ignore_ascii_case(content_type.as_bytes()) {
        true => Ok(()),
        false => Err(format!("the answer is no {content_type}")),
    }
}

fn shown(error: impl fmt::Display) -> String {
    error.to_string()
}
