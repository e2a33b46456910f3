//! Measures the data folder of a node with many messages: its size and number of files, the times
//! of delivery, restart and one deletion.
//!
//! ```text
//! cargo run --release -p freehold-core --example mailbox_size -- \\
//!     FOLDER [MESSAGES] [sled|redb]
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints its results and stops at the first failure"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use freehold_core::engine::EngineKind;
use freehold_core::mailbox::{self, Delivery, Flags, IdempotencyKey};
use freehold_core::node::{Node, NodeOptions};

/// The length of a message, in bytes.
const MESSAGE_LEN: usize = 1400;
/// The number of deliveries at a time.
const WRITERS: usize = 16;
const MIB: f64 = 1024.0 * 1024.0;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "freehold-mailbox-size".to_owned());
    let messages = arguments.next().map_or(100_000, |count| count.parse().unwrap());
    let engine = match arguments.next().as_deref() {
        Some("redb") => EngineKind::Redb,
        _ => EngineKind::Sled,
    };
    let data = Path::new(&folder);
    let open = || Node::open(NodeOptions { engine, ..NodeOptions::new(data) }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();

    let started = Instant::now();
    let node = open();
    println!("opened in {:.3} s", started.elapsed().as_secs_f64());
    let (started, cpu) = (Instant::now(), cpu_time());
    runtime.block_on(deliver_all(&node, messages));
    let seconds = started.elapsed().as_secs_f64();
    println!("{messages} messages in {seconds:.1} s: {:.0} a second", messages as f64 / seconds);
    println!("CPU: {:.2} ms a message", (cpu_time() - cpu).as_secs_f64() * 1e3 / messages as f64);
    print_sizes("after the deliveries", data);
    delete_photo_sized_blob(&node);
    let started = Instant::now();
    node.close();
    drop(node);
    println!("closed in {:.3} s", started.elapsed().as_secs_f64());
    print_sizes("after the stop", data);

    let started = Instant::now();
    let node = open();
    println!("opened in {:.3} s", started.elapsed().as_secs_f64());
    delete_photo_sized_blob(&node);
    let started = Instant::now();
    for _ in 0..2 {
        node.store.snapshot().unwrap();
    }
    println!("snapshot in {:.1} s", started.elapsed().as_secs_f64());
    print_sizes("after a snapshot", data);
    println!("{}", pss());
    node.close();
}

async fn deliver_all(node: &Node, messages: usize) {
    mailbox::initialise(node).await.unwrap();
    let folder = mailbox::folder_named(node, "INBOX").unwrap().unwrap().id;
    let writers = (0..WRITERS).map(|writer| {
        let node = node.clone();
        tokio::spawn(async move {
            for number in (writer..messages).step_by(WRITERS) {
                let blob = node.blobs.put(&message(number)).unwrap();
                let delivery = Delivery {
                    folder,
                    blob,
                    id: IdempotencyKey::new(&node),
                    internal_date: node.clock.now(),
                    flags: Flags::default(),
                };
                mailbox::deliver(&node, delivery).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

fn message(number: usize) -> Vec<u8> {
    let mut text = format!(
        "From: Ann Example <ann{}@example.org>\r\nTo: bob@example.net\r\nSubject: Message number \
         {number} about the garden\r\nMessage-ID: <{number}.garden@example.org>\r\n\
         Date: Mon, 2 Jun \
         2025 10:00:00 +0000\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        number % 50
    );
    while text.len() < MESSAGE_LEN {
        text.push_str(&format!("Line {} of message {number}.\r\n", text.len()));
    }
    text.into_bytes()
}

fn delete_photo_sized_blob(node: &Node) {
    const PHOTOS: freehold_core::store::Table = freehold_core::store::Table::referring("example");
    for len in [20_000, 400_000] {
        let pinned = node.blobs.put(&vec![u8::try_from(len % 251).unwrap(); len]).unwrap();
        let id = pinned.id;
        node.store.commit_blocking(move |tx| tx.put_referring(PHOTOS, b"a", b"", &[id])).unwrap();
        drop(pinned);
        node.store.checkpoint().unwrap();
        let (started, cpu) = (Instant::now(), cpu_time());
        let deleted: Result<(), freehold_core::store::StoreError> =
            node.store.commit_blocking(|tx| {
                tx.delete(PHOTOS, b"a");
                Ok(())
            });
        deleted.unwrap();
        node.blobs.unlink_now(&node.store, &[id]).unwrap();
        println!(
            "a blob of {len} bytes was deleted in {:.1} ms, {:.1} ms CPU",
            started.elapsed().as_secs_f64() * 1e3,
            (cpu_time() - cpu).as_secs_f64() * 1e3
        );
    }
}

fn print_sizes(when: &str, data: &Path) {
    let (mut all, mut files, mut parts) = (0, 0, Vec::new());
    for entry in std::fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        let (len, count) = size(&path);
        all += len;
        files += count;
        parts.push(format!(
            "{} {:.0}",
            path.file_name().unwrap_or_default().display(),
            len as f64 / MIB
        ));
    }
    parts.sort();
    println!("{when}: {:.0} MiB in {files} files ({})", all as f64 / MIB, parts.join(", "));
}

/// The length and the number of the files below `path`.
fn size(path: &Path) -> (u64, u64) {
    if !path.is_dir() {
        return (std::fs::metadata(path).map_or(0, |file| file.len()), 1);
    }
    let entries = std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path()));
    entries.fold((0, 0), |(len, count), (more, files)| (len + more, count + files))
}

/// The processor time of this process, from `/proc/self/task`.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|stat| stat.split(' ').next()?.parse().ok())
        .map(Duration::from_nanos)
        .sum()
}

fn pss() -> String {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default().to_owned()
}
