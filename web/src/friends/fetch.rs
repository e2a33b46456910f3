//! A pasted invite as a whole one: the site of a short invite is asked for the rest.
//!
//! The request has a fixed path, no cookie and no redirects, and goes to no address inside a
//! machine or a network that this node is not in itself. The answer is bounded and authenticated by
//! the token, so the site's certificate is not verified: self-signed ones of small sites work as
//! well.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::uri::Authority;
use axum::http::{Request, StatusCode, Uri, header};
use freehold_core::friends::{self, Invite, RESOLUTION_LEN_MAX, ShortInvite};
use freehold_core::node::Node;
use freehold_core::store::StoreError;
use freehold_listen::opportunistic_tls;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// How long the site may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a text did not become an invite.
#[derive(Debug, thiserror::Error)]
pub enum FindInviteError {
    /// It is neither form of an invite.
    #[error("that is not an invite")]
    NotAnInvite,
    /// It is an invite of this node.
    #[error("this invite is your own: give it to a friend")]
    Own,
    /// The site of a short invite did not answer.
    #[error("{site} could not be asked for this invite: {cause}")]
    Unreachable {
        /// The site.
        site: String,
        /// The cause.
        cause: String,
    },
    /// The site does not know the invite.
    #[error("{0} does not know this invite: it was used or taken back, or has expired")]
    Unknown(String),
    /// The answer is not that of the inviter's node.
    #[error("the answer of {0} does not belong to this invite")]
    Forged(String),
    /// The store's own error.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Reads an invite in its long form, or asks the site of one in its short form.
///
/// # Errors
/// As [`FindInviteError`].
pub async fn find_invite(node: &Node, text: &str) -> Result<Invite, FindInviteError> {
    if let Ok(invite) = text.parse::<Invite>() {
        return Ok(invite);
    }
    let short: ShortInvite = text.parse().map_err(|_| FindInviteError::NotAnInvite)?;
    if short.is_own(node)? {
        return Err(FindInviteError::Own);
    }
    let site = short.site().to_owned();
    match tokio::time::timeout(ANSWER_TIMEOUT, ask(node, &short)).await {
        Ok(Ok(Some(answer))) => short.open(&answer).map_err(|_| FindInviteError::Forged(site)),
        Ok(Ok(None)) => Err(FindInviteError::Unknown(site)),
        Ok(Err(Failed::Store(error))) => Err(error.into()),
        Ok(Err(Failed::Other(cause))) => Err(FindInviteError::Unreachable { site, cause }),
        Err(_) => {
            Err(FindInviteError::Unreachable { site, cause: "no answer within 10 s".to_owned() })
        }
    }
}

enum Failed {
    Store(StoreError),
    Other(String),
}

fn failed(cause: impl fmt::Display) -> Failed {
    Failed::Other(cause.to_string())
}

/// The site's answer; `None` if it does not know the invite.
async fn ask(node: &Node, short: &ShortInvite) -> Result<Option<Bytes>, Failed> {
    let uri: Uri = format!("{}{}", short.site(), short.path()).parse().map_err(failed)?;
    let authority = uri.authority().cloned().ok_or_else(|| failed("it has no host"))?;
    let is_https = uri.scheme_str() == Some("https");
    let stream = connect(node, &authority, if is_https { 443 } else { 80 }).await?;
    if !is_https {
        return exchange(stream, &uri, &authority).await;
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(failed)?;
    let tls = TlsConnector::from(Arc::new(opportunistic_tls().map_err(failed)?));
    exchange(tls.connect(name, stream).await.map_err(failed)?, &uri, &authority).await
}

async fn connect(node: &Node, authority: &Authority, port: u16) -> Result<TcpStream, Failed> {
    let host = authority.host().trim_matches(['[', ']']);
    let port = authority.port_u16().unwrap_or(port);
    let mut cause = failed("its name has no address");
    for ip in addresses(host, port).await? {
        if !friends::may_fetch_from(node, ip).map_err(Failed::Store)? {
            cause = failed(format!("{ip} is inside a network; this node is not"));
            continue;
        }
        match TcpStream::connect(SocketAddr::new(ip, port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => cause = failed(error),
        }
    }
    Err(cause)
}

/// The addresses of a host. `localhost` and names below it are this machine (RFC 6761 6.3), also
/// where the system's resolver does not know that.
async fn addresses(host: &str, port: u16) -> Result<Vec<IpAddr>, Failed> {
    let lower = host.to_ascii_lowercase();
    if lower == "localhost" || lower.ends_with(".localhost") {
        return Ok(vec![[127, 0, 0, 1].into(), std::net::Ipv6Addr::LOCALHOST.into()]);
    }
    let found = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    Ok(found.map(|address| address.ip()).collect())
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    uri: &Uri,
    authority: &Authority,
) -> Result<Option<Bytes>, Failed> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let request = Request::get(uri.path())
        .header(header::HOST, authority.as_str())
        .body(Empty::<Bytes>::new())
        .map_err(failed)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            status => return Err(failed(format!("it answered {status}"))),
        }
        let body = Limited::new(response.into_body(), RESOLUTION_LEN_MAX);
        Ok(Some(body.collect().await.map_err(failed)?.to_bytes()))
    };
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // The connection may end together with the answer.
        ended = connection => match answer.await {
            Ok(answer) => Ok(answer),
            Err(cause) => Err(ended.err().map_or(cause, failed)),
        },
    }
}
