//! Sending to the world by command: the smarthost and the mail queue.

use crate::clients::LineClient;
use crate::folder::{Folder, stderr};

/// No server listens there.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn smarthost_is_set_shown_and_removed_by_command() {
    let folder = Folder::set_up();
    assert!(folder.run_ok(&["smarthost", "show"]).contains("no smarthost"));
    for wrong in ["https://smtp.example.com", "smtp.example.com"] {
        let refused = folder.run(&["smarthost", "set", wrong]);
        assert_eq!(refused.status.code(), Some(65), "{}", stderr(&refused));
    }
    // A node that does not run tries nothing.
    assert!(folder.run_ok(&["smarthost", "set", NOBODY]).contains("not tried yet"));
    let running = folder.serve();
    let tried = folder.run_ok(&["smarthost", "set", NOBODY]);
    assert!(tried.contains("does not work: ") && tried.contains(" is unreachable: "), "{tried}");
    assert!(folder.run_ok(&["smarthost", "remove"]).contains("no smarthost"));
    running.stop();
}

#[test]
fn waiting_message_is_listed_retried_and_dropped() {
    let folder = Folder::set_up();
    let running = folder.serve();
    assert!(folder.run_ok(&["queue", "list"]).contains("No message waits"));
    folder.run_ok(&["smarthost", "set", NOBODY]);
    let certificate = folder.data().join("tls/cert.pem");
    let mut client = LineClient::tls(running.printed_port("SMTPS"), &certificate);
    client.line();
    let login = format!("\0ruth@ruth.localhost\0{}", folder.app_password("laptop"));
    let login = data_encoding::BASE64.encode(login.as_bytes());
    for line in [
        "EHLO laptop.test",
        &format!("AUTH PLAIN {login}"),
        "MAIL FROM:<ruth@ruth.localhost>",
        "RCPT TO:<mo@far.example>",
        "DATA",
        "Subject: Seeds\r\n\r\nThey have come.\r\n.",
    ] {
        let reply = client.smtp(line);
        assert!(reply.starts_with('2') || reply.starts_with('3'), "{line}: {reply}");
    }
    let listed = folder.run_ok(&["queue", "list"]);
    assert!(listed.contains("mo@far.example  “Seeds”"), "{listed}");
    let id = listed.split(' ').next().unwrap();
    assert_eq!(id.len(), 8);
    let shown = folder.run_ok(&["queue", "show", id]);
    assert!(shown.contains("from     ruth@ruth.localhost"), "{shown}");
    assert!(folder.run_ok(&["queue", "retry"]).contains("1 message is tried now"));
    let unknown = folder.run(&["queue", "drop", "zz"]);
    assert_eq!(unknown.status.code(), Some(65), "{}", stderr(&unknown));
    let dropped = folder.run_ok(&["queue", "drop", id]);
    assert!(dropped.contains("Given up for mo@far.example"), "{dropped}");
    assert!(folder.run_ok(&["queue", "list"]).contains("No message waits"));
    running.stop();
}
