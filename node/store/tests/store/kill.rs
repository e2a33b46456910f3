//! A process that is killed (SIGKILL) at a random moment loses no acknowledged change, and its
//! store opens.
//!
//! The test runs itself as the child. The child writes, and prints each acknowledged change; the
//! parent kills it, opens the folder and compares. `FREEHOLD_KILL_CYCLES` sets the number of kills
//! (`.ci/store` does), `FREEHOLD_KILL_DIR` the folder.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use freehold_proto::random::Random;
use freehold_store::engine::EngineKind;

use crate::writers::{self, WRITERS};

fn kill_repeatedly(kind: EngineKind, name: &str) {
    if let Some(folder) = std::env::var_os("FREEHOLD_KILL_CHILD") {
        let (store, blobs) = writers::open(Path::new(&folder), kind, None).unwrap();
        return writers::write(&store, &blobs, u64::MAX, &|writer, n| {
            println!("\nacknowledged {writer} {n}")
        });
    }
    let cycles: u32 =
        std::env::var("FREEHOLD_KILL_CYCLES").map_or(5, |cycles| cycles.parse().unwrap());
    let folder = std::env::var_os("FREEHOLD_KILL_DIR")
        .map_or_else(tempfile::tempdir, tempfile::tempdir_in)
        .unwrap();
    let random = Random::from_os().unwrap();
    let mut acknowledged = vec![0; usize::from(WRITERS)];
    for _ in 0..cycles {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env("FREEHOLD_KILL_CHILD", folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The kill comes after a random number of acknowledgements and a random delay.
        let (kill_after, delay) = (random.u64() % 400, Duration::from_micros(random.u64() % 3000));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledgements = 0;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            if let Some(change) = line.strip_prefix("acknowledged ") {
                // The last line may be truncated.
                let Some((writer, n)) = change.split_once(' ') else { continue };
                let (Ok(writer), Ok(n)) = (writer.parse::<usize>(), n.parse::<u64>()) else {
                    continue;
                };
                acknowledged[writer] = acknowledged[writer].max(n);
                acknowledgements += 1;
            }
            if acknowledgements >= kill_after && !killed {
                let until = Instant::now() + delay;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                child.kill().unwrap();
                killed = true;
            }
        }
        assert!(killed, "the child ended by itself: {}", child.wait().unwrap());
        child.wait().unwrap();
        let (store, blobs) = writers::open(folder.path(), kind, None).unwrap();
        // A change that was readable once must stay, acknowledged or not.
        acknowledged = writers::check(&store, &blobs, &acknowledged).unwrap();
    }
    let all: u64 = acknowledged.iter().sum();
    println!(
        "{name}: killed {cycles} times, {all} changes acknowledged, 0 lost, 0 partial, 0 not opened"
    );
}

#[test]
fn killed_process_loses_nothing_with_sled() {
    kill_repeatedly(EngineKind::Sled, "kill::killed_process_loses_nothing_with_sled");
}

#[test]
fn killed_process_loses_nothing_with_redb() {
    kill_repeatedly(EngineKind::Redb, "kill::killed_process_loses_nothing_with_redb");
}
