//! Part of `.ci/power`: the program whose file-system calls are recorded, and the check of a folder
//! after a power cut.
//!
//! `power write KIND FOLDER CHANGES [close]` makes CHANGES changes with each of four writers and
//! prints each acknowledgement. Then it closes the store or, without `close`, exits like a killed
//! process. `power check KIND FOLDER N N N N` opens the folder as on another boot, compares it with
//! the last acknowledged change N of each writer, and makes more changes. Exit codes: 0 intact, 10
//! a change is lost, 11 a change is partial, 12 the store does not open, 13 the store opens but
//! fails later.
//!
//! KIND is `sled` or `redb` for Freehold's store over that engine, or a control: `bare-sled`
//! acknowledges after sled's own `flush`, `synced-sled` also syncs sled's files before it
//! acknowledges.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test program that prints its results"
)]

use std::path::Path;
use std::process::exit;

use freehold_store::engine::EngineKind;

#[path = "../tests/store/writers.rs"]
mod writers;

use writers::{Problem, ROWS_KEPT, WRITERS};

const LOST: i32 = 10;
const PARTIAL: i32 = 11;
const DOES_NOT_OPEN: i32 = 12;
const FAILS_LATER: i32 = 13;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, kind, folder) = (args[0].as_str(), args[1].as_str(), Path::new(&args[2]));
    let numbers: Vec<u64> = args[3..].iter().filter_map(|number| number.parse().ok()).collect();
    let close = args.last().is_some_and(|arg| arg == "close");
    let engine = match kind {
        "sled" => Some(EngineKind::Sled),
        "redb" => Some(EngineKind::Redb),
        _ => None,
    };
    match (task, engine) {
        ("write", Some(engine)) => write(folder, engine, numbers[0], close),
        ("check", Some(engine)) => check(folder, engine, &numbers),
        ("write", None) => bare::write(folder, numbers[0], kind == "synced-sled"),
        ("check", None) => bare::check(folder, &numbers),
        _ => exit(2),
    }
}

fn print_acknowledged(writer: u8, n: u64) {
    println!("acknowledged {writer} {n}");
}

fn write(folder: &Path, engine: EngineKind, changes: u64, close: bool) {
    println!("begun");
    let (store, blobs) = writers::open(folder, engine, None).unwrap();
    writers::write(&store, &blobs, changes / 2, &print_acknowledged);
    store.snapshot().unwrap();
    writers::write(&store, &blobs, changes - changes / 2, &print_acknowledged);
    if close {
        store.close();
    } else {
        // The store is not closed. But its background threads must be idle, because the recorder
        // cannot tell if a call that the exit interrupts was made.
        store.checkpoint().unwrap();
        writers::write(&store, &blobs, 2, &print_acknowledged);
        exit(0);
    }
}

fn check(folder: &Path, engine: EngineKind, acknowledged: &[u64]) {
    let result = writers::open(folder, engine, Some([2; 32]));
    let (store, blobs) =
        result.unwrap_or_else(|error| exit_with(DOES_NOT_OPEN, &error.to_string()));
    let last_changes = writers::check(&store, &blobs, acknowledged)
        .unwrap_or_else(|problem| exit_with_problem(&problem));
    writers::write(&store, &blobs, 2, &|_, _| {});
    let next: Vec<u64> = last_changes.iter().map(|last| last + 2).collect();
    if let Err(problem) = writers::check(&store, &blobs, &next) {
        exit_with(FAILS_LATER, &format!("{problem:?}"));
    }
    let problems = store.verify(&|_| Ok(())).unwrap_or_else(|error| vec![error.to_string()]);
    if !problems.is_empty() {
        exit_with(FAILS_LATER, &problems.join("; "));
    }
    // A clean stop would only take time.
    exit(0);
}

fn exit_with_problem(problem: &Problem) -> ! {
    match problem {
        Problem::Lost(text) => exit_with(LOST, text),
        Problem::Partial(text) => exit_with(PARTIAL, text),
    }
}

fn exit_with(code: i32, text: &str) -> ! {
    println!("{text}");
    exit(code)
}

mod bare {
    //! sled alone, with the same changes. Large contents are truncated, because sled writes them to
    //! files that it never syncs.

    use super::*;

    const CONTENT_LEN_MAX: usize = 4096;

    fn open(folder: &Path) -> sled::Result<sled::Db> {
        sled::Config::new().path(folder.join("sled")).flush_every_ms(None).open()
    }

    fn content(writer: u8, n: u64) -> Vec<u8> {
        let mut content = writers::content(writer, n);
        content.truncate(CONTENT_LEN_MAX);
        content
    }

    fn last(db: &sled::Db, writer: u8) -> sled::Result<u64> {
        Ok(db
            .get([writer])?
            .map_or(0, |value| u64::from_be_bytes(value.as_ref().try_into().unwrap())))
    }

    fn change(db: &sled::Db, writer: u8, n: u64) -> sled::Result<()> {
        let mut batch = sled::Batch::default();
        batch.insert(&[writer], &n.to_be_bytes());
        batch.insert(writers::key(writer, n), content(writer, n));
        if let Some(old) = n.checked_sub(ROWS_KEPT) {
            batch.remove(writers::key(writer, old));
        }
        db.apply_batch(batch)?;
        db.flush().map(|_| ())
    }

    /// Syncs the files and folders of the database.
    fn sync(folder: &Path) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                sync(&path)?;
            } else {
                std::fs::File::open(&path)?.sync_data()?;
            }
        }
        std::fs::File::open(folder)?.sync_all()
    }

    pub(super) fn write(folder: &Path, changes: u64, synced: bool) {
        let db = open(folder).unwrap();
        // The control is judged by its changes, not by its first start, so the new database is made
        // durable.
        db.insert("begun", "").unwrap();
        db.flush().unwrap();
        rustix::fs::syncfs(std::fs::File::open(folder).unwrap()).unwrap();
        println!("begun");
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let db = &db;
                scope.spawn(move || {
                    for n in 1..=changes {
                        change(db, writer, n).unwrap();
                        if synced {
                            sync(folder).unwrap();
                        }
                        print_acknowledged(writer, n);
                    }
                });
            }
        });
        exit(0);
    }

    pub(super) fn check(folder: &Path, acknowledged: &[u64]) {
        let db = open(folder).unwrap_or_else(|error| exit_with(DOES_NOT_OPEN, &error.to_string()));
        for (writer, acknowledged) in (0..WRITERS).zip(acknowledged) {
            let last =
                last(&db, writer).unwrap_or_else(|error| exit_with(LOST, &error.to_string()));
            let rows: sled::Result<Vec<_>> = db
                .scan_prefix([writer])
                .filter(|row| !matches!(row, Ok((key, _)) if key.len() == 1))
                .collect();
            let rows = rows.unwrap_or_else(|error| exit_with(LOST, &error.to_string()));
            let numbers: Vec<u64> = rows
                .iter()
                .map(|(key, _)| u64::from_be_bytes(key[1..].try_into().unwrap()))
                .collect();
            writers::check_numbers(writer, *acknowledged, last, &numbers)
                .unwrap_or_else(|problem| exit_with_problem(&problem));
            if rows.iter().zip(numbers).any(|((_, value), n)| value.as_ref() != content(writer, n))
            {
                exit_with(LOST, "a value differs");
            }
        }
        if let Err(error) =
            (0..WRITERS).zip(acknowledged).try_for_each(|(writer, n)| change(&db, writer, n + 2))
        {
            exit_with(FAILS_LATER, &error.to_string());
        }
        exit(0);
    }
}
