//! How photos lie in the folder of a node while it runs and afterwards.

use std::time::Instant;

use crate::check::{PICTURE, walk};
use crate::folder::{Folder, PASSWORD};
use crate::running::PATIENCE;
use crate::wire::Browser;

/// How many files of the folder are pictures that anyone with the disk can look at.
fn pictures(folder: &Folder) -> usize {
    // A file may be gone again before it is read.
    let is_picture = |path: &std::path::PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(&[0xff, 0xd8, 0xff]))
    };
    walk(&folder.data().join("blobs")).iter().filter(|path| is_picture(path)).count()
}

#[test]
fn a_running_node_seals_what_only_its_owner_sees_and_lays_open_what_anyone_may() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    folder.ask(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let mut owner = Browser::at(&running.word("http://ruth.localhost:"));
    assert_eq!(owner.post("/login", &[("password", PASSWORD)]).status, 303);
    let room = owner.get("/home/photos").text();
    let photo = room
        .split('"')
        .find(|part| part.starts_with("/home/photos/") && part.len() > 40)
        .unwrap()
        .to_owned();
    let until = |wanted: &dyn Fn(usize) -> bool, what: &str| {
        let begun = Instant::now();
        while !wanted(pictures(&folder)) {
            assert!(begun.elapsed() < PATIENCE, "{what}: {}", pictures(&folder));
            std::thread::yield_now();
        }
    };
    until(&|pictures| pictures > 0, "anyone may see it");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "owner")]);
    until(&|pictures| pictures == 0, "only its owner may see it");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "public")]);
    until(&|pictures| pictures > 0, "anyone may see it again");
    owner.post(&photo, &[("alt", "A boat"), ("audience", "owner")]);
    until(&|pictures| pictures == 0, "only its owner may see it after all");
    running.stop();
    assert_eq!(pictures(&folder), 0, "what waited in the log is sealed too");
    assert!(folder.ask(&["check"]).contains("Everything is whole."));
}
