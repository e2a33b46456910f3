//! What the log promises: no message bodies, subjects, addresses, passwords or tokens, however much
//! is logged.

use crate::folder::{Folder, PASSWORD};
use crate::running::Running;
use crate::wire::{Browser, Lines, deliver};

/// All that the house itself has to say.
const ALL: &str = "info,freehold=trace,freehold_core=trace,freehold_web=trace,freehold_mail=trace,freehold_federation=trace";

#[test]
fn the_log_tells_nothing_of_what_is_said_and_to_whom() {
    let folder = Folder::new();
    let mut running = {
        let mut command = folder.freehold();
        command.args([
            "--set",
            &format!("node.log={ALL}"),
            "--set",
            "mail.routes={\"faraway.example\" = \"127.0.0.1:1\"}",
        ]);
        let mut running = Running::start(&mut command);
        running.read_page();
        running
    };
    let link = running.word("/setup?token=");
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
    let password = folder
        .ask(&["app-password", "telephone-label"])
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();

    let smtp = running.port("SMTP");
    let letter = "From: <mordecai@elsewhere.example>\nTo: <x>\nSubject: Marrowfat\n\nRhubarb.";
    assert!(deliver(smtp, "mordecai@elsewhere.example", address, letter).starts_with("250"));
    assert!(
        deliver(smtp, "mordecai@elsewhere.example", "evelina@ruthwen.localhost", letter)
            .starts_with("550")
    );
    assert!(deliver(smtp, "not an address", address, letter).starts_with('5'));
    submit(&folder, running.port("SMTPS"), address, &password);
    read(&folder, running.port("IMAPS"), address, &password);
    let file = folder.write("post.md", "# Gooseberries\n\nA public secret.\n");
    folder.run(&["post", file.to_str().unwrap()]);
    Browser::at(&link).get("/no-such-page?said=Whortleberry");

    running.wait_for_remark("\"waiting\":1");
    let log = running.stop().join("\n");
    assert!(
        log.contains("a message was received") && log.contains("an attempt to send was made"),
        "the traffic was logged: {log}"
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
        let told: Vec<&str> = log
            .lines()
            .filter(|line| line.to_lowercase().contains(&secret.to_lowercase()))
            .collect();
        assert!(told.is_empty(), "{secret:?} is in the log: {told:#?}");
    }
}

/// A letter to oneself and one to nobody this node knows a way to; and a wrong password.
fn submit(folder: &Folder, port: u16, address: &str, password: &str) {
    let certificate = folder.data().join("tls/cert.pem");
    for (password, to, code) in [
        (password, address, "250"),
        (password, "leopoldina@faraway.example", "250"),
        ("wrongly-guessed", "", "535"),
    ] {
        let mut lines = Lines::tls(port, &certificate);
        lines.smtp("");
        lines.smtp("EHLO desk.localhost");
        let secret = data_encoding::BASE64.encode(format!("\0{address}\0{password}").as_bytes());
        let told = lines.smtp(&format!("AUTH PLAIN {secret}"));
        if code == "535" {
            assert!(told.starts_with(code), "{told}");
            continue;
        }
        lines.smtp(&format!("MAIL FROM:<{address}>"));
        lines.smtp(&format!("RCPT TO:<{to}>"));
        lines.smtp("DATA");
        let told = lines.smtp(&format!(
            "From: <{address}>\r\nTo: <{to}>\r\nSubject: Samphire\r\n\r\nTamarind.\r\n."
        ));
        assert!(told.starts_with(code), "{to}: {told}");
    }
}

/// Reads the inbox, searches it, and guesses a password.
fn read(folder: &Folder, port: u16, address: &str, password: &str) {
    let mut lines = Lines::tls(port, &folder.data().join("tls/cert.pem"));
    lines.line();
    assert!(
        lines
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
        lines.imap(command);
    }
}
