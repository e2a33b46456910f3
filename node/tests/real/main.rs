//! Real letters and photos through the built program: `FREEHOLD_REAL_DATA=FOLDER cargo test -p
//! freehold --test real`.
//!
//! The folder has `mail/*.eml` and `photos/*`. Without it these tests fail: `.ci/long` runs them,
//! `cargo test` alone does not.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails fails its test"
)]

#[allow(dead_code, reason = "shared with the tests of the process, which use all of it")]
#[path = "../process/folder.rs"]
mod folder;
#[allow(dead_code, reason = "shared with the tests of the process, which use all of it")]
#[path = "../process/running.rs"]
mod running;
#[allow(dead_code, reason = "shared with the tests of the process, which use all of it")]
#[path = "../process/wire.rs"]
mod wire;

use std::path::PathBuf;

use folder::{Folder, PASSWORD, said};
use wire::{Browser, Lines};

/// The files of one kind.
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

/// A file's lines as mail has them.
fn lines_of(file: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<_> = file
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec())
        .collect();
    lines.pop_if(|last| last.is_empty());
    lines
}

#[test]
fn real_letters_arrive_to_the_byte_and_can_be_read() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let mut smtp = Lines::plain(running.port("SMTP"));
    smtp.smtp("");
    smtp.smtp("EHLO elsewhere.example");
    let mut letters = Vec::new();
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
        let told = smtp.smtp(".");
        assert!(told.starts_with("250"), "{}: {told}", path.display());
        letters.push((
            path,
            lines.into_iter().flat_map(|line| [&line[..], b"\r\n"].concat()).collect::<Vec<u8>>(),
        ));
    }
    let password =
        folder.ask(&["app-password", "real"]).split_whitespace().next().unwrap().to_owned();
    let mut imap = Lines::tls(running.port("IMAPS"), &folder.data().join("tls/cert.pem"));
    imap.line();
    imap.imap(&format!("LOGIN ruth@ruth.localhost {password}"));
    imap.imap("SELECT INBOX");
    let url = running.word("http://ruth.localhost:");
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
    for (at, (path, letter)) in letters.iter().enumerate() {
        let number = at + 1;
        let told = imap.imap_bytes(&format!("FETCH {number} (ENVELOPE BODYSTRUCTURE BODY.PEEK[])"));
        assert!(
            told.windows(letter.len()).any(|stored| stored == letter),
            "{} was changed on its way",
            path.display()
        );
        let page = browser.get(&format!("/home/mail/{inbox}/{number}"));
        assert_eq!(page.status, 200, "{}", path.display());
    }
    let checked = folder.ask(&["check"]);
    assert!(checked.contains("Everything is whole."), "{checked}");
    let log = running.stop().join("\n");
    assert!(!log.contains("\"level\":\"ERROR\"") && !log.contains("panicked"), "{log}");
}

#[test]
fn real_pictures_are_shown_without_metadata_or_refused_in_a_sentence() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    let mut visitor = Browser::at(&running.word("http://ruth.localhost:"));
    let mut shown = 0;
    for path in real("photos") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let done = folder.run(&["photo", path.to_str().unwrap(), "--alt", &name]);
        if !done.status.success() {
            assert_eq!(done.status.code(), Some(65), "{name}: {}", said(&done));
            assert_eq!(said(&done).lines().count(), 1, "{name}: {}", said(&done));
            assert!(
                ["HEIC", "corrupted", "36-memory_error", "image00971"]
                    .iter()
                    .any(|n| name.contains(n)),
                "{name}: {}",
                said(&done)
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
        assert!(
            !picture.windows(4).any(|w| w == b"Exif" || w == b"GPSL"),
            "{name} tells where it was taken"
        );
        let said = String::from_utf8(done.stdout).unwrap();
        let (width, height) = said
            .trim_start_matches("Added: ")
            .trim_end()
            .trim_end_matches(" pixels.")
            .split_once(" × ")
            .unwrap();
        let (width, height): (u32, u32) = (width.parse().unwrap(), height.parse().unwrap());
        assert!(!name.starts_with("portrait") || height > width, "{name} lies on its side");
        assert!(!name.starts_with("landscape") || width > height, "{name} lies on its side");
    }
    assert!(shown > 0);
    assert!(folder.ask(&["check"]).contains("Everything is whole."));
    running.stop();
}
