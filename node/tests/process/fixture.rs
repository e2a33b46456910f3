//! A data folder of an earlier version opens with all its content.

use std::path::Path;

use crate::clients::{Browser, LineClient};
use crate::folder::Folder;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

/// The data folders of earlier versions, the oldest first.
const FIXTURES: [&str; 4] = ["alice", "alice-packed", "alice-compressed", "alice-indexed"];

/// A writable copy of a fixture.
fn fixture(name: &str) -> Folder {
    let folder = Folder::new();
    let fixtures = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture"));
    copy(&fixtures.join(name), &folder.data());
    folder
}

/// A string field of an entry of the demo's content.
fn field<'a>(entry: &'a toml::Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap()
}

/// Starts the node and checks that all content of the demo is there.
fn check_content(folder: &Folder, settings: &[&str]) {
    let content: toml::Table = include_str!("../../demo/content.toml").parse().unwrap();
    let people = content["person"].as_array().unwrap();
    let mut command = folder.command();
    command.args(settings);
    let mut running = crate::node_process::NodeProcess::start(&mut command);
    running.wait_until_ready();
    let url = running.printed_word("http://alice.localhost:");
    let mut alice = Browser::at(&url);
    assert_eq!(alice.post("/login", &[("password", "alice keeps the lamp lit")]).status, 303);
    let (front, photos, home) =
        (alice.get("/").text(), alice.get("/photos").text(), alice.get("/home").text());
    for person in people {
        for post in person["post"]
            .as_array()
            .unwrap()
            .iter()
            .map(|post| field(post, "title"))
            .filter(|title| !title.is_empty())
        {
            let title = post.replace('&', "&#38;");
            assert!(home.contains(&title), "/home lacks {post:?}");
            assert!(
                field(person, "login") != "alice" || front.contains(&title),
                "the front page lacks {post:?}"
            );
        }
    }
    assert!(
        people[0]["photo"]
            .as_array()
            .unwrap()
            .iter()
            .all(|photo| photos.contains(field(photo, "alt"))),
        "{photos}"
    );
    for (page, from) in [(&photos, "/photos/"), (&home, "/home/timeline/")] {
        let source = page
            .split(['"', ' '])
            .find(|word| word.starts_with(from) && word.ends_with("/400.jpg"))
            .unwrap();
        assert!(alice.get(source).body.starts_with(&[0xff, 0xd8]), "{source}");
    }

    let friends = folder.run_ok(&["friend", "list"]);
    assert_eq!(friends.lines().filter(|line| line.starts_with("friend ")).count(), 2, "{friends}");
    let password = folder.app_password("fixture");
    let mut imap =
        LineClient::tls(running.printed_port("IMAPS"), &folder.data().join("tls/cert.pem"));
    imap.line();
    imap.imap(&format!("LOGIN alice {password}"));
    let subscribed = imap.imap("LSUB \"\" *");
    assert_eq!(subscribed.iter().filter(|line| line.starts_with("* LSUB () ")).count(), 6);
    imap.imap("SELECT INBOX");
    for message in
        content["mail"].as_array().unwrap().iter().filter(|message| field(message, "to") == "alice")
    {
        let found = imap.imap(&format!("SEARCH SUBJECT \"{}\"", field(message, "subject")));
        assert!(
            found[0].starts_with("* SEARCH ") && found[0].len() > 9,
            "{:?}: {found:?}",
            field(message, "subject")
        );
    }
    folder.run_ok(&["check"]);
    running.stop();
}

#[test]
fn fixture_folder_opens_with_all_content() {
    for name in FIXTURES {
        check_content(&fixture(name), &[]);
    }
}

#[test]
fn fixture_rows_are_rebuilt_from_the_log() {
    for name in FIXTURES {
        let folder = fixture(name);
        std::fs::remove_dir_all(folder.data().join("rows-sled")).unwrap();
        check_content(&folder, &[]);
        // The other engine has no rows either.
        check_content(&folder, &["--set", "node.engine=redb"]);
    }
}

#[test]
fn fixture_files_are_moved_into_packs() {
    let folder = fixture("alice");
    let files = |name: &str| crate::check::walk(&folder.data().join(name));
    // Small ones, and pictures that are not encrypted.
    let is_old = |path: &std::path::PathBuf| {
        std::fs::read(path)
            .is_ok_and(|bytes| bytes.len() <= 128 * 1024 || bytes.starts_with(&[0xff, 0xd8]))
    };
    let old_files = || files("blobs").iter().filter(|path| is_old(path)).count();
    let (before, begun) = (old_files(), std::time::Instant::now());
    assert!(before > 10);
    let running = folder.serve();
    while old_files() > 0 {
        assert!(begun.elapsed() < crate::node_process::TIMEOUT, "{} of {before}", old_files());
        std::thread::yield_now();
    }
    assert_eq!(files("packs").len(), 1);
    running.stop();
    check_content(&folder, &[]);
    assert_eq!((old_files(), files("packs").len()), (0, 1));
}
