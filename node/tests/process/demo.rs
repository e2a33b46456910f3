//! The demo, cut off in the middle of its first start and begun again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;

use crate::folder::Folder;
use crate::running::{PATIENCE, Running};

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
    let status = folder.freehold_on(Path::new(person["data"].as_str().unwrap())).args(["status", "--json"]).output().unwrap();
    serde_json::from_slice(&status.stdout).unwrap()
}

/// Waits until `path` is there, or the process has ended without it.
fn appears(path: &Path, running: &mut Running) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {}", path.display());
        assert!(running.is_there(), "the demo ended before {} was there: {:?}", path.display(), running.remarks());
        std::thread::yield_now();
    }
}

#[test]
fn a_first_start_that_was_cut_off_anywhere_is_made_whole_by_the_next() {
    let folder = Folder::new();
    for seen in ["alice/vault-1", "alice/log", "bob/tls/cert.pem", "carol/control.sock", "app-passwords.toml"] {
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
        assert_eq!((&status["friends"], &status["queued"], &status["pid"]), (&2.into(), &0.into(), &person["pid"]));
    }
    running.signal(Signal::INT);
    assert_eq!(running.end().0.code(), Some(0));

    let mut again = Running::start(&mut demo(&folder));
    again.wait_for("Ctrl-C stops all three");
    for (before, now) in first.iter().zip(people(&folder)) {
        for kept in ["web", "address", "password", "app_password", "ports", "libp2p"] {
            assert_eq!(before[kept], now[kept], "what was printed yesterday still holds");
        }
    }
    again.stop();

    let before = people(&folder);
    std::fs::remove_dir_all(folder.data().join("bob")).unwrap();
    let mut healed = Running::start(&mut demo(&folder));
    healed.wait_for("has moved in, and the others make friends anew");
    healed.wait_for("Ctrl-C stops all three");
    let now = people(&folder);
    for one in &now {
        assert_eq!((&status(&folder, one)["friends"], &status(&folder, one)["queued"]), (&2.into(), &0.into()), "{one}");
    }
    assert_eq!(before[0]["ports"], now[0]["ports"], "whose folder stayed goes on as before");
    let listed = folder.freehold_on(&folder.data().join("alice")).args(["friend", "list"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).matches("friend ").count(), 2, "the Bob of before is no friend any more");
    healed.stop();
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
