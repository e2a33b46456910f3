//! The site's own HTTPS port: clients with TLS and without.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::clients::LineClient;
use crate::folder::Folder;
use crate::node_process::{NodeProcess, TIMEOUT};

#[test]
fn plain_http_at_the_https_port_is_redirected() {
    let folder = Folder::set_up();
    let mut command = folder.command();
    command.args(["--set", "web.tls=true"]);
    let mut running = NodeProcess::start(&mut command);
    running.wait_until_ready();
    let url = running.printed_word("https://ruth.localhost:");
    let port = url.rsplit(':').next().unwrap().parse().unwrap();
    for (request, status, location) in [
        ("GET /about HTTP/1.1", "301", format!("\r\nlocation: {url}/about\r\n")),
        ("POST /login HTTP/1.1", "426", "\r\n".to_owned()),
        ("GET /livez HTTP/1.1", "200", "alive".to_owned()),
        ("get / HTTP/1.1", "", String::new()),
    ] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let host = url.strip_prefix("https://").unwrap();
        let head = format!("{request}\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let mut received = Vec::new();
        // A client that sends neither TLS nor a method gets a TLS alert.
        let _ = stream.read_to_end(&mut received);
        let received = String::from_utf8_lossy(&received);
        assert!(received.split(' ').nth(1).unwrap_or_default() == status, "{request}: {received}");
        assert!(received.contains(&location), "{request}: {received}");
    }
    let mut client = LineClient::tls(port, &folder.data().join("tls/cert.pem"));
    client.send("GET /livez HTTP/1.0\r\n\r\n");
    assert_eq!(client.line(), "HTTP/1.0 200 OK");
    running.stop();
}
