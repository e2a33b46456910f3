//! The demo: cut off in the middle of its first start and begun again, left to people who do
//! something with it, and beside itself.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::folder::{Folder, said};
use crate::running::{PATIENCE, Running};
use crate::wire::{Browser, Lines};

/// The demo in `folder`, its ports its own.
fn demo(folder: &Folder) -> Command {
    let mut command = folder.freehold();
    for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
        command.env_remove(format!("FREEHOLD_LISTEN_{name}"));
    }
    command.args(["demo", "--json"]).arg(folder.beside("demo.json"));
    command
}

fn people(folder: &Folder) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(folder.beside("demo.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["people"].as_array().unwrap().clone()
}

/// What the node of one of them says of itself.
fn status(folder: &Folder, person: &serde_json::Value) -> serde_json::Value {
    let status = folder
        .freehold_on(Path::new(person["data"].as_str().unwrap()))
        .args(["status", "--json"])
        .output()
        .unwrap();
    serde_json::from_slice(&status.stdout).unwrap()
}

/// Waits until `path` is there, or the process has ended without it.
fn appears(path: &Path, running: &mut Running) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {}", path.display());
        assert!(
            running.is_there(),
            "the demo ended before {} was there: {:?}",
            path.display(),
            running.remarks()
        );
        std::thread::yield_now();
    }
}

#[test]
fn a_first_start_that_was_cut_off_anywhere_is_made_whole_by_the_next() {
    let folder = Folder::new();
    for seen in
        ["alice/vault-1", "alice/log", "bob/tls/cert.pem", "carol/control.sock", "alice/demo.toml"]
    {
        let mut running = Running::start(&mut demo(&folder));
        appears(&folder.data().join(seen), &mut running);
        // The nodes end with the demo, as they would if the whole machine stopped.
        running.kill();
    }
    let mut running = Running::start(&mut demo(&folder));
    running.wait_for("Ctrl-C stops all three");
    let first = people(&folder);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.beside("demo.json")), 0o600, "it holds passwords");
    assert_eq!(["alice", "bob", "carol"].map(|login| mode(&folder.data().join(login))), [0o700; 3]);
    for person in &first {
        let status = status(&folder, person);
        assert_eq!(
            (&status["friends"], &status["queued"], &status["pid"]),
            (&2.into(), &0.into(), &person["pid"])
        );
    }
    running.signal(Signal::INT);
    assert_eq!(running.end().0.code(), Some(0));
    assert!(!folder.beside("demo.json").exists(), "what is in it holds no more");

    let mut again = Running::start(&mut demo(&folder));
    again.wait_for("Ctrl-C stops all three");
    for (before, now) in first.iter().zip(people(&folder)) {
        for kept in ["web", "address", "password", "app_password", "ports", "libp2p"] {
            assert_eq!(before[kept], now[kept], "what was printed yesterday still holds");
        }
    }
    again.stop();
}

#[test]
fn settings_reach_the_nodes_of_the_demo_and_ports_are_refused() {
    let folder = Folder::new();
    let done = demo(&folder).args(["--set", "listen.web=127.0.0.1:7999"]).output().unwrap();
    assert_eq!(done.status.code(), Some(78));
    assert!(crate::folder::said(&done).contains("choose their ports themselves"));
    let mut running = Running::start(demo(&folder).args(["--set", "node.engine=redb"]));
    appears(&folder.data().join("alice/rows-redb"), &mut running);
    running.kill();
}

/// The demo in `folder`, up, and its people.
fn up(folder: &Folder) -> (Running, Vec<serde_json::Value>) {
    let mut running = Running::start(&mut demo(folder));
    running.wait_for("the same command goes on from there");
    let people = people(folder);
    (running, people)
}

fn interrupt(running: Running) {
    running.signal(Signal::INT);
    let (ended, remarks) = running.end();
    assert_eq!(ended.code(), Some(0), "{remarks:#?}");
}

/// One of them in a browser, logged in.
fn browser(person: &serde_json::Value) -> Browser {
    let mut browser = Browser::at(person["web"].as_str().unwrap());
    assert_eq!(
        browser.post("/login", &[("password", person["password"].as_str().unwrap())]).status,
        303
    );
    browser
}

fn inbox(person: &serde_json::Value) -> Lines {
    let port = u16::try_from(person["ports"]["imaps"].as_u64().unwrap()).unwrap();
    let mut lines = Lines::tls(port, Path::new(person["certificate"].as_str().unwrap()));
    lines.line();
    lines.imap(&format!(
        "LOGIN {} {}",
        person["login"].as_str().unwrap(),
        person["app_password"].as_str().unwrap()
    ));
    lines.imap("SELECT INBOX");
    lines
}

/// The first path on a page that begins and ends like this.
fn path_of(page: &str, begin: &str, end: &str) -> String {
    let path = page.split('"').find(|word| word.starts_with(begin) && word.ends_with(end));
    path.unwrap_or_else(|| panic!("no {begin}…{end} in {page}")).to_owned()
}

#[test]
fn what_people_did_with_it_stays_and_any_number_of_posts_does_not_hold_it_up() {
    let folder = Folder::new();
    let (running, people) = up(&folder);
    let alice = Path::new(people[0]["data"].as_str().unwrap());
    let note = folder.write("note.md", "Another tide.\n");
    for _ in 0..21 {
        let done = folder.freehold_on(alice).arg("post").arg(&note).output().unwrap();
        assert!(done.status.success(), "{}", said(&done));
    }
    // Carol withdraws a post, and Alice throws a letter away.
    let mut carol = browser(&people[2]);
    let six_panes = path_of(&carol.get("/").text(), "/", "/six-panes");
    let write = path_of(&carol.get(&six_panes).text(), "/home/write/", "");
    assert_eq!(carol.post(&format!("{write}/withdraw"), &[]).status, 303);
    let mut letters = inbox(&people[0]);
    let found = letters.imap("SEARCH SUBJECT \"Larch\"");
    let number = found[0].strip_prefix("* SEARCH ").unwrap().to_owned();
    letters.imap(&format!("STORE {number} +FLAGS (\\Deleted)"));
    letters.imap("EXPUNGE");
    let before = folder.freehold_on(alice).args(["status", "--json"]).output().unwrap();
    interrupt(running);

    let (running, people) = up(&folder);
    let mut carol = Browser::at(people[2]["web"].as_str().unwrap());
    assert_eq!(carol.get(&six_panes).status, 404, "it was withdrawn");
    assert!(!carol.get("/").text().contains("Six panes"), "it was not published again");
    assert_eq!(
        inbox(&people[0]).imap("SEARCH SUBJECT \"Larch\"")[0].trim(),
        "* SEARCH",
        "it was not sent again"
    );
    let before: serde_json::Value = serde_json::from_slice(&before.stdout).unwrap();
    assert_eq!(
        (&before["posts"], &before["friends"]),
        (&people[0]["posts"], &people[0]["friends"])
    );
    running.stop();
}

#[test]
fn a_house_that_was_removed_is_made_and_furnished_again() {
    let folder = Folder::new();
    let (running, before) = up(&folder);
    interrupt(running);
    std::fs::remove_dir_all(folder.data().join("bob")).unwrap();
    let mut healed = Running::start(&mut demo(&folder));
    healed.wait_for("has moved in, and the others make friends anew");
    healed.wait_for("Ctrl-C stops all three");
    let now = people(&folder);
    assert_ne!(now[1]["person"], before[1]["person"]);
    for one in &now {
        assert_eq!(
            (&status(&folder, one)["friends"], &status(&folder, one)["queued"]),
            (&2.into(), &0.into()),
            "{one}"
        );
    }
    assert_eq!(before[0]["ports"], now[0]["ports"], "whose folder stayed goes on as before");
    let listed =
        folder.freehold_on(&folder.data().join("alice")).args(["friend", "list"]).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout).matches("friend ").count(),
        2,
        "the Bob of before is no friend any more"
    );
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
    let places: Vec<_> = order
        .iter()
        .map(|words| home.find(words).unwrap_or_else(|| panic!("no {words} in {home}")))
        .collect();
    assert!(places.is_sorted(), "each has its place by its date, whoever wrote it: {places:?}");
    assert_ne!(inbox(&now[1]).imap("SEARCH SUBJECT \"Oven\"")[0].trim(), "* SEARCH");
    assert!(browser(&now[0]).get("/home").text().contains("The starter has opinions"));
    healed.stop();
}

#[test]
fn a_node_that_was_killed_and_started_by_hand_goes_on_and_the_next_demo_takes_it_as_it_is() {
    let folder = Folder::new();
    let (mut running, people) = up(&folder);
    let pid = i32::try_from(people[0]["pid"].as_u64().unwrap()).unwrap();
    rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), Signal::KILL)
        .unwrap();
    let told = running.wait_for("Alice Marsh's node has ended. It starts again with: ");
    assert!(told.ends_with(&format!("--data {}", people[0]["data"].as_str().unwrap())), "{told}");
    let mut alice = folder.freehold_on(Path::new(people[0]["data"].as_str().unwrap()));
    for name in ["WEB", "SMTP", "SUBMISSION", "SMTPS", "IMAP", "IMAPS", "LIBP2P"] {
        alice.env_remove(format!("FREEHOLD_LISTEN_{name}"));
    }
    let mut alice = Running::start(&mut alice);
    alice.read_page();
    running.signal(Signal::INT);
    running.wait_for(&format!(
        "Alice Marsh's node was not started here and goes on. It stops with: kill {}",
        alice.pid()
    ));
    assert_eq!(running.end().0.code(), Some(0));

    let (running, people) = up(&folder);
    assert_eq!(people[0]["pid"], alice.pid());
    // And beside a demo that is up there is none.
    let second = demo(&folder).output().unwrap();
    assert_eq!(second.status.code(), Some(69));
    assert!(said(&second).contains("a demo is already running in"), "{}", said(&second));
    assert_eq!(crate::demo::people(&folder).len(), 3, "the file of the one that runs is left");
    interrupt(running);
    assert!(alice.is_there());
    alice.stop();
}

#[test]
fn what_can_not_be_written_is_said_before_anything_is_begun() {
    let folder = Folder::new();
    let refused = |command: &mut Command, code: i32, words: &str| {
        let done = command.output().unwrap();
        assert!(
            done.status.code() == Some(code) && said(&done).contains(words),
            "{:?} {}",
            done.status,
            said(&done)
        );
        assert_eq!(said(&done).lines().count(), 1);
    };
    let nowhere = folder.beside("nowhere/demo.json");
    let mut command = folder.freehold();
    command.env_clear().args(["demo", "--json"]).arg(&nowhere);
    refused(&mut command, 73, &format!("can't write {}", nowhere.display()));
    assert!(!folder.data().join("alice").exists());
    let mut command = folder.freehold_on(Path::new("/proc/freehold"));
    command.env_clear().arg("demo");
    refused(&mut command, 73, "the folder /proc/freehold can't be written");
}
