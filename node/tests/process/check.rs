//! `freehold check` on a running and a stopped node, with and without damage.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::folder::{Folder, stderr, stdout};
use crate::node_process::TIMEOUT;

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

/// The numbers of rows read and of rows compared with snapshot and log: the first and the fourth
/// number of the report.
fn rows_read_and_compared(report: &str) -> (u64, u64) {
    let numbers: Vec<u64> = report
        .lines()
        .next()
        .unwrap()
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    assert_eq!(numbers.len(), 5, "{report}");
    (numbers[0], numbers[3])
}

#[test]
fn check_passes_on_a_running_and_a_stopped_node() {
    let folder = Folder::set_up();
    let running = folder.serve();
    folder.run_ok(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let (read, compared) = rows_read_and_compared(&folder.run_ok(&["check"]));
    assert!(read > 0 && compared > 0, "{read} {compared}");
    let log = running.stop();
    assert!(
        !log.iter().any(|line| line.contains("Rows")),
        "the command shows the progress, not the node: {log:#?}"
    );
    let (read, compared) = rows_read_and_compared(&folder.run_ok(&["check"]));
    assert!(read > 0 && compared == read, "{read} {compared}");
}

#[test]
fn damaged_blob_is_reported_with_exit_code_65() {
    let folder = Folder::set_up();
    folder.run_ok(&["photo", PICTURE, "--alt", "A boat on the mud at low water"]);
    let blob = largest(&folder.data().join("blobs"));
    let mut bytes = std::fs::read(&blob).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&blob, &bytes).unwrap();
    let assert_damaged = |kind: &str| {
        let output = folder.run(&["check"]);
        let report = stdout(&output);
        assert_eq!(output.status.code(), Some(65), "{report}{}", stderr(&output));
        let finding = report.lines().find(|line| line.contains("photos_photos"));
        assert!(finding.is_some_and(|line| line.starts_with(kind)), "{report}");
    };
    assert_damaged("Damaged");
    let running = folder.serve();
    assert_damaged("Damaged");
    running.stop();
    std::fs::remove_file(&blob).unwrap();
    assert_damaged("Missing");
}

/// A check through the control socket.
struct RunningCheck(BufReader<UnixStream>);

impl RunningCheck {
    fn start(folder: &Folder) -> Self {
        let mut stream = UnixStream::connect(folder.data().join("control.sock")).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        stream.write_all(b"{\"ask\":\"check\"}\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// Waits for a line that contains `text`.
    fn wait_for_line(&mut self, text: &str) -> String {
        let mut lines = self.0.by_ref().lines().map(Result::unwrap);
        lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("no line with {text:?}"))
    }
}

#[test]
fn abandoned_check_releases_the_check_lock() {
    let folder = Folder::set_up();
    let running = folder.serve();
    // A named pipe in place of a snapshot holds the first check.
    let snapshot = folder.data().join("snapshots").join(format!("{:016x}.snap", u64::MAX));
    std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    mkfifoat(CWD, &snapshot, Mode::RUSR | Mode::WUSR).unwrap();
    let mut first = RunningCheck::start(&folder);
    first.wait_for_line("Rows against the log");
    drop(first);
    let mut second = RunningCheck::start(&folder);
    second.wait_for_line("\"step\":\"Waiting");
    let mut third = RunningCheck::start(&folder);
    third.wait_for_line("\"step\":\"Waiting");
    drop(third);
    let writer = OpenOptions::new().write(true).open(&snapshot).unwrap();
    std::fs::remove_file(&snapshot).unwrap();
    drop(writer);
    second.wait_for_line("\"whole\":true");
    running.stop();
}
