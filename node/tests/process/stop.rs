//! How it stops.

use rustix::process::Signal;

use crate::folder::Folder;
use crate::wire::Browser;

#[test]
fn sigterm_and_ctrl_c_stop_it_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::of_ruth();
        let running = folder.serve();
        running.signal(signal);
        let (ended, remarks) = running.end();
        assert_eq!(ended.code(), Some(0), "{remarks:#?}");
        assert!(remarks.last().unwrap().contains("\"stopped\""), "{remarks:#?}");
    }
}

#[test]
fn a_connection_that_says_nothing_does_not_hold_up_a_stop() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let silent: Vec<_> = ["SMTP", "submission", "IMAP"]
        .iter()
        .map(|name| std::net::TcpStream::connect(("127.0.0.1", running.port(name))).unwrap())
        .collect();
    let begun = Browser::at(&running.word("http://ruth.localhost:"))
        .begin("POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n");
    assert!(running.stop().last().unwrap().contains("\"stopped\""));
    drop((silent, begun));
}

/// A socket at which nobody answers, as that of a node that is stuck.
#[test]
fn a_start_beside_a_node_that_does_not_answer_is_stopped_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let folder = Folder::of_ruth();
        let stuck =
            std::os::unix::net::UnixListener::bind(folder.data().join("control.sock")).unwrap();
        let starting = crate::running::Running::start(&mut folder.freehold());
        let (asking, _) = stuck.accept().unwrap();
        starting.signal(signal);
        let (ended, remarks) = starting.end();
        assert_eq!(ended.code(), Some(0), "{remarks:#?}");
        assert!(remarks.is_empty(), "it was asked before it began: {remarks:#?}");
        drop(asking);
    }
}

/// A named pipe in the place of the checkpoint holds the start for as long as nobody writes into
/// it, as a very long rebuild would.
#[test]
fn a_start_that_takes_long_is_stopped_at_once_and_loses_nothing() {
    let folder = Folder::of_ruth();
    folder.serve().stop();
    let (checkpoint, kept) = (folder.data().join("checkpoint"), folder.beside("checkpoint"));
    for signal in [Signal::TERM, Signal::INT] {
        std::fs::rename(&checkpoint, &kept).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &checkpoint,
            rustix::fs::FileType::Fifo,
            0o600.into(),
            0,
        )
        .unwrap();
        let mut starting = crate::running::Running::start(&mut folder.freehold());
        starting.wait_for_remark("opening the data folder");
        starting.signal(signal);
        let (ended, remarks) = starting.end();
        assert_eq!(ended.code(), Some(0), "{remarks:#?}");
        std::fs::remove_file(&checkpoint).unwrap();
        std::fs::rename(&kept, &checkpoint).unwrap();
    }
    let running = folder.serve();
    assert_eq!(folder.status()["address"], "ruth@ruth.localhost");
    running.stop();
}
