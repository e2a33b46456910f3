//! Fetching from web servers of every kind.

use std::sync::Arc;

use freehold_core::mta_sts::Mode;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

const HOST: &str = "mta-sts.bob.house";
const POLICY: &str = "version: STSv1\r\nmode: enforce\r\nmx: mx.bob.house\r\nmax_age: 86400\r\n";

/// The names in the server's certificate, and whether the client knows its authority.
#[derive(Clone, Copy)]
struct Certificate {
    name: &'static str,
    is_known: bool,
}

const GOOD: Certificate = Certificate { name: HOST, is_known: true };

/// Fetches from a server that sends these bytes and closes the connection. Returns the request too.
async fn fetch(certificate: Certificate, response: Vec<u8>) -> (Result<Policy, String>, String) {
    let made = rcgen::generate_simple_self_signed([certificate.name.to_owned()]).unwrap();
    let roots = tempfile::NamedTempFile::new().unwrap();
    if certificate.is_known {
        write(roots.path(), &made.cert.pem());
    }
    let key = made.key_pair.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = async {
        let (socket, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(socket).await else {
            return String::new();
        };
        let mut request = vec![0; 4096];
        let len = stream.read(&mut request).await.unwrap_or(0);
        let _ = stream.write_all(&response).await;
        let _ = stream.shutdown().await;
        String::from_utf8_lossy(&request[..len]).into_owned()
    };
    let path = if certificate.is_known { roots.path().to_str().unwrap() } else { "" };
    let addresses = [address];
    tokio::join!(from_host(HOST, &addresses, path), serving)
}

#[allow(clippy::disallowed_methods, reason = "a test may block")]
fn write(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

/// A response with this header and body.
fn response(status: &str, kind: &str, body: &str) -> Vec<u8> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n");
    format!("{head}Location: https://{HOST}/other.txt\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn policy_is_fetched_from_its_fixed_path() {
    let len = POLICY.len();
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: TEXT/plain\r\nTransfer-Encoding: chunked\r\n\r\n{len:x}\r\n{POLICY}\r\n0\r\n\r\n"
    );
    for response in [
        response("200 OK", "text/plain", POLICY),
        response("200 OK", "text/plain; charset=utf-8", POLICY),
        chunked.into_bytes(),
    ] {
        let (policy, request) = fetch(GOOD, response).await;
        assert_eq!(policy.unwrap().mode, Mode::Enforce);
        let start = "GET /.well-known/mta-sts.txt HTTP/1.1\r\n";
        assert!(request.starts_with(start), "{request}");
        assert!(request.to_lowercase().contains("\r\nhost: mta-sts.bob.house\r\n"), "{request}");
    }
}

#[tokio::test]
async fn other_answers_are_no_policy() {
    let megabyte = POLICY.to_owned() + &"x: y\r\n".repeat(200_000);
    let endless_header = [b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'x'; 1_000_000]].concat();
    let mut truncated = response("200 OK", "text/plain", POLICY);
    truncated.truncate(truncated.len() - 1);
    for (name, response) in [
        ("redirect", response("301 Moved Permanently", "text/plain", POLICY)),
        ("not found", response("404 Not Found", "text/plain", POLICY)),
        ("part", response("206 Partial Content", "text/plain", POLICY)),
        ("html", response("200 OK", "text/html", POLICY)),
        ("no type", response("200 OK", "", POLICY)),
        ("a megabyte", response("200 OK", "text/plain", &megabyte)),
        ("endless header", endless_header),
        ("truncated", truncated),
        ("no HTTP", b"220 smtp.bob.house ESMTP\r\n".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let (policy, _) = fetch(GOOD, response).await;
        assert!(policy.is_err(), "{name}: {policy:?}");
    }
}

#[tokio::test]
async fn certificate_must_be_known_and_for_the_host() {
    for certificate in [
        Certificate { name: "bob.house", is_known: true },
        Certificate { name: HOST, is_known: false },
    ] {
        let (policy, request) = fetch(certificate, response("200 OK", "text/plain", POLICY)).await;
        assert!(policy.unwrap_err().contains("certificate"), "{}", certificate.name);
        assert_eq!(request, "", "nothing is asked");
    }
}

#[tokio::test]
async fn silent_server_is_left_after_the_time_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limit = Duration::from_millis(1);
    let policy = in_time(limit, from_host(HOST, &[address], "")).await;
    assert!(policy.unwrap_err().contains("in time"));
    let none = from_host(HOST, &[], "").await;
    assert!(none.unwrap_err().contains("no public address"));
}
