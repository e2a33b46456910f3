//! Responses of a node while it opens its data folder, which takes long after a power cut.

use std::fs::OpenOptions;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::clients::{Browser, LineClient};
use crate::folder::Folder;
use crate::node_process::NodeProcess;

/// A node that is blocked while it opens: one of the vault's two copies is a named pipe.
struct BlockedStart {
    running: NodeProcess,
    /// The ports of web, SMTP and IMAP.
    ports: [u16; 3],
    copy: PathBuf,
}

impl BlockedStart {
    fn new(folder: &Folder) -> Self {
        let copy = folder.data().join("vault-1");
        std::fs::remove_file(&copy).unwrap();
        mkfifoat(CWD, &copy, Mode::RUSR | Mode::WUSR).unwrap();
        let mut running = NodeProcess::start(&mut folder.command());
        let line = running.wait_for_log("opening the data folder");
        let event: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = |name: &str| {
            event["fields"][name].as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
        };
        Self { running, ports: ["web", "smtp", "imap"].map(port), copy }
    }

    fn browser(&self) -> Browser {
        Browser::at(&format!("http://ruth.localhost:{}", self.ports[0]))
    }

    /// Ends the block: the pipe has no content, so the vault's other copy is used.
    fn release(mut self) -> NodeProcess {
        drop(OpenOptions::new().write(true).open(&self.copy).unwrap());
        self.running.wait_until_ready();
        self.running
    }
}

#[test]
fn requests_during_startup_get_503_421_and_bye() {
    let folder = Folder::set_up();
    let blocked = BlockedStart::new(&folder);
    let mut browser = blocked.browser();
    let page = browser.get("/");
    assert_eq!(page.status, 503);
    assert!(page.text().contains("id=\"main\"") && page.text().contains("<h1>"), "{}", page.text());
    assert_eq!(browser.get("/livez").status, 200);
    assert_eq!(browser.get("/readyz").status, 503);
    let [_, smtp, imap] = blocked.ports;
    assert!(LineClient::plain(smtp).line().starts_with("421 4.3.2 "));
    assert!(LineClient::plain(imap).line().starts_with("* BYE [UNAVAILABLE]"));
    let running = blocked.release();
    assert_eq!(browser.get("/readyz").status, 200, "the same ports");
    assert!(browser.get("/").text().contains("Ruth Aldous"));
    assert!(LineClient::plain(smtp).line().starts_with("220 "));
    assert!(LineClient::plain(imap).line().starts_with("* OK"));
    running.stop();
}

#[test]
fn node_stops_during_startup() {
    let folder = Folder::set_up();
    let blocked = BlockedStart::new(&folder);
    assert_eq!(blocked.browser().get("/").status, 503);
    let log = blocked.running.stop();
    assert!(
        log.iter().any(|line| line.contains("stopped before the data folder was open")),
        "{log:#?}"
    );
    std::fs::remove_file(&blocked.copy).unwrap();
    folder.serve().stop();
}
