//! Stopping a node by signals.

use rustix::process::Signal;

use crate::clients::Browser;
use crate::folder::Folder;
use crate::node_process::NodeProcess;

#[test]
fn sigterm_and_sigint_stop_the_node_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::set_up();
        let running = folder.serve();
        running.signal(signal);
        let (status, log) = running.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(log.last().unwrap().contains("\"stopped\""), "{log:#?}");
        assert!(!folder.data().join("control.sock").exists(), "a copy would hold a socket");
    }
}

#[test]
fn silent_connection_does_not_delay_a_stop() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let silent: Vec<_> = ["SMTP", "submission", "IMAP"]
        .iter()
        .map(|name| {
            std::net::TcpStream::connect(("127.0.0.1", running.printed_port(name))).unwrap()
        })
        .collect();
    let incomplete = Browser::at(&running.printed_word("http://ruth.localhost:"))
        .begin("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n");
    assert!(running.stop().last().unwrap().contains("\"stopped\""));
    drop((silent, incomplete));
}

/// The socket accepts connections and never responds, like that of a node that hangs.
#[test]
fn start_beside_a_hanging_node_is_stopped_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::set_up();
        let hanging =
            std::os::unix::net::UnixListener::bind(folder.data().join("control.sock")).unwrap();
        let starting = NodeProcess::start(&mut folder.command());
        let (connection, _) = hanging.accept().unwrap();
        starting.signal(signal);
        let (status, log) = starting.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        assert!(log.is_empty(), "the stop came before the start began: {log:#?}");
        drop(connection);
    }
}

/// A named pipe in place of the checkpoint blocks the start until somebody writes into it, like a
/// very long rebuild.
#[test]
fn long_start_is_stopped_at_once_without_loss() {
    let folder = Folder::set_up();
    folder.serve().stop();
    let (checkpoint, moved) = (folder.data().join("checkpoint"), folder.sibling("checkpoint"));
    for signal in [Signal::TERM, Signal::INT] {
        std::fs::rename(&checkpoint, &moved).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &checkpoint,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let mut starting = NodeProcess::start(&mut folder.command());
        starting.wait_for_log("opening the data folder");
        starting.signal(signal);
        let (status, log) = starting.wait();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        std::fs::remove_file(&checkpoint).unwrap();
        std::fs::rename(&moved, &checkpoint).unwrap();
    }
    let running = folder.serve();
    assert_eq!(folder.status()["address"], "ruth@ruth.localhost");
    running.stop();
}
