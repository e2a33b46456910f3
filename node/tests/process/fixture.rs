//! The data folder that the demo filled at an earlier stage opens, and everything in it is there.

use std::path::Path;

use crate::folder::Folder;
use crate::wire::{Browser, Lines};

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

/// The fixture, where a node may write into it.
fn of_alice() -> Folder {
    let folder = Folder::new();
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixture/alice")), &folder.data());
    folder
}

/// A part of something that the neighbourhood's file says.
fn word<'a>(of: &'a toml::Value, part: &str) -> &'a str {
    of[part].as_str().unwrap()
}

/// Opens it and looks at all that the neighbourhood put there.
fn everything_is_there(folder: &Folder, settings: &[&str]) {
    let neighbourhood: toml::Table = include_str!("../../demo/neighbourhood.toml").parse().unwrap();
    let people = neighbourhood["person"].as_array().unwrap();
    let mut command = folder.freehold();
    command.args(settings);
    let mut running = crate::running::Running::start(&mut command);
    running.read_page();
    let url = running.word("http://alice.localhost:");
    let mut alice = Browser::at(&url);
    assert_eq!(alice.post("/login", &[("password", "alice keeps the lamp lit")]).status, 303);
    let (front, photos, home) =
        (alice.get("/").text(), alice.get("/photos").text(), alice.get("/home").text());
    for person in people {
        for post in person["post"]
            .as_array()
            .unwrap()
            .iter()
            .map(|post| word(post, "title"))
            .filter(|title| !title.is_empty())
        {
            let title = post.replace('&', "&#38;");
            assert!(home.contains(&title), "the timeline lacks {post:?}");
            assert!(
                word(person, "login") != "alice" || front.contains(&title),
                "the front page lacks {post:?}"
            );
        }
    }
    assert!(
        people[0]["photo"]
            .as_array()
            .unwrap()
            .iter()
            .all(|photo| photos.contains(word(photo, "alt"))),
        "{photos}"
    );
    for (page, from) in [(&photos, "/photos/"), (&home, "/home/timeline/")] {
        let source = page
            .split(['"', ' '])
            .find(|word| word.starts_with(from) && word.ends_with("/400.jpg"))
            .unwrap();
        assert!(alice.get(source).body.starts_with(&[0xff, 0xd8]), "{source}");
    }

    let friends = folder.ask(&["friend", "list"]);
    assert_eq!(friends.lines().filter(|line| line.starts_with("friend ")).count(), 2, "{friends}");
    let password =
        folder.ask(&["app-password", "fixture"]).split_whitespace().next().unwrap().to_owned();
    let mut imap = Lines::tls(running.port("IMAPS"), &folder.data().join("tls/cert.pem"));
    imap.line();
    imap.imap(&format!("LOGIN alice {password}"));
    imap.imap("SELECT INBOX");
    for letter in neighbourhood["mail"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|letter| word(letter, "to") == "alice")
    {
        let found = imap.imap(&format!("SEARCH SUBJECT \"{}\"", word(letter, "subject")));
        assert!(
            found[0].starts_with("* SEARCH ") && found[0].len() > 9,
            "{:?}: {found:?}",
            word(letter, "subject")
        );
    }
    let checked = folder.ask(&["check"]);
    assert!(checked.contains("Everything is whole."), "{checked}");
    running.stop();
}

#[test]
fn the_folder_of_an_earlier_stage_opens_with_all_that_is_in_it() {
    everything_is_there(&of_alice(), &[]);
}

#[test]
fn its_rows_are_made_anew_from_its_log() {
    let folder = of_alice();
    std::fs::remove_dir_all(folder.data().join("rows-sled")).unwrap();
    everything_is_there(&folder, &[]);
    // The other engine has none yet either.
    everything_is_there(&folder, &["--set", "node.engine=redb"]);
}
