//! The demo: interrupted during its first start, restarted after changes by its users, and started
//! twice at once.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rustix::process::Signal;

use crate::clients::{Browser, LineClient};
use crate::folder::{Folder, stderr, stdout};
use crate::node_process::{NodeProcess, TIMEOUT};

/// A demo chooses its ports before its nodes listen on them: of two that start at once, one could
/// take a port of the other's.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The demo in `folder`, with its own choice of ports.
fn demo(folder: &Folder) -> Command {
    let mut command = folder.command();
    for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
        command.env_remove(format!("FREEHOLD_LISTEN_{name}"));
    }
    command.args(["demo", "--json"]).arg(folder.sibling("demo.json"));
    command
}

fn people(folder: &Folder) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.sibling("demo.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["people"].as_array().unwrap().clone()
}

/// The output of `status --json` of a person's node.
fn status(folder: &Folder, person: &serde_json::Value) -> serde_json::Value {
    let status = folder
        .command_on(Path::new(person["data"].as_str().unwrap()))
        .args(["status", "--json"])
        .output()
        .unwrap();
    serde_json::from_slice(&status.stdout).unwrap()
}

/// Waits until `path` exists. It is an error if the process ends before that.
fn wait_for_file(path: &Path, running: &mut NodeProcess) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < TIMEOUT, "no file {}", path.display());
        assert!(
            running.is_running(),
            "the demo ended before {} existed: {:?}",
            path.display(),
            running.rest_of_log()
        );
        std::thread::yield_now();
    }
}

#[test]
fn interrupted_first_start_is_completed_by_the_next() {
    let _alone = alone();
    let folder = Folder::new();
    for file in
        ["alice/vault-1", "alice/log", "bob/tls/cert.pem", "carol/control.sock", "alice/demo.toml"]
    {
        let mut running = NodeProcess::start(&mut demo(&folder));
        wait_for_file(&folder.data().join(file), &mut running);
        // The nodes end with the demo.
        running.kill();
    }
    let mut running = NodeProcess::start(&mut demo(&folder));
    running.wait_for_line("Ctrl-C stops");
    let first = people(&folder);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.sibling("demo.json")), 0o600, "the file contains passwords");
    assert_eq!(["alice", "bob", "carol"].map(|login| mode(&folder.data().join(login))), [0o700; 3]);
    for person in &first {
        let status = status(&folder, person);
        assert_eq!(
            (&status["friends"], &status["queued"], &status["pid"]),
            (&2.into(), &0.into(), &person["pid"])
        );
    }
    running.signal(Signal::INT);
    assert_eq!(running.wait().0.code(), Some(0));
    assert!(!folder.sibling("demo.json").exists(), "the file is removed at the end");

    let mut again = NodeProcess::start(&mut demo(&folder));
    again.wait_for_line("Ctrl-C stops");
    for (before, now) in first.iter().zip(people(&folder)) {
        for field in ["web", "address", "password", "app_password", "ports", "libp2p"] {
            assert_eq!(before[field], now[field], "printed commands stay valid");
        }
    }
    again.stop();
}

#[test]
fn demo_passes_settings_on_and_refuses_ports() {
    let _alone = alone();
    let folder = Folder::new();
    let output = demo(&folder).args(["--set", "listen.web=127.0.0.1:7999"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    assert!(stderr(&output).contains("listen.*"), "{}", stderr(&output));
    let mut running = NodeProcess::start(demo(&folder).args(["--set", "node.engine=redb"]));
    wait_for_file(&folder.data().join("alice/rows-redb"), &mut running);
    running.kill();
}

/// Starts the demo in `folder` and waits until it is ready. Returns its people too.
fn start(folder: &Folder) -> (NodeProcess, Vec<serde_json::Value>) {
    let mut running = NodeProcess::start(&mut demo(folder));
    running.wait_for_line("Ctrl-C stops");
    let people = people(folder);
    (running, people)
}

fn interrupt(running: NodeProcess) {
    running.signal(Signal::INT);
    let (status, log) = running.wait();
    assert_eq!(status.code(), Some(0), "{log:#?}");
}

/// A browser with this person's session.
fn browser(person: &serde_json::Value) -> Browser {
    let mut browser = Browser::at(person["web"].as_str().unwrap());
    assert_eq!(
        browser.post("/login", &[("password", person["password"].as_str().unwrap())]).status,
        303
    );
    browser
}

fn inbox(person: &serde_json::Value) -> LineClient {
    let port = u16::try_from(person["ports"]["imaps"].as_u64().unwrap()).unwrap();
    let mut lines = LineClient::tls(port, Path::new(person["certificate"].as_str().unwrap()));
    lines.line();
    lines.imap(&format!(
        "LOGIN {} {}",
        person["login"].as_str().unwrap(),
        person["app_password"].as_str().unwrap()
    ));
    lines.imap("SELECT INBOX");
    lines
}

/// The first path on a page with this beginning and end.
fn path_of(page: &str, begin: &str, end: &str) -> String {
    let path = page.split('"').find(|word| word.starts_with(begin) && word.ends_with(end));
    path.unwrap_or_else(|| panic!("no {begin}…{end} in {page}")).to_owned()
}

#[test]
fn changes_by_users_survive_the_next_demo_start() {
    let _alone = alone();
    let folder = Folder::new();
    let (running, people) = start(&folder);
    let alice = Path::new(people[0]["data"].as_str().unwrap());
    let note = folder.write("note.md", "Another tide.\n");
    for _ in 0..21 {
        let output = folder.command_on(alice).arg("post").arg(&note).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
    }
    // Carol withdraws a post, and Alice deletes a message.
    let mut carol = browser(&people[2]);
    let six_panes = path_of(&carol.get("/").text(), "/", "/six-panes");
    let write = path_of(&carol.get(&six_panes).text(), "/home/write/", "");
    assert_eq!(carol.post(&format!("{write}/withdraw"), &[]).status, 303);
    let mut imap = inbox(&people[0]);
    let found = imap.imap("SEARCH SUBJECT \"Larch\"");
    let number = found[0].strip_prefix("* SEARCH ").unwrap().to_owned();
    imap.imap(&format!("STORE {number} +FLAGS (\\Deleted)"));
    imap.imap("EXPUNGE");
    let before = status(&folder, &people[0]);
    interrupt(running);

    let (running, people) = start(&folder);
    let mut carol = Browser::at(people[2]["web"].as_str().unwrap());
    assert_eq!(carol.get(&six_panes).status, 404, "the post is withdrawn");
    assert!(!carol.get("/").text().contains("Six panes"), "the post was not seeded again");
    assert_eq!(
        inbox(&people[0]).imap("SEARCH SUBJECT \"Larch\"")[0].trim(),
        "* SEARCH",
        "the message was not seeded again"
    );
    assert_eq!(
        (&before["posts"], &before["friends"]),
        (&people[0]["posts"], &people[0]["friends"])
    );
    running.stop();
}

#[test]
fn deleted_node_is_set_up_and_seeded_again() {
    let _alone = alone();
    let folder = Folder::new();
    let (running, before) = start(&folder);
    interrupt(running);
    std::fs::remove_dir_all(folder.data().join("bob")).unwrap();
    let mut restarted = NodeProcess::start(&mut demo(&folder));
    restarted.wait_for_line("Ctrl-C stops");
    let now = people(&folder);
    assert_ne!(now[1]["person"], before[1]["person"]);
    for one in &now {
        assert_eq!(
            (&status(&folder, one)["friends"], &status(&folder, one)["queued"]),
            (&2.into(), &0.into()),
            "{one}"
        );
    }
    assert_eq!(before[0]["ports"], now[0]["ports"], "the other nodes keep their ports");
    let listed =
        folder.command_on(&folder.data().join("alice")).args(["friend", "list"]).output().unwrap();
    let listed = stdout(&listed);
    assert_eq!(listed.matches("friend ").count(), 2, "the deleted Bob is no friend: {listed}");
    let mut bob = browser(&now[1]);
    let (home, front) = (bob.get("/home").text(), bob.get("/").text());
    assert!(home.contains("Six panes") && front.contains("The starter has opinions"), "{home}");
    let order = [
        "Six panes",
        "The mud remembers",
        "Clear until two",
        "The heron is back",
        "First frost",
        "The starter has opinions",
    ];
    let positions: Vec<_> = order
        .iter()
        .map(|words| home.find(words).unwrap_or_else(|| panic!("no {words} in {home}")))
        .collect();
    assert!(positions.is_sorted(), "the timeline is sorted by date: {positions:?}");
    assert_ne!(inbox(&now[1]).imap("SEARCH SUBJECT \"Oven\"")[0].trim(), "* SEARCH");
    assert!(browser(&now[0]).get("/home").text().contains("The starter has opinions"));
    restarted.stop();
}

#[test]
fn node_started_by_hand_outlives_the_demo() {
    let _alone = alone();
    let folder = Folder::new();
    let (mut running, people) = start(&folder);
    let pid = i32::try_from(people[0]["pid"].as_u64().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL)
        .unwrap();
    let line = running.wait_for_line("Alice Marsh's node has ended. ");
    assert!(line.ends_with(&format!("--data {}", people[0]["data"].as_str().unwrap())), "{line}");
    let mut alice = folder.command_on(Path::new(people[0]["data"].as_str().unwrap()));
    for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
        alice.env_remove(format!("FREEHOLD_LISTEN_{name}"));
    }
    let mut alice = NodeProcess::start(&mut alice);
    alice.wait_until_ready();
    running.signal(Signal::INT);
    running.wait_for_line(&format!("kill {}", alice.pid()));
    assert_eq!(running.wait().0.code(), Some(0));

    let (running, people) = start(&folder);
    assert_eq!(people[0]["pid"], alice.pid());
    // A second demo in the same folder is refused.
    let second = demo(&folder).output().unwrap();
    assert_eq!(second.status.code(), Some(69));
    assert!(stderr(&second).contains(folder.data().to_str().unwrap()), "{}", stderr(&second));
    assert_eq!(crate::demo::people(&folder).len(), 3, "the file of the first demo stays");
    interrupt(running);
    assert!(alice.is_running());
    alice.stop();
}

#[test]
fn unwritable_path_is_refused_before_the_start() {
    let _alone = alone();
    let folder = Folder::new();
    let assert_error = |command: &mut Command, path: &str| {
        let output = command.output().unwrap();
        assert!(
            output.status.code() == Some(73) && stderr(&output).contains(path),
            "{:?} {}",
            output.status,
            stderr(&output)
        );
        assert_eq!(stderr(&output).lines().count(), 1);
    };
    let nowhere = folder.sibling("nowhere/demo.json");
    let mut command = folder.command();
    command.env_clear().args(["demo", "--json"]).arg(&nowhere);
    assert_error(&mut command, nowhere.to_str().unwrap());
    assert!(!folder.data().join("alice").exists());
    let mut command = folder.command_on(Path::new("/proc/freehold"));
    command.env_clear().arg("demo");
    assert_error(&mut command, "/proc/freehold");
}
