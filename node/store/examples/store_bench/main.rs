//! How many durable changes a second the store acknowledges, against the disk's own rate of
//! fdatasync.
//!
//! `cargo run --release -p freehold-core --example store_bench -- FOLDER [SECONDS] [--sync-delay MS] [--only ENGINE,ROWS,WRITERS]`:
//! for each engine, number of rows in a change and number of writers, turns of the store and turns
//! of bare writes with fdatasync into a file of the same pattern alternate, so that both meet the
//! same disk. Prints a table in Markdown; `×` is acknowledged changes per bare fdatasync, `CPU`
//! what the whole process, writers included, spent on a change. `--sync-delay` makes each sync of
//! both wait so much longer, to stand for a slower disk; what an engine writes to files of its own
//! is not slowed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark run by hand says what it finds and stops where it fails"
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
/// What a record adds to its rows: head, seal, checksum, and the rows' own seals and keys.
const RECORD_LEN: usize = 64 + 40 + 16 + 8;
const ROW_LEN: usize = VALUE_LEN + 51 + 40;
const SEGMENT_LEN: u64 = 16 * 1024 * 1024;
const TURNS: u32 = 5;
/// The kernel counts a process's time in these, whatever its own ticks are.
const TICKS_PER_SECOND: f64 = 100.0; // proc_pid_stat(5), sysconf(_SC_CLK_TCK)

struct Asked {
    folder: PathBuf,
    seconds: f64,
    sync_delay: Duration,
    /// `engine,rows,writers` where not all are to be measured.
    only: Option<String>,
}

impl Asked {
    fn read() -> Self {
        let mut asked = Self {
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
                    asked.sync_delay =
                        Duration::from_secs_f64(args.next().unwrap().parse::<f64>().unwrap() / 1e3)
                }
                ("--only", _) => asked.only = args.next(),
                (_, 0) => (asked.folder, unnamed) = (PathBuf::from(arg), 1),
                _ => asked.seconds = arg.parse().unwrap(),
            }
        }
        asked.folder.push("freehold-store-bench");
        asked
    }

    fn wants(&self, engine: &str, rows: usize, writers: usize) -> bool {
        self.only.as_ref().is_none_or(|only| *only == format!("{engine},{rows},{writers}"))
    }
}

fn main() {
    let asked = Asked::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let turn = Duration::from_secs_f64(asked.seconds / f64::from(TURNS));
    if asked.sync_delay.is_zero() {
        println!("The disk as it is.\n");
    } else {
        println!(
            "Each sync, bare and ours, made to take {:?} longer than the disk needs.\n",
            asked.sync_delay
        );
    }
    println!("| engine | rows | writers | changes/s | fdatasync/s | × | median wait | CPU |");
    println!("|---|---|---|---|---|---|---|---|");
    for (name, kind) in [("sled", EngineKind::Sled), ("redb", EngineKind::Redb)] {
        for rows in [1, 5] {
            for writers in [1, 16, 64] {
                if asked.wants(name, rows, writers) {
                    let line = compare(&runtime, &asked, turn, kind, rows, writers);
                    println!("| {name} | {rows} | {writers} | {line} |");
                }
            }
        }
    }
    let _ = std::fs::remove_dir_all(&asked.folder);
}

/// Turns of the store and of the bare disk, and what came of them as the rest of a line.
fn compare(
    runtime: &tokio::runtime::Runtime,
    asked: &Asked,
    turn: Duration,
    kind: EngineKind,
    rows: usize,
    writers: usize,
) -> String {
    let _ = std::fs::remove_dir_all(&asked.folder);
    std::fs::create_dir_all(&asked.folder).unwrap();
    let fs = slow(asked.sync_delay);
    let store = open(&asked.folder, fs.clone(), kind);
    let bare = Bare::new(&asked.folder, &fs, RECORD_LEN + rows * ROW_LEN);
    // Once unmeasured, to fill what fills.
    measure(runtime, &store, rows, writers, turn);
    let (mut store_rates, mut bare_rates, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    let (mut busy, mut changes) = (0.0, 0.0);
    for _ in 0..TURNS {
        bare_rates.push(bare.measure(turn));
        let before = busy_seconds();
        let (rate, wait) = measure(runtime, &store, rows, writers, turn);
        // The kernel counts in hundredths of a second, so only all turns together say something.
        busy += busy_seconds() - before;
        changes += rate * turn.as_secs_f64();
        store_rates.push(rate);
        waits.push(wait);
    }
    store.close();
    let (ours, disk) = (median(&mut store_rates), median(&mut bare_rates));
    let (wait, cost) = (median(&mut waits), busy * 1e6 / changes);
    format!("{ours:.0} | {disk:.0} | {:.2} | {wait:.0} µs | {cost:.1} µs", ours / disk)
}

/// What this process has used of the processors so far.
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

/// Writers that each wait for their change and make the next; changes per second and the median
/// wait in microseconds.
fn measure(
    runtime: &tokio::runtime::Runtime,
    store: &Store<()>,
    rows: usize,
    writers: usize,
    turn: Duration,
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
                    let asked = Instant::now();
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
                    waits.push(asked.elapsed().as_secs_f64() * 1e6);
                }
                waits
            })
        })
        .collect();
    runtime.block_on(async { tokio::time::sleep(turn).await });
    stop.store(true, Ordering::Relaxed);
    let mut waits: Vec<f64> =
        tasks.into_iter().flat_map(|task| runtime.block_on(task).unwrap()).collect();
    #[allow(clippy::cast_precision_loss, reason = "a count of seconds' work is small")]
    let rate = waits.len() as f64 / started.elapsed().as_secs_f64();
    (rate, median(&mut waits))
}

/// What the disk does without us: write a record's length behind the last, fdatasync, in a file of
/// zeros.
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
