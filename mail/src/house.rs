//! What every connection of this crate is given, and the loop that takes connections in.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use freehold_core::crowd::{Crowd, Place};
use freehold_core::node::Node;
use freehold_core::profile;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::MailConfig;
use crate::stream::is_loopback;

/// How long to wait when the operating system gives no more connections (too many open files, say).
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long a client may take to hear that there is no room.
const FULL_TIMEOUT: Duration = Duration::from_secs(1);

/// The node, how mail is set up, and the sign to stop. Cheap to clone.
#[derive(Clone)]
pub struct House {
    /// Whose mail it is.
    pub node: Node,
    /// How mail is set up.
    pub config: Arc<MailConfig>,
    /// What a client is shown when it asks for TLS.
    pub tls: Arc<ServerConfig>,
    /// Cancelled when mail stops: what is between two messages or commands says goodbye, what is
    /// under way goes on.
    pub stop: CancellationToken,
    /// Cancelled when the time for stopping is over: what is still under way is cut off.
    pub halt: CancellationToken,
    /// Everything that runs.
    pub tasks: TaskTracker,
}

impl House {
    /// A house around `node`, open.
    pub fn new(node: Node, config: MailConfig, tls: Arc<ServerConfig>) -> Self {
        Self {
            node,
            config: Arc::new(config),
            tls,
            stop: CancellationToken::new(),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// The name this node goes by among mail servers.
    pub fn hostname(&self) -> String {
        if !self.config.hostname.is_empty() {
            return self.config.hostname.clone();
        }
        match profile::get(&self.node) {
            Ok(Some(profile)) => profile.domain,
            _ => "localhost".to_owned(),
        }
    }

    /// Runs `work` until it ends or the time for stopping is over.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let halt = self.halt.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = work => {}
                () = halt.cancelled() => {}
            }
        });
    }

    /// Takes connections in until mail stops. One that finds no room is told `full` and sent away;
    /// so that it can be understood,
    /// `full` is empty on a port that begins with TLS.
    pub fn listen<F, W>(&self, listener: TcpListener, crowd: Crowd, full: &'static [u8], session: F)
    where
        F: Fn(House, TcpStream, SocketAddr, Arc<Place>) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let house = self.clone();
        self.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = house.stop.cancelled() => return,
                };
                match accepted {
                    Ok((socket, peer)) => match crowd.admit(peer.ip(), is_loopback(peer.ip())) {
                        Some(place) => {
                            house.spawn(session(house.clone(), socket, peer, Arc::new(place)))
                        }
                        None => house.spawn(turn_away(socket, full)),
                    },
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken in");
                        sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
    }
}

/// Says why, and hangs up.
pub(crate) async fn turn_away(mut socket: TcpStream, why: &'static [u8]) {
    tracing::debug!("a connection was turned away");
    let goodbye = async {
        socket.write_all(why).await?;
        socket.shutdown().await
    };
    // Whoever does not listen misses nothing but a sentence.
    let _ = timeout(FULL_TIMEOUT, goodbye).await;
}
