//! The accept loop over real sockets.

use freehold_proto::clock::{Clock, Timestamp};
use tokio::io::AsyncReadExt;

use super::*;

struct Server {
    address: SocketAddr,
    drain: Drain,
}

impl Server {
    /// Sends each client the address it is taken to have, then waits for its end.
    async fn start(acceptor: Acceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, drain) = (listener.local_addr().unwrap(), Drain::new());
        let session = |mut accepted: Accepted| async move {
            let line = format!("{} {}\n", accepted.peer.ip(), accepted.is_proxied);
            accepted.stream.write_all(line.as_bytes()).await.unwrap();
            let mut rest = Vec::new();
            tokio::select! {
                _ = accepted.stream.read_to_end(&mut rest) => {}
                () = accepted.permit.revoked() => {}
            }
            accepted.stream.write_all(&rest).await.unwrap();
        };
        let accepting = drain.clone();
        drain.spawn(async move { Arc::new(acceptor).run(&listener, accepting, session).await });
        Self { address, drain }
    }

    /// Sends `bytes`, ends the sending side, and reads all.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        // A server that refuses may have closed already.
        let _ = stream.shutdown().await;
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received).await;
        String::from_utf8(received).unwrap()
    }
}

fn acceptor(total_max: usize, per_net_max: usize) -> Acceptor {
    let limiter = ConnectionLimiter::new(total_max, per_net_max, Clock::manual(Timestamp(0)));
    Acceptor::new(limiter, Admission::KeepOldest).refusal(b"full\n")
}

fn header_of(client: [u8; 4]) -> Vec<u8> {
    let [a, b, c, d] = client;
    let addresses = [a, b, c, d, 127, 0, 0, 1, 0x12, 0x67, 0, 25];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

#[tokio::test]
async fn proxied_client_is_known_by_its_own_address() {
    let proxies = ["127.0.0.1".parse().unwrap()];
    let server = Server::start(acceptor(9, 9).proxies(&proxies)).await;
    let sent = [&header_of([203, 0, 113, 9])[..], b"hello"].concat();
    assert_eq!(server.exchange(&sent).await, "203.0.113.9 true\nhello");
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0hello";
    assert_eq!(server.exchange(local).await, "127.0.0.1 true\nhello");
}

#[tokio::test]
async fn trusted_address_without_a_header_is_closed() {
    let proxies = ["127.0.0.0/8".parse().unwrap()];
    let server = Server::start(acceptor(9, 9).proxies(&proxies)).await;
    assert_eq!(server.exchange(b"EHLO client.example\r\n").await, "");
    assert_eq!(server.exchange(b"").await, "");
}

#[tokio::test]
async fn header_from_elsewhere_is_not_parsed() {
    let proxies = ["192.0.2.1".parse().unwrap()];
    let server = Server::start(acceptor(9, 9).proxies(&proxies)).await;
    let header = header_of([203, 0, 113, 9]);
    let received = server.exchange(&header[..16]).await;
    assert_eq!(received, "127.0.0.1 false\n\r\n\r\n\0\r\nQUIT\n!\u{11}\0\u{c}");
}

#[tokio::test]
async fn proxied_clients_are_limited_by_their_own_address() {
    let proxies = ["127.0.0.1".parse().unwrap()];
    let server = Server::start(acceptor(9, 1).proxies(&proxies)).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(&header_of([203, 0, 113, 9])).await.unwrap();
    let mut line = [0; 17];
    first.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"203.0.113.9 true\n");
    assert_eq!(server.exchange(&header_of([203, 0, 113, 9])).await, "full\n");
    assert_eq!(server.exchange(&header_of([203, 0, 113, 10])).await, "203.0.113.10 true\n");
    drop(first);
}

#[tokio::test]
async fn pending_headers_do_not_lock_out_the_proxy() {
    let proxies = ["127.0.0.1".parse().unwrap()];
    let server = Server::start(acceptor(9, 9).proxies(&proxies)).await;
    let mut silent = Vec::new();
    for _ in 0..HEADERS_PENDING_MAX + 8 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    assert_eq!(server.exchange(&header_of([203, 0, 113, 9])).await, "203.0.113.9 true\n");
}

#[tokio::test]
async fn stopped_listener_closes_its_port() {
    let server = Server::start(acceptor(9, 9)).await;
    assert_eq!(server.exchange(b"hello").await, "127.0.0.1 false\nhello");
    assert!(server.drain.finish(Duration::from_secs(60)).await);
    assert!(TcpStream::connect(server.address).await.is_err());
}
