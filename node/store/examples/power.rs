//! One half of `.ci/power`: the program whose files are recorded, and the judge of what a power cut
//! left of them.
//!
//! `power write KIND FOLDER CHANGES [close]` makes each of four writers do so many changes more and says each acknowledgement; then it
//! closes the store or, as a killed process would, leaves it. `power check KIND FOLDER N N N N`
//! opens the folder as on another boot, holds it against the last change that each writer was told
//! is safe, and goes on from there. It ends with 0 if all is well, 10 if something is lost, 11 if
//! something is there in part, 12 if the store does not open and 13 if it opens but does not go on.
//!
//! KIND is `sled` or `redb` for Freehold's store over that engine; or a control: `bare-sled`, which
//! acknowledges after sled's own
//! `flush`, or `synced-sled`, which syncs sled's files itself before it acknowledges.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program of the tests: it says what it finds"
)]

use std::path::Path;
use std::process::exit;

use freehold_store::engine::EngineKind;

#[path = "../tests/store/writers.rs"]
mod writers;

use writers::{ROWS_KEPT, WRITERS, Wrong};

const LOST: i32 = 10;
const PARTIAL: i32 = 11;
const DOES_NOT_OPEN: i32 = 12;
const DOES_NOT_GO_ON: i32 = 13;

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

fn say(writer: u8, n: u64) {
    println!("acknowledged {writer} {n}");
}

fn write(folder: &Path, engine: EngineKind, changes: u64, close: bool) {
    println!("begun");
    let (store, blobs) = writers::open(folder, engine, None).unwrap();
    writers::write(&store, &blobs, changes / 2, &say);
    store.snapshot().unwrap();
    writers::write(&store, &blobs, changes - changes / 2, &say);
    if close {
        store.close();
    } else {
        // Nothing is dropped, so nothing says goodbye; but what goes on behind is at rest, or the
        // recorder could not tell whether a call that this end cuts off was made.
        store.checkpoint().unwrap();
        writers::write(&store, &blobs, 2, &say);
        exit(0);
    }
}

fn check(folder: &Path, engine: EngineKind, acknowledged: &[u64]) {
    let opened = writers::open(folder, engine, Some([2; 32]));
    let (store, blobs) = opened.unwrap_or_else(|error| judged(DOES_NOT_OPEN, &error.to_string()));
    let seen = writers::check(&store, &blobs, acknowledged).unwrap_or_else(|wrong| judge(&wrong));
    writers::write(&store, &blobs, 2, &|_, _| {});
    let further: Vec<u64> = seen.iter().map(|last| last + 2).collect();
    if let Err(wrong) = writers::check(&store, &blobs, &further) {
        judged(DOES_NOT_GO_ON, &format!("{wrong:?}"));
    }
    let complaints = store.verify(&|_| Ok(())).unwrap_or_else(|error| vec![error.to_string()]);
    if !complaints.is_empty() {
        judged(DOES_NOT_GO_ON, &complaints.join("; "));
    }
    // The judge has seen enough; a clean stop would only cost time.
    exit(0);
}

fn judge(wrong: &Wrong) -> ! {
    match wrong {
        Wrong::Lost(what) => judged(LOST, what),
        Wrong::Partial(what) => judged(PARTIAL, what),
    }
}

fn judged(code: i32, what: &str) -> ! {
    println!("{what}");
    exit(code)
}

mod bare {
    //! sled by itself, with the same changes; large contents, which it would put into files that it
    //! never syncs, are cut short.

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

    /// The files and folders of the database, each made durable.
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
        // The control is judged by what it writes, not by its first start: all there is so far is
        // made durable for it.
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
                        say(writer, n);
                    }
                });
            }
        });
        exit(0);
    }

    pub(super) fn check(folder: &Path, acknowledged: &[u64]) {
        let db = open(folder).unwrap_or_else(|error| judged(DOES_NOT_OPEN, &error.to_string()));
        for (writer, acknowledged) in (0..WRITERS).zip(acknowledged) {
            let last = last(&db, writer).unwrap_or_else(|error| judged(LOST, &error.to_string()));
            let rows: sled::Result<Vec<_>> = db
                .scan_prefix([writer])
                .filter(|row| !matches!(row, Ok((key, _)) if key.len() == 1))
                .collect();
            let rows = rows.unwrap_or_else(|error| judged(LOST, &error.to_string()));
            let numbers: Vec<u64> = rows
                .iter()
                .map(|(key, _)| u64::from_be_bytes(key[1..].try_into().unwrap()))
                .collect();
            writers::check_numbers(writer, *acknowledged, last, &numbers)
                .unwrap_or_else(|wrong| judge(&wrong));
            if rows.iter().zip(numbers).any(|((_, value), n)| value.as_ref() != content(writer, n))
            {
                judged(LOST, "a value is another");
            }
        }
        if let Err(error) =
            (0..WRITERS).zip(acknowledged).try_for_each(|(writer, n)| change(&db, writer, n + 2))
        {
            judged(DOES_NOT_GO_ON, &error.to_string());
        }
        exit(0);
    }
}
