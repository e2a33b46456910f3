//! Benchmark: durable changes per second of the store, compared with the disk's rate of fdatasync.
//!
//! ```text
//! cargo run --release -p freehold -p freehold-store --example store_bench -- \\
//!     FOLDER [SECONDS] [--sync-delay MS] [--only ENGINE,ROWS,WRITERS]
//! ```
//!
//! For each engine, number of rows in a change and number of writers, rounds of the store alternate
//! with rounds of bare writes and fdatasync, so that both have the same disk load. Prints a
//! Markdown table: `×` is acknowledged changes per bare fdatasync, `CPU` the processor time of the
//! whole process per change, writers included. `--sync-delay` adds a delay to each sync of both, to
//! simulate a slower disk; the engines' own files are not delayed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its results and stops at the first failure"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use freehold_proto::random::Random;
use freehold_store::engine::{CACHE_LEN_DEFAULT, EngineKind};
use freehold_store::fs::{File, Fs};
use freehold_store::seal::SecretKey;
use freehold_store::store::{EngineSource, Store, StoreError, StoreOptions, Table};
use freehold_store::testing::hooked_fs::HookedFs;

mod slow;

use slow::slow;

const ROWS: Table = Table::new("bench");
const VALUE_LEN: usize = 200;
/// The bytes of a record without its rows: head, seal, checksum, padding.
const RECORD_LEN: usize = 64 + 40 + 16 + 8;
/// The bytes of a row in a record: value, seal, key.
const ROW_LEN: usize = VALUE_LEN + 51 + 40;
const SEGMENT_LEN: u64 = 16 * 1024 * 1024;
/// The number of rounds per measurement.
const ROUNDS: u32 = 5;
/// The unit of processor times in `/proc`.
const TICKS_PER_SECOND: f64 = 100.0; // proc_pid_stat(5), sysconf(_SC_CLK_TCK)

struct Arguments {
    folder: PathBuf,
    seconds: f64,
    sync_delay: Duration,
    /// `engine,rows,writers` if only one combination is measured.
    only: Option<String>,
}

impl Arguments {
    fn read() -> Self {
        let mut arguments = Self {
            folder: PathBuf::from("."),
            seconds: 1.0,
            sync_delay: Duration::ZERO,
            only: None,
        };
        let mut args = std::env::args().skip(1);
        let mut unnamed = 0;
        while let Some(arg) = args.next() {
            match (arg.as_str(), unnamed) {
                ("--sync-delay", _) => {
                    arguments.sync_delay =
                        Duration::from_secs_f64(args.next().unwrap().parse::<f64>().unwrap() / 1e3)
                }
                ("--only", _) => arguments.only = args.next(),
                (_, 0) => (arguments.folder, unnamed) = (PathBuf::from(arg), 1),
                _ => arguments.seconds = arg.parse().unwrap(),
            }
        }
        arguments.folder.push("freehold-store-bench");
        arguments
    }

    fn includes(&self, engine: &str, rows: usize, writers: usize) -> bool {
        self.only.as_ref().is_none_or(|only| *only == format!("{engine},{rows},{writers}"))
    }
}

fn main() {
    let arguments = Arguments::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let round = Duration::from_secs_f64(arguments.seconds / f64::from(ROUNDS));
    if arguments.sync_delay.is_zero() {
        println!("Without a sync delay.\n");
    } else {
        println!("Each sync is delayed by {:?}.\n", arguments.sync_delay);
    }
    println!("| engine | rows | writers | changes/s | fdatasync/s | × | median wait | CPU |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, kind) in [("sled", EngineKind::Sled), ("redb", EngineKind::Redb)] {
        for rows in [1, 5] {
            for writers in [1, 16, 64] {
                if arguments.includes(name, rows, writers) {
                    let line = compare(&runtime, &arguments, round, kind, rows, writers);
                    println!("| {name} | {rows} | {writers} | {line} |");
                }
            }
        }
    }
    let _ = std::fs::remove_dir_all(&arguments.folder);
}

/// Measures rounds of the store and of the bare disk; returns the result columns of a table line.
fn compare(
    runtime: &tokio::runtime::Runtime,
    arguments: &Arguments,
    round: Duration,
    kind: EngineKind,
    rows: usize,
    writers: usize,
) -> String {
    let _ = std::fs::remove_dir_all(&arguments.folder);
    std::fs::create_dir_all(&arguments.folder).unwrap();
    let fs = slow(arguments.sync_delay);
    let store = open(&arguments.folder, fs.clone(), kind);
    let bare = Bare::new(&arguments.folder, &fs, RECORD_LEN + rows * ROW_LEN);
    // A first round to warm up.
    measure(runtime, &store, rows, writers, round);
    let (mut store_rates, mut bare_rates, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut busy, mut changes) = (0.0, 0.0);
    for _ in 0..ROUNDS {
        bare_rates.push(bare.measure(round));
        let before = busy_seconds();
        let (rate, wait) = measure(runtime, &store, rows, writers, round);
        // The unit is 10 ms, so the time is summed over all rounds.
        busy += busy_seconds() - before;
        changes += rate * round.as_secs_f64();
        store_rates.push(rate);
        waits.push(wait);
    }
    store.close();
    let (ours, disk) = (median(&mut store_rates), median(&mut bare_rates));
    let (wait, cost) = (median(&mut waits), busy * 1e6 / changes);
    format!("{ours:.0} | {disk:.0} | {:.2} | {wait:.0} µs | {cost:.1} µs", ours / disk)
}

/// The processor time of this process so far, in seconds.
fn busy_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum();
    ticks / TICKS_PER_SECOND
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn open(folder: &Path, fs: HookedFs, kind: EngineKind) -> Store<()> {
    let random = Random::from_os().unwrap();
    let engine = EngineSource::Kind(kind, CACHE_LEN_DEFAULT);
    let key = SecretKey::new(random.array());
    Store::open(StoreOptions::new(folder.join("data"), Arc::new(fs), engine, key, [1; 16], random))
        .unwrap()
}

/// Runs writers that each make one change after the other; returns changes per second and the
/// median wait in microseconds.
fn measure(
    runtime: &tokio::runtime::Runtime,
    store: &Store<()>,
    rows: usize,
    writers: usize,
    round: Duration,
) -> (f64, f64) {
    static KEY: AtomicU64 = AtomicU64::new(0);
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, stop) = (store.clone(), stop.clone());
            runtime.spawn(async move {
                let mut waits = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let started = Instant::now();
                    let commit = store.commit(move |tx| {
                        for _ in 0..rows {
                            let key = KEY
                                .fetch_add(1, Ordering::Relaxed)
                                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                                % 100_000;
                            tx.put(ROWS, &key.to_be_bytes(), &[7; VALUE_LEN])?;
                        }
                        Ok::<_, StoreError>(())
                    });
                    commit.await.unwrap();
                    waits.push(started.elapsed().as_secs_f64() * 1e6);
                }
                waits
            })
        })
        .collect();
    runtime.block_on(async { tokio::time::sleep(round).await });
    stop.store(true, Ordering::Relaxed);
    let mut waits: Vec<f64> =
        tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    #[allow(clippy::cast_precision_loss, reason = "a count of seconds' work is small")]
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    (rate, median(&mut waits))
}

/// The bare disk: appends of the length of a record, each with fdatasync, in a file of zeros.
struct Bare {
    file: Box<dyn File>,
    offset: AtomicU64,
    record: Vec<u8>,
}

impl Bare {
    fn new(folder: &Path, fs: &HookedFs, record_len: usize) -> Self {
        let file = fs.create(&folder.join("bare")).unwrap();
        file.allocate(SEGMENT_LEN).unwrap();
        file.write_all_at(&vec![0; usize::try_from(SEGMENT_LEN).unwrap()], 0).unwrap();
        file.sync_data().unwrap();
        Self { file, offset: AtomicU64::new(0), record: vec![7; record_len] }
    }

    fn measure(&self, round: Duration) -> f64 {
        let started = Instant::now();
        let mut done = 0.0;
        while started.elapsed() < round {
            let len = self.record.len() as u64;
            let at = self.offset.fetch_add(len, Ordering::Relaxed) % (SEGMENT_LEN - len);
            self.file.write_all_at(&self.record, at).unwrap();
            self.file.sync_data().unwrap();
            done += 1.0;
        }
        done / started.elapsed().as_secs_f64()
    }
}
