//! The listeners: connections in, under TLS or not, each served by the door once there is one; and
//! an orderly end.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use freehold_core::node::Node;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::config::WebConfig;
use crate::door::{Client, Door};
use crate::mail_clients::MailEndpoints;
use crate::opening::Opening;
use crate::pace::{BrokenBody, PATIENCE, PacedBody, PacedStream, ServedBody};
use crate::site;
use freehold_core::crowd::{Crowd, Place};

/// How long a client may take to send a request's head, to think of its next request, or to agree
/// on keys.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 64 * 1024;
/// How long open requests may take to finish once the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more files to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound listener, and the keys if it speaks TLS.
pub struct Entrance {
    /// Where connections come in.
    pub listener: TcpListener,
    /// The TLS configuration; `None` for plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

/// Why the site could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No entrance, or one that is not bound.
    #[error("no address to listen on")]
    NoAddress,
    /// The store.
    #[error(transparent)]
    Store(#[from] freehold_core::store::StoreError),
}

/// A node's site, running.
pub struct Web {
    front: Arc<Front>,
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    graceful: Arc<GracefulShutdown>,
}

impl Web {
    /// Serves the site of `node` at `entrances`.
    ///
    /// # Errors
    /// As [`Web::listen`] and [`Web::open`].
    pub fn start(
        node: Node,
        config: WebConfig,
        entrances: Vec<Entrance>,
    ) -> Result<Self, StartError> {
        let web = Self::listen(config, entrances)?;
        web.open(node, None)?;
        Ok(web)
    }

    /// Listens at `entrances`, and tells whoever comes to come back in a moment, until
    /// [`Web::open`]. The first one's port stands in the site's own address when the configuration
    /// names none.
    ///
    /// # Errors
    /// When there is no entrance.
    pub fn listen(config: WebConfig, entrances: Vec<Entrance>) -> Result<Self, StartError> {
        let addresses: Vec<SocketAddr> =
            entrances.iter().filter_map(|entrance| entrance.listener.local_addr().ok()).collect();
        addresses.first().ok_or(StartError::NoAddress)?;
        let crowd = Crowd::new(config.connections_max, config.connections_per_address_max);
        let front = Arc::new(Front { config, opening: Opening::default(), door: OnceLock::new() });
        let (stop, stopped) = watch::channel(false);
        let graceful = Arc::new(GracefulShutdown::new());
        let tasks = entrances
            .into_iter()
            .map(|entrance| {
                let listening = Listening {
                    front: front.clone(),
                    crowd: crowd.clone(),
                    tls: entrance.tls.map(TlsAcceptor::from),
                };
                tokio::spawn(listening.run(entrance.listener, stopped.clone(), graceful.clone()))
            })
            .collect();
        Ok(Self { front, addresses, stop, tasks, graceful })
    }

    /// Serves the site of `node` from now on, on the connections that are open already too. `mail`
    /// is where mail programs find it.
    ///
    /// # Errors
    /// When the store can't be read.
    pub fn open(&self, node: Node, mail: Option<MailEndpoints>) -> Result<(), StartError> {
        let port = self.addresses.first().ok_or(StartError::NoAddress)?.port();
        let door = site::door_with_mail(node, self.front.config.clone(), port, mail)?;
        // A site that is open already stays the one it is.
        let _ = self.front.door.set(door);
        Ok(())
    }

    /// Where is told how far the opening is.
    pub fn opening(&self) -> Opening {
        self.front.opening.clone()
    }

    /// Where it listens, in the order of the entrances.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes no more connections, lets open requests finish for a few seconds, and ends.
    pub async fn shutdown(self) {
        // Nobody listening to the stop is a listener that has ended already.
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A listener that panicked has ended too.
            let _ = task.await;
        }
        // The listeners have ended, so this is the last one to hold it.
        if let Some(graceful) = Arc::into_inner(self.graceful)
            && tokio::time::timeout(DRAIN_TIMEOUT, graceful.shutdown()).await.is_err()
        {
            tracing::info!("some requests were still open when the site stopped");
        }
    }
}

/// How long a connection may be slow.
#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    patience: Duration,
}

const TIMES: Times = Times { head: HEAD_TIMEOUT, patience: PATIENCE };

/// What answers: the door, once there is one.
struct Front {
    config: WebConfig,
    opening: Opening,
    door: OnceLock<Door>,
}

impl Front {
    async fn answer(
        &self,
        request: Request<PacedBody<Incoming>>,
        client: Client,
    ) -> Response<Body> {
        match self.door.get() {
            Some(door) => door.towards(client.address, client.secure).answer(request).await,
            None => self.opening.answer(&request, client, &self.config),
        }
    }
}

struct Listening {
    front: Arc<Front>,
    crowd: Crowd,
    tls: Option<TlsAcceptor>,
}

impl Listening {
    async fn run(
        self,
        listener: TcpListener,
        mut stopped: watch::Receiver<bool>,
        graceful: Arc<GracefulShutdown>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Some(place) = self.crowd.enter(peer.ip(), self.is_shared(peer.ip())) else {
                tracing::debug!("a connection was turned away: every place is being answered");
                continue;
            };
            let client = Client { address: peer.ip(), secure: self.tls.is_some() };
            tokio::spawn(greet(
                stream,
                self.tls.clone(),
                (self.front.clone(), client),
                Arc::new(place),
                graceful.watcher(),
            ));
        }
    }

    /// Whether many people may stand behind this address.
    fn is_shared(&self, address: IpAddr) -> bool {
        address.to_canonical().is_loopback() || self.front.config.trusts(address)
    }
}

/// What answers, and whom.
type Asked = (Arc<Front>, Client);

/// Serves a connection until it ends or its place is needed.
async fn greet(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    front: Asked,
    place: Arc<Place>,
    watcher: Watcher,
) {
    // Without it small answers wait for the client's acknowledgement; failing to set it costs only
    // time.
    let _ = stream.set_nodelay(true);
    let served = async {
        let stream = PacedStream::new(stream, TIMES.patience, place.clone());
        match tls {
            None => serve(stream, front, &place, TIMES, watcher).await,
            Some(tls) => {
                if let Ok(Ok(stream)) = tokio::time::timeout(TIMES.head, tls.accept(stream)).await {
                    serve(stream, front, &place, TIMES, watcher).await;
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = place.is_needed() => tracing::debug!("a connection that kept us waiting was closed: its place was needed"),
    }
}

async fn serve<S>(
    stream: S,
    (front, client): Asked,
    place: &Arc<Place>,
    times: Times,
    watcher: Watcher,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (front, served) = (front.clone(), place.clone().serve());
        let request = request.map(|body| PacedBody::new(body, times.patience, place.clone()));
        async move {
            Ok::<_, BrokenBody>(
                front.answer(request, client).await.map(|body| ServedBody::new(body, served)),
            )
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(times.head).max_buf_size(HEAD_LEN_MAX);
    // A client that breaks off, stalls or speaks no HTTP is no fault of ours.
    let _ = watcher.watch(http.serve_connection(TokioIo::new(stream), service)).await;
}

#[cfg(test)]
mod tests {
    use freehold_core::testing::TestNode;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::*;

    const SHORT: Times =
        Times { head: Duration::from_millis(20), patience: Duration::from_millis(20) };
    const LONG: Times =
        Times { head: Duration::from_secs(600), patience: Duration::from_secs(600) };

    /// A client's end of a connection that is served, and the serving.
    async fn connected(node: &TestNode, times: Times) -> (DuplexStream, JoinHandle<()>) {
        let front = Front {
            config: WebConfig::default(),
            opening: Opening::default(),
            door: OnceLock::new(),
        };
        let _ = front.door.set(site::door(Node::clone(node), WebConfig::default(), 1).unwrap());
        let here = Client { address: IpAddr::from([127, 0, 0, 1]), secure: false };
        let (client, stream) = tokio::io::duplex(1024);
        let place = Arc::new(Crowd::new(1, 1).enter(here.address, true).unwrap());
        let serving = tokio::spawn(async move {
            let stream = PacedStream::new(stream, times.patience, place.clone());
            serve(
                stream,
                (Arc::new(front), here),
                &place,
                times,
                GracefulShutdown::new().watcher(),
            )
            .await;
        });
        (client, serving)
    }

    async fn rest(mut client: DuplexStream) -> String {
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        String::from_utf8_lossy(&all).into_owned()
    }

    #[tokio::test]
    async fn a_head_that_does_not_end_and_a_line_that_stays_idle_are_cut() {
        let alice = TestNode::new("alice").await;
        let (mut client, serving) = connected(&alice, SHORT).await;
        client.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\nGET / HT").await.unwrap();
        assert_eq!(rest(client).await.matches("alive").count(), 1);
        serving.await.unwrap();
        let (client, serving) = connected(&alice, SHORT).await;
        assert_eq!(rest(client).await, "");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_head_without_measure_is_refused() {
        let alice = TestNode::new("alice").await;
        let (mut client, serving) = connected(&alice, LONG).await;
        client.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
        let (mut hears, mut says) = tokio::io::split(client);
        let endless = async { while says.write_all(b"x-more: and more\r\n").await.is_ok() {} };
        let mut answer = Vec::new();
        let (read, ()) = tokio::join!(hears.read_to_end(&mut answer), endless);
        read.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_ends_the_connection_and_one_in_pieces_is_taken() {
        let alice = TestNode::new("alice").await;
        let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 19";
        let head = format!(
            "POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{form}\r\n\r\n"
        );
        let (mut client, serving) = connected(&alice, SHORT).await;
        client.write_all(format!("{head}password=").as_bytes()).await.unwrap();
        let answer = rest(client).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        serving.await.unwrap();

        let (mut client, serving) = connected(&alice, LONG).await;
        client.write_all(format!("{head}password=").as_bytes()).await.unwrap();
        for _ in 0..10 {
            tokio::task::yield_now().await;
            client.write_all(b"x").await.unwrap();
        }
        let answer = rest(client).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn an_answer_that_is_not_taken_ends_the_connection() {
        let alice = TestNode::new("alice").await;
        let (mut client, serving) = connected(&alice, SHORT).await;
        let font = crate::assets::address("vollkorn.woff2");
        client
            .write_all(format!("GET {font} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
            .await
            .unwrap();
        serving.await.unwrap();
        let mut taken = Vec::new();
        client.read_to_end(&mut taken).await.unwrap();
        assert!(taken.len() <= 1024, "what the line held, and nothing after it");
    }

    #[tokio::test]
    async fn stalled_connections_on_every_place_do_not_lock_the_owner_out() {
        let alice = TestNode::new("alice").await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = WebConfig { connections_max: 4, ..WebConfig::default() };
        let web = Web::start(Node::clone(&alice), config, vec![Entrance { listener, tls: None }])
            .unwrap();
        let address = web.addresses()[0];
        let mut stalled = Vec::new();
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: loc").await.unwrap();
            stalled.push(stream);
        }
        let mut owner = TcpStream::connect(address).await.unwrap();
        owner
            .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        owner.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("alive\n"), "{answer}");
        drop(stalled);
        web.shutdown().await;
    }

    #[tokio::test]
    async fn under_tls_the_answer_is_the_same_and_a_stalled_greeting_makes_room() {
        let alice = TestNode::new("alice").await;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.der().clone(), made.key_pair.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let tls = tls
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.try_into().unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = WebConfig { connections_max: 2, tls: true, ..WebConfig::default() };
        let entrance = Entrance { listener, tls: Some(Arc::new(tls)) };
        let web = Web::start(Node::clone(&alice), config, vec![entrance]).unwrap();
        let mut stalled = Vec::new();
        for _ in 0..5 {
            stalled.push(TcpStream::connect(web.addresses()[0]).await.unwrap());
        }
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let client = tokio_rustls::TlsConnector::from(Arc::new(
            client.with_root_certificates(roots).with_no_client_auth(),
        ));
        let stream = TcpStream::connect(web.addresses()[0]).await.unwrap();
        let mut stream = client.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("alive\n"), "{answer}");
        drop(stalled);
        web.shutdown().await;
    }
}
