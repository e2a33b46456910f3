//! The log about clients that come without a PROXY header, or beyond a limit.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::folder::Folder;
use crate::node_process::{NodeProcess, TIMEOUT};

/// Sends `bytes` to a port of this machine and reads until the node closes.
fn exchange(port: u16, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    // The node may have closed before all was sent.
    let _ = stream.write_all(bytes);
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    String::from_utf8_lossy(&received).into_owned()
}

fn serve(folder: &Folder, sets: &[&str]) -> NodeProcess {
    let mut command = folder.command();
    for set in sets {
        command.args(["--set", set]);
    }
    let mut running = NodeProcess::start(&mut command);
    running.wait_until_ready();
    running
}

#[test]
fn missing_proxy_header_is_warned_of_once_per_cause() {
    let folder = Folder::set_up();
    let mut running = serve(
        &folder,
        &[
            "web.proxy_protocol_from=[\"127.0.0.1\"]",
            "mail.proxy_protocol_from=[\"127.0.0.1\"]",
            "node.log=info,freehold_listen=debug",
        ],
    );
    let web = running.printed_word("http://ruth.localhost:");
    let ports = [web.rsplit(':').next().unwrap().parse().unwrap(), running.printed_port("SMTP")];
    let malformed = b"\r\n\r\n\0\r\nQUIT\n\x29\x11\0\x0c";
    let unix = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8"[..], &[0; 216]].concat();
    for port in ports {
        for header in [
            &b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n"[..],
            b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 25\r\nGET / HTTP/1.0\r\n\r\n",
            malformed,
        ] {
            for level in ["WARN", "DEBUG"] {
                assert_eq!(exchange(port, header), "");
                let line = running.wait_for_log("PROXY protocol");
                assert!(line.contains(level), "{level}: {line}");
                assert!(line.contains(&format!("127.0.0.1:{port}")), "{line}");
                if header.starts_with(b"PROXY") {
                    assert!(line.contains("send-proxy-v2"), "{line}");
                }
            }
        }
    }
    let request = b"GET /livez HTTP/1.0\r\n\r\n";
    assert!(exchange(ports[0], &[&unix, &request[..]].concat()).starts_with("HTTP/1.0 200 "));
    running.stop();
}

#[test]
fn reached_connection_limit_is_logged_once() {
    let folder = Folder::set_up();
    let mut running = serve(&folder, &["mail.smtp_connections_max=1"]);
    let port = running.printed_port("SMTP");
    let open = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let refused: Vec<String> = (0..3).map(|_| exchange(port, b"QUIT\r\n")).collect();
    assert!(refused.iter().all(|reply| reply.starts_with("421 ")), "{refused:?}");
    let line = running.wait_for_log("mail.smtp_connections_max");
    assert!(line.contains("WARN") && line.contains(&format!("127.0.0.1:{port}")), "{line}");
    drop(open);
    let rest = running.stop();
    let repeated = rest.iter().filter(|line| line.contains("smtp_connections_max")).count();
    assert_eq!(repeated, 1, "{rest:#?}");
}
