//! What is heard from a node whose folder takes long to open, as after a power cut.

use std::fs::OpenOptions;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::folder::Folder;
use crate::running::Running;
use crate::wire::{Browser, Lines};

/// Ruth's node, held up in the middle of opening: one of the vault's two copies does not come.
struct HeldUp {
    running: Running,
    /// The ports of web, SMTP and IMAP.
    ports: [u16; 3],
    copy: PathBuf,
}

impl HeldUp {
    fn start(folder: &Folder) -> Self {
        let copy = folder.data().join("vault-1");
        std::fs::remove_file(&copy).unwrap();
        mkfifoat(CWD, &copy, Mode::RUSR | Mode::WUSR).unwrap();
        let mut running = Running::start(&mut folder.freehold());
        let line = running.wait_for_remark("opening the data folder");
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = |name: &str| {
            said["fields"][name].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
        };
        Self { running, ports: ["web", "smtp", "imap"].map(port), copy }
    }

    fn browser(&self) -> Browser {
        Browser::at(&format!("http://ruth.localhost:{}", self.ports[0]))
    }

    /// Lets it go on: what comes is no copy, so the other one counts.
    fn go_on(mut self) -> Running {
        drop(OpenOptions::new().write(true).open(&self.copy).unwrap());
        self.running.read_page();
        self.running
    }
}

#[test]
fn whoever_comes_before_the_folder_is_open_is_told_to_come_back() {
    let folder = Folder::of_ruth();
    let held = HeldUp::start(&folder);
    let mut browser = held.browser();
    let front = browser.get("/");
    assert_eq!(front.status, 503);
    assert!(front.text().contains("Back in a moment"), "{}", front.text());
    assert_eq!(browser.get("/livez").status, 200);
    assert_eq!(browser.get("/readyz").status, 503);
    let [_, smtp, imap] = held.ports;
    assert!(Lines::plain(smtp).line().starts_with("421 4.3.2 "));
    assert!(Lines::plain(imap).line().starts_with("* BYE [UNAVAILABLE]"));
    let running = held.go_on();
    assert_eq!(browser.get("/readyz").status, 200, "the same ports");
    assert!(browser.get("/").text().contains("Ruth Aldous"));
    assert!(Lines::plain(smtp).line().starts_with("220 "));
    assert!(Lines::plain(imap).line().starts_with("* OK"));
    running.stop();
}

#[test]
fn a_node_that_is_not_open_yet_stops_when_asked() {
    let folder = Folder::of_ruth();
    let held = HeldUp::start(&folder);
    assert_eq!(held.browser().get("/").status, 503);
    let remarks = held.running.stop();
    assert!(
        remarks.iter().any(|line| line.contains("stopped before the data folder was open")),
        "{remarks:#?}"
    );
    std::fs::remove_file(&held.copy).unwrap();
    folder.serve().stop();
}
