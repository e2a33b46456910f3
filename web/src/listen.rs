//! The HTTP server: each connection, with or without TLS, is served by the site once the node is
//! open, by [`startup`](crate::startup) before that, and ends in order when the node stops.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use freehold_core::clock::Clock;
use freehold_core::node::Node;
use freehold_listen::{
    Accepted, Acceptor, Admission, ConnectionLimiter, DeadlineStream, Drain, LimitNames, Permit,
    STALL_BUDGET, TlsConfig,
};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};

use crate::config::WebConfig;
use crate::mail_clients::MailEndpoints;
use crate::site_service::{Client, SiteService};
use crate::slow_client::{BodyError, DeadlineBody, ServingBody};
use crate::startup::StartupProgress;
use crate::{health, plain_http, site};

/// How long a client may take to send a request's head, to send its next request, or to complete
/// the TLS handshake.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 64 * 1024;
/// How long open requests may take to finish once the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// A bound listener of the site.
pub struct Endpoint {
    /// The socket that accepts connections.
    pub listener: TcpListener,
    /// The TLS configuration; `None` for plain HTTP.
    pub tls: Option<TlsConfig>,
}

/// Why the site could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no endpoint, or none that is bound.
    #[error("no address to listen on")]
    NoAddress,
    /// The store.
    #[error(transparent)]
    Store(#[from] freehold_core::store::StoreError),
}

/// The running HTTP server of a node.
pub struct Web {
    responder: Arc<Responder>,
    addresses: Vec<SocketAddr>,
    drain: Drain,
}

impl Web {
    /// Serves the site of `node` at `endpoints`.
    ///
    /// # Errors
    /// As [`Web::listen`] and [`Web::open`].
    pub fn start(
        node: Node,
        config: WebConfig,
        endpoints: Vec<Endpoint>,
    ) -> Result<Self, StartError> {
        let web = Self::listen(config, endpoints)?;
        web.open(node, None)?;
        Ok(web)
    }

    /// Listens at `endpoints` and answers every request with 503 and `Retry-After` until
    /// [`Web::open`]. Where the configuration names no public URL, the site's own address contains
    /// the first endpoint's port.
    ///
    /// # Errors
    /// When there is no endpoint.
    pub fn listen(config: WebConfig, endpoints: Vec<Endpoint>) -> Result<Self, StartError> {
        let addresses: Vec<SocketAddr> =
            endpoints.iter().filter_map(|endpoint| endpoint.listener.local_addr().ok()).collect();
        addresses.first().ok_or(StartError::NoAddress)?;
        let limiter = ConnectionLimiter::new(
            config.connections_max,
            config.connections_per_address_max,
            Clock::system(),
        );
        let acceptor = Acceptor::new(limiter, Admission::PreferNewest)
            .proxies(&config.proxy_protocol_from)
            .shared(config.trusted_networks())
            .limits_named(LimitNames {
                total: "web.connections_max",
                per_net: "web.connections_per_address_max",
            });
        let responder = Arc::new(Responder {
            config,
            progress: StartupProgress::default(),
            service: OnceLock::new(),
        });
        let drain = Drain::new();
        for Endpoint { listener, tls } in endpoints {
            let (acceptor, accepting) = (Arc::new(acceptor.clone()), drain.clone());
            let (responder, stopping) = (responder.clone(), drain.clone());
            let session = move |accepted| {
                serve_accepted(accepted, tls.clone(), responder.clone(), stopping.clone())
            };
            drain.spawn(async move { acceptor.run(&listener, accepting, session).await });
        }
        Ok(Self { responder, addresses, drain })
    }

    /// Serves the site of `node` from now on, also on the connections that are open already. `mail`
    /// is where mail programs connect.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn open(&self, node: Node, mail: Option<MailEndpoints>) -> Result<(), StartError> {
        let port = self.addresses.first().ok_or(StartError::NoAddress)?.port();
        let config = self.responder.config.clone();
        let service = site::service_with_mail(node, config, port, mail)?;
        // A second call has no effect.
        let _ = self.responder.service.set(service);
        Ok(())
    }

    /// Where the opening of the node is to be reported.
    pub fn startup_progress(&self) -> StartupProgress {
        self.responder.progress.clone()
    }

    /// The addresses it listens on, in the order of the endpoints.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Accepts no more connections, lets open requests finish for two seconds, and cuts off the
    /// rest.
    pub async fn shutdown(self) {
        if !self.drain.finish(DRAIN_TIMEOUT).await {
            tracing::info!("some requests were still open when the site stopped");
        }
    }
}

/// How long a client may keep the node waiting.
#[derive(Clone, Copy)]
struct Timeouts {
    head: Duration,
    stall: Duration,
}

const TIMEOUTS: Timeouts = Timeouts { head: HEAD_TIMEOUT, stall: STALL_BUDGET };

/// Answers requests: the site, or the start-up page before the node is open.
struct Responder {
    config: WebConfig,
    progress: StartupProgress,
    service: OnceLock<SiteService>,
}

impl Responder {
    async fn answer(
        &self,
        request: Request<DeadlineBody<Incoming>>,
        client: Client,
    ) -> Response<Body> {
        match self.service.get() {
            Some(service) => {
                service.for_client(client.address, client.secure).answer(request).await
            }
            None => self.progress.answer(&request, client, &self.config),
        }
    }
}

/// Serves a connection until it ends or its permit is revoked.
async fn serve_accepted(
    accepted: Accepted,
    tls: Option<TlsConfig>,
    responder: Arc<Responder>,
    drain: Drain,
) {
    let address = accepted.peer.ip();
    let Accepted { stream, permit, .. } = accepted;
    // Nagle's algorithm would delay small responses; a failure to disable it costs only time.
    let _ = stream.set_nodelay(true);
    let served = async {
        let is_plain = tls.is_some() && sends_plain_http(&stream).await;
        let client = Client { address, secure: tls.is_some() && !is_plain };
        let stream = DeadlineStream::new(stream, TIMEOUTS.stall, permit.clone());
        match tls {
            None => {
                let responder = (responder, client, Scheme::Expected);
                serve(stream, responder, &permit, TIMEOUTS, drain).await;
            }
            Some(_) if is_plain => {
                let responder = (responder, client, Scheme::Plain);
                serve(stream, responder, &permit, TIMEOUTS, drain).await;
            }
            Some(tls) => {
                let responder = (responder, client, Scheme::Expected);
                if let Ok(stream) = tls.handshake(stream, TIMEOUTS.head, &permit).await {
                    serve(stream, responder, &permit, TIMEOUTS, drain).await;
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = permit.revoked() => tracing::debug!("a waiting connection was closed for a newcomer"),
    }
}

/// Whether the client of a TLS port sends plain HTTP, by the first byte that arrives.
async fn sends_plain_http(stream: &TcpStream) -> bool {
    let mut first = [0];
    let peeked = tokio::time::timeout(TIMEOUTS.head, stream.peek(&mut first)).await;
    matches!(peeked, Ok(Ok(1))) && plain_http::is_plain(first[0])
}

/// Whether a connection uses the scheme of its port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Expected,
    /// Plain HTTP on a port for HTTPS.
    Plain,
}

async fn serve<S>(
    stream: S,
    (responder, client, scheme): (Arc<Responder>, Client, Scheme),
    permit: &Arc<Permit>,
    timeouts: Timeouts,
    drain: Drain,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (responder, serving) = (responder.clone(), permit.clone().serve());
        let request = request.map(|body| DeadlineBody::new(body, timeouts.stall, permit.clone()));
        async move {
            let response = if scheme == Scheme::Plain && !health::is_check(&request) {
                plain_http::answer(&request, &responder.config)
            } else {
                responder.answer(request, client).await
            };
            Ok::<_, BodyError>(response.map(|body| ServingBody::new(body, serving)))
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(timeouts.head).max_buf_size(HEAD_LEN_MAX);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // An error means that the client broke off, stalled or sent no HTTP: nothing to report.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = drain.stopping() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

#[cfg(test)]
mod tests;
