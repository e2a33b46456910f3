//! Measures the index of texts: how long it takes to build, its size, and the time of SEARCH BODY
//! for rare, frequent and absent terms.
//!
//! ```text
//! cargo run --release -p freehold-core --example text_search -- \\
//!     FOLDER [MESSAGES] [sled|redb]
//! ```
//!
//! The messages have 2.5 KB of words by Zipf's law from a vocabulary of 40,000, numbers and links.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints its results and stops at the first failure"
)]

use std::path::Path;
use std::time::Instant;

use freehold_core::engine::EngineKind;
use freehold_core::mailbox::{self, Flags, Folder, Import, Preparation, Searched, TextIndexer};
use freehold_core::node::{Node, NodeOptions};
use freehold_mime::search::fold;

const VOCABULARY: usize = 40_000;
const TEXT_LEN: usize = 2_500;
const TOGETHER: usize = 32;

/// A small generator of numbers; the same ones in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }
}

fn word(mut number: usize) -> String {
    const STARTS: [&str; 20] = [
        "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "st", "tr",
        "sh", "gr", "br",
    ];
    const MIDDLES: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "ou", "ai", "ee", "io"];
    const ENDS: [&str; 8] = ["", "n", "r", "s", "t", "ng", "l", "nd"];
    let mut word = String::new();
    loop {
        word += STARTS[number % STARTS.len()];
        word += MIDDLES[number / 20 % MIDDLES.len()];
        number /= 200;
        if number == 0 {
            return word;
        }
        if number < 8 {
            return word + ENDS[number];
        }
        number -= 8;
    }
}

fn message(number: usize, numbers: &mut Numbers) -> String {
    let mut text = format!(
        "From: Ann Example <ann{}@example.org>\r\nTo: bob@example.net\r\nSubject: Number {number}\r\n\
         Message-ID: <{:x}.{number}@example.org>\r\nDate: Mon, 2 Jun 2025 10:00:00 +0000\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n",
        number % 50,
        numbers.next()
    );
    let mut line = 0;
    while text.len() < TEXT_LEN {
        // Zipf's law: the rank is the vocabulary to the power of an even number from 0 to 1.
        let even = numbers.below(1 << 20) as f64 / f64::from(1 << 20);
        let rank = (VOCABULARY as f64).powf(even) as usize;
        match numbers.below(60) {
            0 => text += &numbers.below(100_000).to_string(),
            1 => text += &format!("https://www.example.org/{:x}", numbers.next()),
            _ => text += &word(rank),
        }
        line += 1;
        text += if line % 12 == 0 { ".\r\n" } else { " " };
    }
    if number % 1_000 == 7 {
        text += "needle";
    }
    text + "\r\n"
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "freehold-text-search".to_owned());
    let messages = arguments.next().map_or(10_000, |count| count.parse().unwrap());
    let engine = match arguments.next().as_deref() {
        Some("redb") => EngineKind::Redb,
        _ => EngineKind::Sled,
    };
    let data = Path::new(&path);
    let node = Node::open(NodeOptions { engine, ..NodeOptions::new(data) }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        mailbox::initialise(&node).await.unwrap();
        let folder = mailbox::folder_named(&node, "INBOX").unwrap().unwrap();
        let started = Instant::now();
        import(&node, &folder, messages).await;
        let seconds = started.elapsed().as_secs_f64();
        println!("{messages} messages imported in {seconds:.1} s");
        let (started, before) = (Instant::now(), pss());
        let mut indexer = TextIndexer::default();
        let mut longest = 0.0f64;
        loop {
            let step = Instant::now();
            if !indexer.step(&node).await.unwrap() {
                break;
            }
            longest = longest.max(step.elapsed().as_secs_f64() * 1e3);
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "indexed in {seconds:.1} s: {:.2} ms a message; longest step {longest:.0} ms; \
             PSS {before} KiB before, {} after",
            seconds * 1e3 / messages as f64,
            pss()
        );
        print_index_size(&node, messages);
        for term in [
            "needle",
            "example.org",
            "absentword",
            "xample",
            "ww",
            "bea",
            "beas",
            "ea",
            &word(9),
            &word(300),
            &word(30_000),
            "ai nd",
        ] {
            search(&node, &folder, term);
        }
    });
    node.close();
}

async fn import(node: &Node, folder: &Folder, messages: usize) {
    let mut numbers = Numbers(88_172_645_463_325_252);
    let mut prepared = Vec::new();
    for number in 0..messages {
        let text = message(number, &mut numbers);
        let import = Import {
            text: text.as_bytes(),
            internal_date: node.clock.now(),
            flags: Flags::default(),
            restores: false,
        };
        if let Preparation::New(new) = mailbox::prepare_import(node, folder, import).unwrap() {
            prepared.push(*new);
        }
        if prepared.len() == TOGETHER || number + 1 == messages {
            mailbox::commit_imports(node, std::mem::take(&mut prepared)).await.unwrap();
        }
    }
}

/// Searches three times: for the candidates alone, and with their texts read.
fn search(node: &Node, folder: &Folder, term: &str) {
    let mut times = Vec::new();
    let (mut candidates, mut found) = (0, 0);
    for _ in 0..3 {
        let started = Instant::now();
        let narrowed = mailbox::text_candidates(node, folder.id, Searched::Body, &[term]).unwrap();
        let asked = started.elapsed().as_secs_f64() * 1e3;
        let uids: Vec<u32> =
            (1..folder_end(node, folder)).filter(|u| narrowed.contains(*u)).collect();
        let term = fold(term);
        let messages = mailbox::messages_named(node, folder.id, &uids).unwrap();
        candidates = messages.iter().filter(|message| !narrowed.is_certain(message.uid)).count();
        let has = |message: &&mailbox::Message| {
            narrowed.is_certain(message.uid)
                || mailbox::body_text(node, message).unwrap().contains(&term)
        };
        found = messages.iter().filter(has).count();
        times.push(format!("{asked:.1} + {:.1}", started.elapsed().as_secs_f64() * 1e3 - asked));
    }
    println!(
        "{term:12} {found} found, {candidates} texts read, ms (index + texts): {}",
        times.join(", ")
    );
}

fn folder_end(node: &Node, folder: &Folder) -> u32 {
    mailbox::folder(node, folder.id).unwrap().unwrap().uid_next
}

/// The sum of all keys and values of the index, without the seals.
fn print_index_size(node: &Node, messages: usize) {
    let (mut rows, mut bytes) = (0usize, 0usize);
    let mut after: Option<(String, Vec<u8>)> = Some(("mailbox_word".to_owned(), Vec::new()));
    loop {
        let from = after.as_ref().map(|(table, key)| (table.as_str(), key.as_slice()));
        let page = node.store.walk(from, 500).unwrap();
        for walked in &page {
            if walked.table.starts_with("mailbox_word") {
                rows += 1;
                bytes += walked.key.len() + walked.row.as_ref().unwrap().value.len();
            }
        }
        match page.last() {
            Some(last) if last.table.starts_with("mailbox_word") => {
                after = Some((last.table.clone(), last.key.clone()));
            }
            _ => break,
        }
    }
    println!("index: {rows} rows, {:.0} bytes a message", bytes as f64 / messages as f64);
}

/// The proportional set size in KiB.
fn pss() -> String {
    let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let line = rollup.lines().find(|line| line.starts_with("Pss:")).unwrap_or_default();
    line.trim_start_matches("Pss:").trim_end_matches("kB").trim().to_owned()
}
