//! The log has no message bodies, subjects, addresses, passwords or tokens, at any level.

use crate::clients::{Browser, LineClient, deliver};
use crate::folder::{Folder, PASSWORD};
use crate::node_process::NodeProcess;

/// Everything that Freehold's own crates log.
const ALL: &str = "info,freehold=trace,freehold_core=trace,freehold_store=trace,freehold_proto=trace,\
freehold_listen=trace,freehold_web=trace,freehold_mail=trace,freehold_federation=trace";

#[test]
fn log_has_no_content_addresses_or_secrets() {
    let folder = Folder::new();
    let mut running = {
        let mut command = folder.command();
        command.args([
            "--set",
            &format!("node.log={ALL}"),
            "--set",
            "mail.routes={\"faraway.example\" = \"127.0.0.1:1\"}",
        ]);
        let mut running = NodeProcess::start(&mut command);
        running.wait_until_ready();
        running
    };
    let link = running.printed_word("/setup?token=");
    let token = link.split_once('=').unwrap().1.to_owned();
    let mut browser = Browser::at(&link);
    let (name, address) = ("Ruthwen Aldous", "ruthwen@ruthwen.localhost");
    browser.post(
        "/setup",
        &[
            ("token", &token),
            ("name", name),
            ("address", address),
            ("password", PASSWORD),
            ("again", PASSWORD),
        ],
    );
    browser.get("/setup/words");
    let session = browser.cookie();
    assert_eq!(Browser::at(&link).post("/login", &[("password", "wrongly-guessed")]).status, 403);
    let password = folder.app_password("telephone-label");

    let smtp = running.printed_port("SMTP");
    let message = "From: <mordecai@elsewhere.example>\nTo: <x>\nSubject: Marrowfat\n\nRhubarb.";
    assert!(deliver(smtp, "mordecai@elsewhere.example", address, message).starts_with("250"));
    assert!(
        deliver(smtp, "mordecai@elsewhere.example", "evelina@ruthwen.localhost", message)
            .starts_with("550")
    );
    assert!(deliver(smtp, "not an address", address, message).starts_with('5'));
    submit(&folder, running.printed_port("SMTPS"), address, &password);
    read(&folder, running.printed_port("IMAPS"), address, &password);
    let file = folder.write("post.md", "# Gooseberries\n\nA public secret.\n");
    folder.run(&["post", file.to_str().unwrap()]);
    Browser::at(&link).get("/no-such-page?said=Whortleberry");

    running.wait_for_log("\"waiting\":1");
    let log = running.stop().join("\n");
    assert!(
        log.contains("a message was received") && log.contains("an attempt to send was made"),
        "the log has the traffic: {log}"
    );
    let secrets = [
        PASSWORD,
        &token,
        &session,
        &password,
        "wrongly-guessed",
        name,
        "ruthwen",
        "mordecai",
        "evelina",
        "leopoldina",
        "not an address",
        "Marrowfat",
        "Rhubarb",
        "Samphire",
        "Tamarind",
        "telephone-label",
        "Gooseberries",
        "public secret",
        "Whortleberry",
    ];
    for secret in secrets {
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.to_lowercase().contains(&secret.to_lowercase()))
            .collect();
        assert!(lines.is_empty(), "{secret:?} is in the log: {lines:#?}");
    }
}

/// The beginnings of log messages that the guide's fail2ban expression matches, up to the address.
const REFUSED: [&str; 3] =
    ["login failed: web from ", "login failed: imap from ", "login failed: smtp from "];

#[test]
fn refused_login_and_recipient_are_logged_with_their_client() {
    let folder = Folder::set_up();
    let mut running = folder.serve();
    let certificate = folder.data().join("tls/cert.pem");
    let url = running.printed_word("http://ruth.localhost:");
    for _ in 0..3 {
        let wrong = [("password", "wrongly-guessed")];
        assert_eq!(Browser::at(&url).post("/login", &wrong).status, 403);
    }
    let mut imap = LineClient::tls(running.printed_port("IMAPS"), &certificate);
    imap.line();
    imap.imap("LOGIN ruth wrongly-guessed");
    let mut smtp = LineClient::tls(running.printed_port("SMTPS"), &certificate);
    smtp.smtp("");
    smtp.smtp("EHLO desk.localhost");
    let secret = data_encoding::BASE64.encode(b"\0wrongly-guessed\0wrongly-guessed");
    assert!(smtp.smtp(&format!("AUTH PLAIN {secret}")).starts_with("535"));
    let mut lines: Vec<String> = REFUSED.iter().map(|line| running.wait_for_log(line)).collect();
    assert!(lines[1].contains("user name known") && lines[2].contains("user name unknown"));
    // The fourth attempt at the site has to wait; only the first that does is logged.
    for _ in 0..2 {
        let waiting = Browser::at(&url).post("/login", &[("password", PASSWORD)]);
        assert_eq!(waiting.status, 429);
    }
    lines.push(running.wait_for_log("login refused: web from 127.0.0.1, must wait "));
    let port = running.printed_port("SMTP");
    assert!(deliver(port, "a@b.example", "evelina@elsewhere.example", "").starts_with("550 5.7.1"));
    lines.push(running.wait_for_log("recipient refused: smtp from 127.0.0.1, 550 5.7.1"));
    let rest = running.stop();
    let repeated = rest.iter().filter(|line| line.contains("login refused: ")).count();
    assert_eq!(repeated, 1, "{rest:#?}");
    for line in lines {
        assert!(line.contains("INFO") && line.contains(" from 127.0.0.1"), "{line}");
        assert!(!line.contains("wrongly-guessed") && !line.contains("ruth"), "{line}");
    }
}

/// Submits a message to the owner and one that can't be delivered; then tries a wrong password.
fn submit(folder: &Folder, port: u16, address: &str, password: &str) {
    let certificate = folder.data().join("tls/cert.pem");
    for (password, to, code) in [
        (password, address, "250"),
        (password, "leopoldina@faraway.example", "250"),
        ("wrongly-guessed", "", "535"),
    ] {
        let mut client = LineClient::tls(port, &certificate);
        client.smtp("");
        client.smtp("EHLO desk.localhost");
        let secret = data_encoding::BASE64.encode(format!("\0{address}\0{password}").as_bytes());
        let reply = client.smtp(&format!("AUTH PLAIN {secret}"));
        if code == "535" {
            assert!(reply.starts_with(code), "{reply}");
            continue;
        }
        client.smtp(&format!("MAIL FROM:<{address}>"));
        client.smtp(&format!("RCPT TO:<{to}>"));
        client.smtp("DATA");
        let reply = client.smtp(&format!(
            "From: <{address}>\r\nTo: <{to}>\r\nSubject: Samphire\r\n\r\nTamarind.\r\n."
        ));
        assert!(reply.starts_with(code), "{to}: {reply}");
    }
}

/// Reads and searches the inbox, and tries a wrong password.
fn read(folder: &Folder, port: u16, address: &str, password: &str) {
    let mut client = LineClient::tls(port, &folder.data().join("tls/cert.pem"));
    client.line();
    assert!(
        client
            .imap(&format!("LOGIN {address} wrongly-guessed"))
            .pop()
            .unwrap()
            .starts_with("tag7 NO")
    );
    for command in [
        &format!("LOGIN {address} {password}"),
        "SELECT INBOX",
        "UID SEARCH SUBJECT Marrowfat",
        "FETCH 1 BODY[]",
        "NONSENSE Rhubarb",
        "LOGOUT",
    ] {
        client.imap(command);
    }
}
