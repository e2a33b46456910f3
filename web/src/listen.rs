//! The listeners: connections in, under TLS or not, each served by the door; and an orderly end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_core::node::Node;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::config::WebConfig;
use crate::door::Door;
use crate::site;

/// How long a client may take to send its request's head, or to agree on keys.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long open requests may take to finish once the node stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);
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
    addresses: Vec<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    graceful: Arc<GracefulShutdown>,
}

impl Web {
    /// Serves the site of `node` at `entrances`. The first one's port stands in the site's own address when the
    /// configuration names none.
    ///
    /// # Errors
    /// When there is no entrance, or the store can't be read.
    pub async fn start(node: Node, config: WebConfig, entrances: Vec<Entrance>) -> Result<Self, StartError> {
        let addresses: Vec<SocketAddr> = entrances.iter().filter_map(|entrance| entrance.listener.local_addr().ok()).collect();
        let port = addresses.first().ok_or(StartError::NoAddress)?.port();
        let room = Arc::new(Semaphore::new(config.connections_max.max(1)));
        let door = site::door(node, config, port)?;
        let (stop, stopped) = watch::channel(false);
        let graceful = Arc::new(GracefulShutdown::new());
        let tasks = entrances
            .into_iter()
            .map(|entrance| {
                let listening = Listening { door: door.clone(), room: room.clone(), tls: entrance.tls.map(TlsAcceptor::from) };
                tokio::spawn(listening.run(entrance.listener, stopped.clone(), graceful.clone()))
            })
            .collect();
        Ok(Self { addresses, stop, tasks, graceful })
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

struct Listening {
    door: Door,
    room: Arc<Semaphore>,
    tls: Option<TlsAcceptor>,
}

impl Listening {
    async fn run(self, listener: TcpListener, mut stopped: watch::Receiver<bool>, graceful: Arc<GracefulShutdown>) {
        loop {
            // A connection is taken in only when there is room for it; until then it waits in the system's own queue.
            let next = async {
                let place = self.room.clone().acquire_owned().await.map_err(std::io::Error::other)?;
                listener.accept().await.map(|(stream, peer)| (place, stream, peer))
            };
            let accepted = tokio::select! {
                accepted = next => accepted,
                _ = stopped.wait_for(|stop| *stop) => return,
            };
            let Ok((place, stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let door = self.door.towards(peer.ip(), self.tls.is_some());
            let (tls, watcher) = (self.tls.clone(), graceful.watcher());
            tokio::spawn(async move {
                greet(stream, tls, door, watcher).await;
                drop(place);
            });
        }
    }
}

async fn greet(stream: TcpStream, tls: Option<TlsAcceptor>, door: Door, watcher: Watcher) {
    // Without it small answers wait for the client's acknowledgement; failing to set it costs only time.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(stream, door, watcher).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
                serve(stream, door, watcher).await;
            }
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S, door: Door, watcher: Watcher) {
    let service = service_fn(move |request| {
        let door = door.clone();
        async move { Ok::<_, std::convert::Infallible>(door.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    let connection = http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or speaks no HTTP is no fault of ours.
    let _ = watcher.watch(connection).await;
}
