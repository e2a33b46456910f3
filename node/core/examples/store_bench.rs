//! How many durable changes a second the store acknowledges, against the disk's own rate of fdatasync.
//!
//! `cargo run --release -p freehold-core --example store_bench -- FOLDER [SECONDS]`: for each engine, number of rows in a change and
//! number of writers, turns of the store and turns of bare writes with fdatasync into a file of the same pattern alternate, so that
//! both meet the same disk. Prints a table in Markdown; `×` is acknowledged changes per bare fdatasync.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark run by hand says what it finds and stops where it fails")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use freehold_core::engine::{CACHE_LEN_DEFAULT, EngineKind};
use freehold_core::fs::{File, Fs, OsFs};
use freehold_core::random::Random;
use freehold_core::seal::SecretKey;
use freehold_core::store::{EngineSource, Store, StoreError, StoreOptions, Table};

const ROWS: Table = Table::new("bench");
const VALUE_LEN: usize = 200;
/// What a record adds to its rows: head, seal, checksum, and the rows' own seals and keys.
const RECORD_LEN: usize = 64 + 40 + 16 + 8;
const ROW_LEN: usize = VALUE_LEN + 51 + 40;
const SEGMENT_LEN: u64 = 16 * 1024 * 1024;
const TURNS: u32 = 5;

fn main() {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().unwrap_or_else(|| ".".into())).join("freehold-store-bench");
    let seconds: f64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(1.0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let turn = Duration::from_secs_f64(seconds / f64::from(TURNS));
    println!("| engine | rows | writers | changes/s | fdatasync/s | × | median wait |");
    println!("|---|---|---|---|---|---|---|");
    for (name, kind) in [("sled", EngineKind::Sled), ("redb", EngineKind::Redb)] {
        for rows in [1, 5] {
            for writers in [1, 16, 64] {
                let _ = std::fs::remove_dir_all(&folder);
                std::fs::create_dir_all(&folder).unwrap();
                let store = open(&folder, kind);
                let bare = Bare::new(&folder, RECORD_LEN + rows * ROW_LEN);
                // Once unmeasured, to fill what fills.
                measure(&runtime, &store, rows, writers, turn);
                let (mut store_rates, mut bare_rates, mut waits) = (Vec::new(), Vec::new(), Vec::new());
                for _ in 0..TURNS {
                    bare_rates.push(bare.measure(turn));
                    let (rate, wait) = measure(&runtime, &store, rows, writers, turn);
                    store_rates.push(rate);
                    waits.push(wait);
                }
                store.close();
                let (ours, disk, wait) = (median(&mut store_rates), median(&mut bare_rates), median(&mut waits));
                println!("| {name} | {rows} | {writers} | {ours:.0} | {disk:.0} | {:.2} | {wait:.0} µs |", ours / disk);
            }
        }
    }
    let _ = std::fs::remove_dir_all(&folder);
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn open(folder: &Path, kind: EngineKind) -> Store {
    let random = Random::from_os().unwrap();
    let engine = EngineSource::Kind(kind, CACHE_LEN_DEFAULT);
    let key = SecretKey::new(random.array());
    Store::open(StoreOptions::new(folder.join("data"), Arc::new(OsFs), engine, key, [1; 16], random)).unwrap()
}

/// Writers that each wait for their change and make the next; changes per second and the median wait in microseconds.
fn measure(runtime: &tokio::runtime::Runtime, store: &Store, rows: usize, writers: usize, turn: Duration) -> (f64, f64) {
    static KEY: AtomicU64 = AtomicU64::new(0);
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, stop) = (store.clone(), stop.clone());
            runtime.spawn(async move {
                let mut waits = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let asked = Instant::now();
                    let commit = store.commit(move |tx| {
                        for _ in 0..rows {
                            let key = KEY.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15) % 100_000;
                            tx.put(ROWS, &key.to_be_bytes(), &[7; VALUE_LEN])?;
                        }
                        Ok::<_, StoreError>(())
                    });
                    commit.await.unwrap();
                    waits.push(asked.elapsed().as_secs_f64() * 1e6);
                }
                waits
            })
        })
        .collect();
    runtime.block_on(async { tokio::time::sleep(turn).await });
    stop.store(true, Ordering::Relaxed);
    let mut waits: Vec<f64> = tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    #[allow(clippy::cast_precision_loss, reason = "a count of seconds' work is small")]
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    (rate, median(&mut waits))
}

/// What the disk does without us: write a record's length behind the last, fdatasync, in a file of zeros.
struct Bare {
    file: Box<dyn File>,
    offset: AtomicU64,
    record: Vec<u8>,
}

impl Bare {
    fn new(folder: &Path, record_len: usize) -> Self {
        let file = OsFs.create(&folder.join("bare")).unwrap();
        file.allocate(SEGMENT_LEN).unwrap();
        file.write_all_at(&vec![0; usize::try_from(SEGMENT_LEN).unwrap()], 0).unwrap();
        file.sync_data().unwrap();
        Self { file, offset: AtomicU64::new(0), record: vec![7; record_len] }
    }

    fn measure(&self, turn: Duration) -> f64 {
        let started = Instant::now();
        let mut done = 0.0;
        while started.elapsed() < turn {
            let len = self.record.len() as u64;
            let at = self.offset.fetch_add(len, Ordering::Relaxed) % (SEGMENT_LEN - len);
            self.file.write_all_at(&self.record, at).unwrap();
            self.file.sync_data().unwrap();
            done += 1.0;
        }
        done / started.elapsed().as_secs_f64()
    }
}
