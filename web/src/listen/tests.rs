//! Slow and stalled HTTP clients, with and without TLS.

use std::net::IpAddr;

use freehold_core::testing::TestNode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;

const SHORT: Timeouts =
    Timeouts { head: Duration::from_millis(20), stall: Duration::from_millis(20) };
const LONG: Timeouts = Timeouts { head: Duration::from_secs(600), stall: Duration::from_secs(600) };

/// The client's end of a served connection, and the task that serves it.
async fn connected(node: &TestNode, timeouts: Timeouts) -> (DuplexStream, JoinHandle<()>) {
    let service = site::service(Node::clone(node), WebConfig::default(), 1).unwrap();
    let responder = Arc::new(Responder {
        config: WebConfig::default(),
        progress: StartupProgress::default(),
        service: OnceLock::from(service),
    });
    let local = Client { address: IpAddr::from([127, 0, 0, 1]), secure: false };
    let (client, stream) = tokio::io::duplex(1024);
    let limiter = ConnectionLimiter::new(1, 1, Clock::system());
    let permit = Arc::new(limiter.admit_evicting(local.address, true).unwrap());
    let serving = tokio::spawn(async move {
        let stream = DeadlineStream::new(stream, timeouts.stall, permit.clone());
        serve(stream, (responder, local, Scheme::Expected), &permit, timeouts, Drain::new()).await;
    });
    (client, serving)
}

async fn rest(mut client: DuplexStream) -> String {
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    String::from_utf8_lossy(&all).into_owned()
}

#[tokio::test]
async fn unfinished_head_and_idle_connection_are_closed() {
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
async fn endless_request_head_is_refused() {
    let alice = TestNode::new("alice").await;
    let (mut client, serving) = connected(&alice, LONG).await;
    client.write_all(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n").await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(client);
    let endless = async { while writer.write_all(b"x-more: and more\r\n").await.is_ok() {} };
    let mut answer = Vec::new();
    let (read, ()) = tokio::join!(reader.read_to_end(&mut answer), endless);
    read.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
    serving.await.unwrap();
}

#[tokio::test]
async fn stalled_body_ends_connection_and_split_one_continues() {
    let alice = TestNode::new("alice").await;
    let form = "content-type: application/x-www-form-urlencoded\r\ncontent-length: 19";
    let head =
        format!("POST /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{form}\r\n\r\n");
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
async fn unread_response_ends_the_connection() {
    let alice = TestNode::new("alice").await;
    let (mut client, serving) = connected(&alice, SHORT).await;
    let font = crate::assets::address("vollkorn.woff2");
    client
        .write_all(format!("GET {font} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .await
        .unwrap();
    serving.await.unwrap();
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.unwrap();
    assert!(received.len() <= 1024, "what the buffer held, and nothing after it");
}

#[tokio::test]
async fn stalled_connections_do_not_lock_the_owner_out() {
    let alice = TestNode::new("alice").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = WebConfig { connections_max: 4, ..WebConfig::default() };
    let web =
        Web::start(Node::clone(&alice), config, vec![Endpoint { listener, tls: None }]).unwrap();
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
async fn stalled_tls_handshake_makes_room_for_a_newcomer() {
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
    let endpoint = Endpoint { listener, tls: Some(Arc::new(tls).into()) };
    let web = Web::start(Node::clone(&alice), config, vec![endpoint]).unwrap();
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

#[tokio::test]
async fn proxied_request_is_served_after_its_header() {
    let alice = TestNode::new("alice").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_protocol_from = vec!["127.0.0.1".parse().unwrap()];
    let config = WebConfig { proxy_protocol_from, ..WebConfig::default() };
    let web =
        Web::start(Node::clone(&alice), config, vec![Endpoint { listener, tls: None }]).unwrap();
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x09\x7f\0\0\x01\x12\x67\0\x50";
    for (header, is_served) in [(&header[..], true), (b"", false)] {
        let mut stream = TcpStream::connect(web.addresses()[0]).await.unwrap();
        stream.write_all(&[header, request].concat()).await.unwrap();
        let mut received = Vec::new();
        // The connection without a header is closed before its request is read, hence reset.
        let _ = stream.read_to_end(&mut received).await;
        assert_eq!(received.ends_with(b"alive\n"), is_served);
    }
    web.shutdown().await;
}
