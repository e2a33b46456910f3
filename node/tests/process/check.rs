//! `freehold check`: on a folder where a node runs and where none does, whole and damaged.

use std::path::{Path, PathBuf};

use crate::folder::{Folder, said};

const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/photos/boat.jpg");

/// The largest file below a folder.
fn largest(folder: &Path) -> PathBuf {
    let files = walk(folder);
    files.into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn it_reads_everything_of_a_running_node_and_of_a_stopped_one() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    folder.ask(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let told = folder.ask(&["check"]);
    assert!(told.contains("held every row against snapshot and log") && told.contains("Everything is whole."), "{told}");
    let remarks = running.stop();
    assert!(!remarks.iter().any(|line| line.contains("Rows")), "its progress is not the node's to show: {remarks:#?}");
    let told = folder.ask(&["check"]);
    assert!(told.contains("Everything is whole."), "{told}");
}

#[test]
fn damage_is_said_in_a_sentence_and_by_the_exit_code() {
    let folder = Folder::of_ruth();
    folder.ask(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let hurt = largest(&folder.data().join("blobs"));
    let mut bytes = std::fs::read(&hurt).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&hurt, &bytes).unwrap();
    let whole = |folder: &Folder, what: &str| {
        let done = folder.run(&["check"]);
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(done.status.code(), Some(65), "{told}{}", said(&done));
        assert!(told.contains(what) && told.contains("Something is damaged; nothing was changed."), "{told}");
    };
    whole(&folder, "1 blob, needed by the table photos_photos, can't be read: damaged.");
    let running = folder.serve();
    whole(&folder, "1 blob, needed by the table photos_photos, can't be read: damaged.");
    running.stop();
    std::fs::remove_file(&hurt).unwrap();
    whole(&folder, "1 blob, needed by the table photos_photos, can't be found.");
}
