//! Real messages and photos through the built program: `FREEHOLD_REAL_DATA=FOLDER cargo test -p
//! freehold --test real`.
//!
//! The folder has `mail/*.eml` and `photos/*`. Without it these tests fail; `.ci/long` runs them,
//! and `cargo test` does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

#[allow(dead_code, reason = "shared with the process tests, which use all of it")]
#[path = "../process/clients.rs"]
mod clients;
#[allow(dead_code, reason = "shared with the process tests, which use all of it")]
#[path = "../process/folder.rs"]
mod folder;
#[allow(dead_code, reason = "shared with the process tests, which use all of it")]
#[path = "../process/node_process.rs"]
mod node_process;

use std::path::PathBuf;

use clients::{Browser, LineClient};
use folder::{Folder, PASSWORD, stderr};

/// The files in one subfolder of the data.
fn real(kind: &str) -> Vec<PathBuf> {
    let folder =
        std::env::var_os("FREEHOLD_REAL_DATA").expect("FREEHOLD_REAL_DATA names no folder");
    let mut paths: Vec<_> = std::fs::read_dir(PathBuf::from(folder).join(kind))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty());
    paths
}

/// The lines of a file, without their CR LF or LF.
fn lines_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = file
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

#[test]
fn real_messages_are_delivered_byte_by_byte() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let mut smtp = LineClient::plain(running.printed_port("SMTP"));
    smtp.smtp("");
    smtp.smtp("EHLO elsewhere.example");
    let mut messages = Vec::new();
    for path in real("mail") {
        let lines = lines_of(&std::fs::read(&path).unwrap());
        for command in ["MAIL FROM:<mo@elsewhere.example>", "RCPT TO:<ruth@ruth.localhost>", "DATA"]
        {
            smtp.smtp(command);
        }
        for line in &lines {
            let dot: &[u8] = if line.starts_with(b".") { b"." } else { b"" };
            smtp.send_bytes(&[dot, line, b"\r\n"].concat());
        }
        let reply = smtp.smtp(".");
        assert!(reply.starts_with("250"), "{}: {reply}", path.display());
        messages.push((
            path,
            lines.into_iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect::<Vec<u8>>(),
        ));
    }
    let password = folder.app_password("real");
    let mut imap =
        LineClient::tls(running.printed_port("IMAPS"), &folder.data().join("tls/cert.pem"));
    imap.line();
    imap.imap(&format!("LOGIN ruth@ruth.localhost {password}"));
    imap.imap("SELECT INBOX");
    let url = running.printed_word("http://ruth.localhost:");
    let mut browser = Browser::at(&url);
    browser.post("/login", &[("password", PASSWORD)]);
    let list = browser.get("/home/mail").text();
    let inbox: String = list
        .split("/home/mail/")
        .find_map(|rest| rest.starts_with(|c: char| c.is_ascii_digit()).then_some(rest))
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    for (at, (path, message)) in messages.iter().enumerate() {
        let number = at + 1;
        let fetched =
            imap.imap_bytes(&format!("FETCH {number} (ENVELOPE BODYSTRUCTURE BODY.PEEK[])"));
        assert!(
            fetched.windows(message.len()).any(|stored| stored == message),
            "{} was changed",
            path.display()
        );
        let page = browser.get(&format!("/home/mail/{inbox}/{number}"));
        assert_eq!(page.status, 200, "{}", path.display());
    }
    folder.run_ok(&["check"]);
    let log = running.stop().join("\n");
    assert!(!log.contains("\"level\":\"ERROR\"") && !log.contains("panicked"), "{log}");
}

#[test]
fn real_photos_lose_metadata_or_are_refused() {
    let folder = Folder::set_up();
    let running = folder.serve();
    let mut visitor = Browser::at(&running.printed_word("http://ruth.localhost:"));
    let mut shown = 0;
    for path in real("photos") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let output = folder.run(&["photo", path.to_str().unwrap(), "--alt", &name]);
        if !output.status.success() {
            assert_eq!(output.status.code(), Some(65), "{name}: {}", stderr(&output));
            assert_eq!(stderr(&output).lines().count(), 1, "{name}: {}", stderr(&output));
            assert!(
                ["HEIC", "corrupted", "36-memory_error", "image00971"]
                    .iter()
                    .any(|n| name.contains(n)),
                "{name}: {}",
                stderr(&output)
            );
            continue;
        }
        shown += 1;
        let page = visitor.get("/photos").text();
        let at =
            page.find(&format!("alt=\"{name}\"")).unwrap_or_else(|| panic!("{name} is not shown"));
        let from = page[..at].rfind("<img").unwrap();
        let tag = &page[from..page[from..].find('>').unwrap() + from];
        let source = tag.split("src=\"").nth(1).unwrap().split('"').next().unwrap();
        let picture = visitor.get(source).body;
        assert!(picture.starts_with(&[0xff, 0xd8]), "{name}: {source} is no JPEG");
        assert!(!picture.windows(4).any(|w| w == b"Exif" || w == b"GPSL"), "{name} has metadata");
        let printed = String::from_utf8(output.stdout).unwrap();
        let (width, height) = printed
            .trim_start_matches("Added: ")
            .trim_end()
            .trim_end_matches(" pixels.")
            .split_once(" × ")
            .unwrap();
        let (width, height): (u32, u32) = (width.parse().unwrap(), height.parse().unwrap());
        assert!(!name.starts_with("portrait") || height > width, "{name} is rotated");
        assert!(!name.starts_with("landscape") || width > height, "{name} is rotated");
    }
    assert!(shown > 0);
    folder.run_ok(&["check"]);
    running.stop();
}
