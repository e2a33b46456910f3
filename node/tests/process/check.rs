//! `freehold check`: on a folder where a node runs and where none does, whole and damaged.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::folder::{Folder, said};
use crate::running::PATIENCE;

pub(crate) const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/demo/photos/boat.jpg");

/// The largest file below a folder.
fn largest(folder: &Path) -> PathBuf {
    let files = walk(folder);
    files.into_iter().max_by_key(|path| path.metadata().unwrap().len()).unwrap()
}

pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn it_reads_everything_of_a_running_node_and_of_a_stopped_one() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    folder.ask(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let told = folder.ask(&["check"]);
    assert!(
        told.contains("held every row against snapshot and log")
            && told.contains("Everything is whole."),
        "{told}"
    );
    let remarks = running.stop();
    assert!(
        !remarks.iter().any(|line| line.contains("Rows")),
        "its progress is not the node's to show: {remarks:#?}"
    );
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
        assert!(
            told.contains(what) && told.contains("Something is damaged; nothing was changed."),
            "{told}"
        );
    };
    whole(&folder, "1 blob, needed by the table photos_photos, can't be read: damaged.");
    let running = folder.serve();
    whole(&folder, "1 blob, needed by the table photos_photos, can't be read: damaged.");
    running.stop();
    std::fs::remove_file(&hurt).unwrap();
    whole(&folder, "1 blob, needed by the table photos_photos, can't be found.");
}

/// A check, asked for by way of the node's socket.
struct Asked(BufReader<UnixStream>);

impl Asked {
    fn of(folder: &Folder) -> Self {
        let mut stream = UnixStream::connect(folder.data().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(b"{\"ask\":\"check\"}\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// Waits for a line that holds `words`.
    fn wait_for(&mut self, words: &str) -> String {
        let mut lines = self.0.by_ref().lines().map(Result::unwrap);
        lines
            .find(|line| line.contains(words))
            .unwrap_or_else(|| panic!("the node never said {words:?}"))
    }
}

#[test]
fn one_check_at_a_time_reads_and_one_that_was_broken_off_is_in_nobodys_way() {
    let folder = Folder::of_ruth();
    let running = folder.serve();
    // A snapshot that does not come holds the first one up.
    let snapshot = folder.data().join("snapshots").join(format!("{:016x}.snap", u64::MAX));
    std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    mkfifoat(CWD, &snapshot, Mode::RUSR | Mode::WUSR).unwrap();
    let mut first = Asked::of(&folder);
    first.wait_for("Rows against the log");
    drop(first);
    let mut second = Asked::of(&folder);
    second.wait_for("Waiting: another check is under way");
    let mut third = Asked::of(&folder);
    third.wait_for("Waiting: another check is under way");
    drop(third);
    let comes = OpenOptions::new().write(true).open(&snapshot).unwrap();
    std::fs::remove_file(&snapshot).unwrap();
    drop(comes);
    second.wait_for("Everything is whole.");
    running.stop();
}
