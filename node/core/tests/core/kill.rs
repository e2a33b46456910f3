//! A process that is killed (-9) at a random moment loses nothing it has acknowledged, and its store opens.
//!
//! The test runs itself as the child: it writes and says on its standard output what was acknowledged, the parent kills it, opens
//! the folder and compares. `FREEHOLD_KILL_CYCLES` sets how often (`.ci/long` does), `FREEHOLD_KILL_DIR` where.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_core::blobs::{Blobs, Form};
use freehold_core::engine::{CACHE_LEN_DEFAULT, EngineKind};
use freehold_core::fs::OsFs;
use freehold_core::random::Random;
use freehold_core::space::{Margins, Space};
use freehold_core::store::{Claim, EngineSource, Scan, Store, StoreError, StoreOptions, Table};
use freehold_core::vault::{Unlock, Vault};

const ROWS: Table = Table::new("rows");
const LAST: Table = Table::new("last");
const WRITERS: u8 = 4;

fn open(folder: &Path, kind: EngineKind) -> (Store, Blobs) {
    let (fs, random) = (Arc::new(OsFs), Random::from_os().unwrap());
    let data = folder.join("data");
    let claim = Claim::take(&OsFs, &data).unwrap();
    let unlock = Unlock::KeyFile(folder.join("key"));
    let vault = if Vault::exists(&OsFs, &data).unwrap() {
        Vault::open(fs.clone(), &data, &unlock).unwrap()
    } else {
        Vault::create(fs.clone(), &data, &unlock, &random).unwrap()
    };
    let space = Space::new(fs.clone(), &data, Margins { watermark: 0, reserve: 0 });
    let blobs = Blobs::new(fs.clone(), &data, vault.keys(), random.clone(), space).unwrap();
    let keys = vault.keys();
    let engine = EngineSource::Kind(kind, CACHE_LEN_DEFAULT);
    let mut options = StoreOptions::new(data, fs, engine, keys.store().clone(), keys.log_id(), random);
    options.claim = Some(claim);
    options.blobs = Some(blobs.clone());
    // Short, so that a cycle sees several of them begun and checkpoints made.
    options.segment_len = 64 * 1024;
    options.snapshot_after = 512 * 1024;
    (Store::open(options).unwrap(), blobs)
}

/// Writes until killed. Each writer's `n`-th change writes row `n`, deletes row `n - 8` and says so once it is acknowledged.
fn write_for_ever(folder: &Path, kind: EngineKind) {
    let (store, blobs) = open(folder, kind);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, blobs) = (store.clone(), blobs.clone());
            scope.spawn(move || {
                let mut n = last(&store, writer);
                loop {
                    n += 1;
                    let content = content(writer, n);
                    let pinned = blobs.put(&content, Form::Private).unwrap();
                    store
                        .commit_blocking(move |tx| {
                            tx.put(LAST, &[writer], &n.to_be_bytes())?;
                            tx.put_referring(ROWS, &key(writer, n), &n.to_be_bytes(), &[pinned.id])?;
                            if let Some(old) = n.checked_sub(8) {
                                tx.delete(ROWS, &key(writer, old));
                            }
                            Ok::<_, StoreError>(())
                        })
                        .unwrap();
                    println!("\nacknowledged {writer} {n}");
                }
            });
        }
    });
}

fn key(writer: u8, n: u64) -> Vec<u8> {
    [&[writer][..], &n.to_be_bytes()].concat()
}

fn content(writer: u8, n: u64) -> Vec<u8> {
    // Every so often one too large for the log.
    let len = if n.is_multiple_of(97) { 200_000 } else { usize::try_from(n % 1000).unwrap() };
    [&[writer][..], &n.to_be_bytes(), &vec![7; len]].concat()
}

fn last(store: &Store, writer: u8) -> u64 {
    store.get(LAST, &[writer]).unwrap().map_or(0, |row| u64::from_be_bytes(row.value.try_into().unwrap()))
}

/// Opens what the killed process left: each writer's last change is the last acknowledged or a later one, and whole.
fn check(folder: &Path, kind: EngineKind, acknowledged: &[u64]) {
    let (store, blobs) = open(folder, kind);
    for (writer, acknowledged) in (0..WRITERS).zip(acknowledged) {
        let last = last(&store, writer);
        assert!(last >= *acknowledged, "writer {writer}: {last} is there, {acknowledged} was acknowledged");
        let rows = store.scan(ROWS, &Scan::prefix(&[writer], 100)).unwrap();
        let numbers: Vec<u64> = rows.iter().map(|(_, row)| u64::from_be_bytes(row.value.clone().try_into().unwrap())).collect();
        assert_eq!(numbers, (last.saturating_sub(8) + 1..=last).collect::<Vec<_>>(), "writer {writer}");
        for ((_, row), n) in rows.iter().zip(numbers) {
            let bytes = blobs.open(&row.blobs[0]).unwrap().read_all(1 << 20).unwrap();
            assert_eq!(bytes, content(writer, n));
        }
    }
}

fn kill_again_and_again(kind: EngineKind, name: &str) {
    if let Some(folder) = std::env::var_os("FREEHOLD_KILL_CHILD") {
        return write_for_ever(Path::new(&folder), kind);
    }
    let cycles: u32 = std::env::var("FREEHOLD_KILL_CYCLES").map_or(5, |cycles| cycles.parse().unwrap());
    let folder = std::env::var_os("FREEHOLD_KILL_DIR").map_or_else(tempfile::tempdir, tempfile::tempdir_in).unwrap();
    let random = Random::from_os().unwrap();
    let mut acknowledged = vec![0; usize::from(WRITERS)];
    for _ in 0..cycles {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("FREEHOLD_KILL_CHILD", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // After so many acknowledgements, and a moment more that has nothing to do with them.
        let (wanted, moment) = (random.u64() % 400, Duration::from_micros(random.u64() % 3000));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut seen = 0;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            if let Some(said) = line.strip_prefix("acknowledged ") {
                // The last line may have been cut short.
                let Some((writer, n)) = said.split_once(' ') else { continue };
                let (Ok(writer), Ok(n)) = (writer.parse::<usize>(), n.parse::<u64>()) else { continue };
                acknowledged[writer] = acknowledged[writer].max(n);
                seen += 1;
            }
            if seen >= wanted && !killed {
                let until = Instant::now() + moment;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself: {}", child.wait().unwrap());
        child.wait().unwrap();
        check(folder.path(), kind, &acknowledged);
    }
}

#[test]
fn a_killed_process_loses_nothing_with_sled() {
    kill_again_and_again(EngineKind::Sled, "kill::a_killed_process_loses_nothing_with_sled");
}

#[test]
fn a_killed_process_loses_nothing_with_redb() {
    kill_again_and_again(EngineKind::Redb, "kill::a_killed_process_loses_nothing_with_redb");
}
