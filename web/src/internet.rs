//! Requests to servers that a stranger's message names, made only when the owner asks for it.
//!
//! Such a name must not lead into this machine or its network: each name is resolved here, and only
//! a public address of it is connected to, again for each redirect. A request tells as little as
//! possible: no cookie, no referrer, no name of this program. The answer is bounded in time and
//! size.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use freehold_core::IpScope;
use freehold_core::blocking::blocking;
use freehold_listen::verified_tls;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// How long a request may take, with its redirects.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long connecting to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(6);
/// The most addresses of a host that are tried.
const ADDRESSES_MAX: usize = 3;
/// The most redirects that are followed.
const REDIRECTS_MAX: usize = 3;
/// The longest URL, in bytes.
pub(crate) const URL_LEN_MAX: usize = 2048;
/// The longest header of an answer, in bytes.
const HEADER_LEN_MAX: usize = 32 * 1024;

/// The way to other servers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Internet {
    /// A file of certificates (PEM) that a server's may be signed by, besides those of public
    /// authorities; empty for none.
    trusted_roots: String,
    /// Of a test.
    layout: Option<Arc<Layout>>,
}

/// An internet of a test.
#[derive(Debug)]
struct Layout {
    names: HashMap<String, Vec<IpAddr>>,
    routes: HashMap<IpAddr, SocketAddr>,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    /// It is no URL to a web server at its usual port.
    #[error("that is not the address of a web server")]
    Url,
    /// The host has no address, or none outside of this machine and its network.
    #[error("the name has no public address")]
    NotPublic,
    /// There was no answer that could be read.
    #[error("the server does not answer: {0}")]
    Unreachable(String),
    /// The answer is no success.
    #[error("the server answers {0}")]
    Status(StatusCode),
    /// There are too many redirects, or one leads from HTTPS to HTTP.
    #[error("the server leads on and on")]
    Redirect,
}

fn unreachable(cause: impl fmt::Display) -> FetchError {
    FetchError::Unreachable(cause.to_string())
}

impl Internet {
    /// The internet, with more certificates that are trusted: a file (PEM), or empty for none.
    pub fn trusting(trusted_roots: &str) -> Self {
        Self { trusted_roots: trusted_roots.to_owned(), layout: None }
    }

    /// An internet for tests: each of `names` has these addresses, and a connection to an address
    /// of `routes` goes to a server of the test. No other name or address is reached.
    #[must_use]
    pub fn laid_out(
        self,
        names: HashMap<String, Vec<IpAddr>>,
        routes: HashMap<IpAddr, SocketAddr>,
    ) -> Self {
        Self { layout: Some(Arc::new(Layout { names, routes })), ..self }
    }

    /// The content at a URL of HTTP or HTTPS, at most `len_max` bytes.
    ///
    /// # Errors
    /// As [`FetchError`].
    pub(crate) async fn get(&self, url: &str, len_max: usize) -> Result<Bytes, FetchError> {
        let get = async {
            let mut url = parsed(url)?;
            for _ in 0..=REDIRECTS_MAX {
                let request = request(&url).header(header::ACCEPT, "image/*");
                let answer = self.ask(&url, request, Bytes::new(), len_max).await?;
                match answer {
                    Answer::Content(bytes) => return Ok(bytes),
                    Answer::Elsewhere(place) => {
                        let next = parsed(url.join(&place).map_err(|_| FetchError::Url)?.as_str())?;
                        if url.scheme() == "https" && next.scheme() != "https" {
                            return Err(FetchError::Redirect);
                        }
                        url = next;
                    }
                }
            }
            Err(FetchError::Redirect)
        };
        timeout(TIMEOUT, get).await.unwrap_or_else(|_| Err(unreachable("no answer in time")))
    }

    /// Sends a form to a URL of HTTPS. No redirect is followed.
    ///
    /// # Errors
    /// As [`FetchError`]; any answer but a success is one.
    pub(crate) async fn post(&self, url: &str, form: &'static str) -> Result<(), FetchError> {
        let post = async {
            let url = parsed(url)?;
            if url.scheme() != "https" {
                return Err(FetchError::Url);
            }
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            let request = request(&url).method("POST").header(header::CONTENT_TYPE, kind);
            match self.ask(&url, request, Bytes::from_static(form.as_bytes()), 0).await? {
                Answer::Content(_) => Ok(()),
                Answer::Elsewhere(_) => Err(FetchError::Redirect),
            }
        };
        timeout(TIMEOUT, post).await.unwrap_or_else(|_| Err(unreachable("no answer in time")))
    }

    async fn ask(
        &self,
        url: &Url,
        request: axum::http::request::Builder,
        body: Bytes,
        len_max: usize,
    ) -> Result<Answer, FetchError> {
        let request = request.body(Full::new(body)).map_err(|_| FetchError::Url)?;
        let socket = self.connect(url).await?;
        if url.scheme() == "http" {
            return exchange(socket, request, len_max).await;
        }
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|_| FetchError::Url)?;
        let tls = verified_tls(&self.roots().await?).map_err(unreachable)?;
        let stream = TlsConnector::from(Arc::new(tls)).connect(name, socket).await;
        exchange(stream.map_err(unreachable)?, request, len_max).await
    }

    /// A connection to a public address of the host.
    async fn connect(&self, url: &Url) -> Result<TcpStream, FetchError> {
        let port = url.port_or_known_default().ok_or(FetchError::Url)?;
        let addresses = match url.host().ok_or(FetchError::Url)? {
            Host::Ipv4(ip) => vec![ip.into()],
            Host::Ipv6(ip) => vec![ip.into()],
            Host::Domain(name) => self.addresses(name, port).await?,
        };
        let public = addresses.into_iter().filter(|ip| IpScope::of(*ip) == IpScope::Global);
        let mut cause = FetchError::NotPublic;
        for ip in public.take(ADDRESSES_MAX) {
            let address = match &self.layout {
                Some(layout) => layout.routes.get(&ip).copied().ok_or(FetchError::NotPublic)?,
                None => SocketAddr::new(ip, port),
            };
            match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(socket)) => return Ok(socket),
                Ok(Err(error)) => cause = unreachable(error),
                Err(_) => cause = unreachable("connecting timed out"),
            }
        }
        Err(cause)
    }

    async fn addresses(&self, name: &str, port: u16) -> Result<Vec<IpAddr>, FetchError> {
        if let Some(layout) = &self.layout {
            return Ok(layout.names.get(name).cloned().unwrap_or_default());
        }
        let found = tokio::net::lookup_host((name, port)).await.map_err(unreachable)?;
        Ok(found.map(|address| address.ip()).collect())
    }

    async fn roots(&self) -> Result<Vec<CertificateDer<'static>>, FetchError> {
        let file = self.trusted_roots.clone();
        if file.is_empty() {
            return Ok(Vec::new());
        }
        blocking(move || read_roots(&file)).await.map_err(unreachable)?
    }
}

#[allow(clippy::disallowed_methods, reason = "runs inside `blocking`")]
fn read_roots(file: &str) -> Result<Vec<CertificateDer<'static>>, FetchError> {
    let pem = std::fs::read(file)
        .map_err(|error| unreachable(format!("mail.trusted_roots: can't read {file}: {error}")))?;
    CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(unreachable)
}

/// A URL that a stranger wrote, if a request may go there: without a user, at a usual port.
fn parsed(url: &str) -> Result<Url, FetchError> {
    if url.len() > URL_LEN_MAX {
        return Err(FetchError::Url);
    }
    let url = Url::parse(url).map_err(|_| FetchError::Url)?;
    let is_web = matches!(url.scheme(), "http" | "https");
    let has_user = !url.username().is_empty() || url.password().is_some();
    match is_web && !has_user && matches!(url.port(), None | Some(80 | 443)) {
        true => Ok(url),
        false => Err(FetchError::Url),
    }
}

fn request(url: &Url) -> axum::http::request::Builder {
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    Request::builder()
        .uri(format!("{}{query}", url.path()))
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
}

/// An answer without an error.
enum Answer {
    Content(Bytes),
    /// A redirect to this address.
    Elsewhere(String),
}

/// One request on a connection. At most `len_max` bytes of content are read; none if it is 0.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    len_max: usize,
) -> Result<Answer, FetchError> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEADER_LEN_MAX);
    let handshake = builder.handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(unreachable)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        read(response, len_max).await
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end together with the answer.
        ended = connection => match answer.await {
            Ok(answer) => Ok(answer),
            Err(cause) => Err(ended.err().map_or(cause, unreachable)),
        },
    }
}

async fn read(response: Response<Incoming>, len_max: usize) -> Result<Answer, FetchError> {
    let status = response.status();
    if status.is_redirection() {
        let place = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
        return Ok(Answer::Elsewhere(place.ok_or(FetchError::Redirect)?.to_owned()));
    }
    match status {
        _ if !status.is_success() => Err(FetchError::Status(status)),
        _ if len_max == 0 => Ok(Answer::Content(Bytes::new())),
        StatusCode::OK => {
            let body = Limited::new(response.into_body(), len_max).collect().await;
            Ok(Answer::Content(body.map_err(unreachable)?.to_bytes()))
        }
        _ => Err(FetchError::Status(status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn inner_address_is_never_connected_to() {
        let inner = "127.0.0.1".parse().unwrap();
        let names = HashMap::from([
            ("inner.example".to_owned(), vec![inner, "10.0.0.1".parse().unwrap()]),
            ("mapped.example".to_owned(), vec!["::ffff:192.168.0.1".parse().unwrap()]),
        ]);
        let net = Internet::default().laid_out(names, HashMap::new());
        for url in [
            "http://inner.example/a.png",
            "https://mapped.example/",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://0/",
        ] {
            assert_eq!(net.get(url, 9).await, Err(FetchError::NotPublic), "{url}");
        }
        for url in [
            "ftp://x.example/",
            "http://u@x.example/",
            "http://x.example:25/",
            "x",
            "file:///etc/passwd",
        ] {
            assert_eq!(net.get(url, 9).await, Err(FetchError::Url), "{url}");
        }
        assert_eq!(net.post("http://x.example/", "").await, Err(FetchError::Url));
        // The resolver of the machine.
        let net = Internet::default();
        assert_eq!(net.get("http://localhost/", 9).await, Err(FetchError::NotPublic));
    }
}
